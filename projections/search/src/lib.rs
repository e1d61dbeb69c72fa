//! Owns: the search index: its documents, its query language, and Tantivy behind a port.
//! Imports: `docket-projections`, `docket-engine`, `docket-schemas`.
//! Never: decides who may see what without the policy; answers with a hit that the view has not confirmed.

pub mod query;
pub mod text;

pub mod document;
pub mod highlight;
pub mod port;

pub mod tantivy_index;

pub mod drift;
pub mod errands;
#[cfg(test)]
mod folder;
pub mod home;
pub mod indexer;
mod near;
mod reading;
