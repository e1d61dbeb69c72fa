//! Owns: the bus and the relay on NATS, with the server configuration that they ask for.
//! Imports: `docket-engine` for the ports, `docket-schemas`.
//! Never: decides what happened; holds a cursor that the log or the stream could not give again.

pub mod bench;
mod link;
pub use link::{Link, LinkError, NatsOptions};
mod bus;
mod subject;
pub use bus::{NatsBus, WAKE_EVERY};
mod whispers;
pub use whispers::NatsEphemeral;
mod message;
mod stream_config;
mod stream_end;
pub use stream_config::{
    DUPLICATE_WINDOW, STREAM_KEEPS_FOR, StreamError, cursor_config, stream_config,
};
mod relay;
pub use relay::{
    ACK_WITHIN, CompareLog, Relay, RelayOptions, RelayPorts, RelayProgress, Relaying,
    WINDOW_MESSAGES_MAX,
};
mod consumers;
mod reset;
mod witness;
pub use witness::StreamWitness;
mod accounts;
pub use accounts::{Accounts, TENANT_API_PREFIX, UserKey};
