//! The witness: how far the log had come, remembered outside the database.

use async_trait::async_trait;
use docket_schemas::{EventId, Partition, Position};

/// The last event of a partition, as it was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witnessed {
    /// Which partition.
    pub partition: Partition,
    /// Its last position.
    pub position: Position,
    /// The event there.
    pub event_id: EventId,
    /// The number of the incarnation that wrote it. A later one has accounted for what this one lost.
    pub incarnation: u32,
}

/// Remembers acknowledged positions where a restored database does not take them back with it.
#[async_trait]
pub trait Witness: Send + Sync + 'static {
    /// Remembers, after the commit and before its acknowledgement.
    fn record(&self, reached: &[Witnessed]);

    /// Everything that any node remembers.
    ///
    /// # Errors
    /// When a record cannot be read: which, and what to do.
    async fn recall(&self) -> Result<Vec<Witnessed>, String>;
}
