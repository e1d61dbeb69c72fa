//! Owns: the tickets view on SQLite, in a file of its own.
//! Imports: `docket-projections` for the port, `docket-engine`, `docket-schemas`.
//! Never: folds a ticket; reads the log.
