//! Owns: the ticket (document, authoring, policy, resolver, commands) and the ports that adapters fill.
//! Imports: `docket-schemas`.
//! Never: sockets, disks, wall clocks or randomness of its own.

pub mod cursor;
pub mod ports;
pub mod append;
pub mod memory;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
