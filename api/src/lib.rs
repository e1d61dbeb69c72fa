//! Owns: HTTP, authentication, limits, the command line, and the choice of implementations.
//! Imports: every crate of this workspace; adapters only in `wire`.
//! Never: decisions about tickets.

pub mod cli;
pub mod http;
pub mod problem;
pub mod auth;
pub mod limit;
pub mod gate;
pub mod operations;
pub mod metrics;
pub mod server;
pub mod telemetry;
pub mod signals;
pub mod clock;
#[cfg(test)]
mod testing;
