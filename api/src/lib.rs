//! Owns: HTTP, authentication, limits, the command line, and the choice of implementations.
//! Imports: every crate of this workspace; adapters only in `wire`.
//! Never: decisions about tickets.

pub mod app;
pub mod auth;
pub mod bench;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cores;
pub mod demo;
pub mod export;
mod field_limits;
pub mod gate;
pub mod http;
pub mod ids;
pub mod import;
pub mod limit;
pub mod live;
pub mod master_key;
pub mod metrics;
pub mod operations;
pub mod present;
mod private_file;
pub mod problem;
pub mod sagas;
pub mod search;
pub mod server;
pub mod signals;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod views;
pub mod wire;
pub mod witness;
