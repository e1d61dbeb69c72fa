//! Proofs of the engine as a whole: scenes, the desk under races, merge laws, merged tickets, golden files.

mod desk;
mod forwarded;
mod golden;
mod incarnations;
mod laws;
mod limits;
mod merge;
mod merge_storm;
mod merged;
mod merging;
mod races;
mod saga_unit;
mod scene;
mod snapshots;
mod taken_back;
mod two;
mod unsure;
mod world;
