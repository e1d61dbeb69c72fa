//! Owns: the ticket (document, authoring, policy, resolver, commands) and the ports that adapters fill.
//! Imports: `docket-schemas`.
//! Never: sockets, disks, wall clocks or randomness of its own.

pub mod actor;
pub mod append;
pub mod around;
pub mod command;
#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub mod cursor;
pub mod desk;
pub mod document;
pub mod event_json;
pub mod faults;
pub mod genesis;
pub mod graph;
pub mod hot;
pub mod in_process_bus;
pub mod in_process_ephemeral;
pub mod keyring;
pub mod lanes;
pub mod layout;
pub mod memory;
pub mod policy;
pub mod ports;
pub mod resolver;
pub mod seal;
pub mod tail;
#[cfg(any(test, feature = "contract"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod ticket;
pub mod version;
