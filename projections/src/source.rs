//! Where the runner reads events: what a node has newly read, or the log itself.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::around::{Stretch, partition_events};
use docket_engine::ports::log::{EventLog, LogError};
use docket_engine::tail::Tail;
use docket_schemas::{Partition, Position};

/// Reads one partition's events in order, around what cannot be read.
#[async_trait]
pub trait EventSource: Send + Sync + 'static {
    /// Events after a position, in order without gaps but for what is unreadable, at most `limit`. The log is known to
    /// hold all positions up to `head`.
    async fn read(
        &self,
        partition: Partition,
        between: (Position, Position),
        limit: usize,
    ) -> Result<Stretch, LogError>;
}

/// The log itself: for those who read all of it once.
pub struct FromLog(pub Arc<dyn EventLog>);

#[async_trait]
impl EventSource for FromLog {
    async fn read(
        &self,
        partition: Partition,
        between: (Position, Position),
        limit: usize,
    ) -> Result<Stretch, LogError> {
        partition_events(&*self.0, partition, between, limit).await
    }
}

#[async_trait]
impl EventSource for Tail {
    async fn read(
        &self,
        partition: Partition,
        (after, _): (Position, Position),
        limit: usize,
    ) -> Result<Stretch, LogError> {
        Self::read(self, partition, after, limit).await
    }
}
