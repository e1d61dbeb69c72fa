//! The clock: an argument, so that the core can be replayed and simulated.

use docket_schemas::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC. May jump: nothing is ordered by it alone.
    fn now(&self) -> Timestamp;
}
