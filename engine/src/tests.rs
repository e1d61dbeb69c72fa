//! Proofs of the engine as a whole: scenes, the desk under races, merge laws, golden files.

mod desk;
mod golden;
mod incarnations;
mod laws;
mod limits;
mod merge;
mod races;
mod scene;
mod snapshots;
mod unsure;
mod world;
