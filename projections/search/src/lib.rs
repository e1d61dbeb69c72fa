//! Owns: the search index: its documents, its query language, and Tantivy behind a port.
//! Imports: `docket-projections`, `docket-engine`, `docket-schemas`.
//! Never: decides who may see what without the policy; answers with a hit that the view has not confirmed.
