//! Owns: the event log and the key store on SQLite, each in a file of its own, with the bus of those who share one.
//! Imports: `docket-engine` for the ports, `docket-schemas`.
//! Never: decides what an event means; reads a clock; opens a file that it was not given.

mod log;
pub use log::SqliteLog;
mod keys;
pub use keys::SqliteKeyStore;
mod bus;
pub use bus::{LOOK_EVERY, SqliteBus};
mod failure;
pub use failure::OpenError;
mod file;

#[cfg(test)]
mod testing;
