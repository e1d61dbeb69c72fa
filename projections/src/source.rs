//! Where the runner reads events: what a node has newly read, or the log itself.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::ports::log::{EventLog, LogError};
use docket_engine::tail::Tail;
use docket_schemas::{Event, Partition, Position};

/// Reads one partition's events in order.
#[async_trait]
pub trait EventSource: Send + Sync + 'static {
    /// Events after a position, in order without gaps, at most `limit`.
    async fn read(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, LogError>;
}

/// The log itself: for those who read all of it once.
pub struct FromLog(pub Arc<dyn EventLog>);

#[async_trait]
impl EventSource for FromLog {
    async fn read(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, LogError> {
        let events = self.0.partition_events(partition, after, limit).await?;
        Ok(events.into_iter().map(Arc::new).collect())
    }
}

#[async_trait]
impl EventSource for Tail {
    async fn read(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, LogError> {
        Self::read(self, partition, after, limit).await
    }
}
