//! Owns: the bus and the relay on NATS, with the server configuration that they ask for.
//! Imports: `docket-engine` for the ports, `docket-schemas`.
//! Never: decides what happened; holds a cursor that the log or the stream could not give again.

mod link;
pub use link::{Link, LinkError, NatsOptions};
mod bus;
mod subject;
pub use bus::{NatsBus, WAKE_EVERY};
mod whispers;
pub use whispers::NatsEphemeral;
