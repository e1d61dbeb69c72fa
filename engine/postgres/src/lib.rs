//! Owns: the log, the key store and the bus on PostgreSQL, with their tables and migrations.
//! Imports: `docket-engine`, `docket-schemas`.
//! Never: decisions about tickets, keys in clear, events on the bus.

mod connect;
pub use connect::{ANSWER_TIMEOUT_DEFAULT, CONNECTIONS_MAX_DEFAULT, ConnectError, PostgresOptions};
mod log;
pub use log::PostgresLog;
mod append;
pub mod bench;
mod event_row;
mod failure;
mod fences;
mod keys;
mod look_up;
mod read;
mod roster;
mod sagas;
mod session;
mod snapshot;
mod writer;
pub use keys::PostgresKeyStore;
mod bus;
pub use bus::{PostgresBus, WAKE_EVERY};
