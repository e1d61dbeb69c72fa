//! Owns: the tickets view on PostgreSQL.
//! Imports: `docket-projections` for the port, `docket-engine`, `docket-schemas`.
//! Never: folds a ticket; reads the log.

mod busy;
mod connect;
pub use connect::{CONNECTIONS_MAX, ConnectError};
mod store;
pub use store::PostgresViews;
mod dump;
mod failure;
mod list;
mod mend;
mod requests;
mod row;
mod slot;
mod versions;
mod way;
mod write;
