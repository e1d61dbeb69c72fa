//! A help desk in memory for tests: deterministic ports, two or more nodes on one log, openings and intents.

mod erasable;
mod merging;
mod office;
mod ports;
mod unsure;

pub use erasable::ErasableKeyStore;
pub use office::{Office, digest};
pub use ports::{CountedIds, NotedWitness, SetClock, WatchedBus};
pub use unsure::UnsureLog;
