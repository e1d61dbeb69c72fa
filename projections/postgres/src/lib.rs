//! Owns: the tickets view on PostgreSQL.
//! Imports: `docket-projections` for the port, `docket-engine`, `docket-schemas`.
//! Never: folds a ticket; reads the log.
