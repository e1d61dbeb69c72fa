//! Owns: the tickets view on SQLite, in a file of its own.
//! Imports: `docket-projections` for the port, `docket-engine`, `docket-schemas`.
//! Never: folds a ticket; reads or blocks the log.

mod dump;
mod failure;
pub use failure::OpenError;
mod file;
mod list;
mod mend;
mod requests;
mod row;
mod slot;
mod store;
pub use store::SqliteViews;
mod versions;
mod write;
