//! How a projection does: its lag by partition; the tickets view also with its versions and what it cannot fold.

use docket_engine::around::partition_events;
use docket_engine::cursor::Positions;
use docket_engine::ports::log::{EventLog, LogError};
use docket_projections::PartitionSet;
use docket_projections::store::{Parked, Phase, Version, ViewStore};
use docket_schemas::{Partition, Position, Timestamp};

/// The view as operators see it.
pub struct Status {
    /// Oldest first.
    pub versions: Vec<Version>,
    /// How far the active one is behind, in every partition.
    pub lags: Vec<PartitionLag>,
    /// Of the active version.
    pub parked: Vec<Parked>,
}

/// How far a partition is behind the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartitionLag {
    /// Which.
    pub partition: Partition,
    /// How far it has come.
    pub position: Position,
    /// Events that are not in it.
    pub events: u64,
    /// Since when the oldest of them waits, in seconds.
    pub seconds: f64,
}

/// Seconds between two times; none before the first.
#[must_use]
pub fn seconds_since(since: Timestamp, now: Timestamp) -> f64 {
    let micros = now.micros().saturating_sub(since.micros()).max(0);
    micros as f64 / 1e6
}

/// Looks at the view and at the log.
///
/// # Errors
/// When one of them does not answer.
pub async fn status(
    store: &dyn ViewStore,
    log: &dyn EventLog,
    now: Timestamp,
) -> Result<Status, Box<dyn std::error::Error + Send + Sync>> {
    let lags = lags(log, &store.reached().await?, now).await?;
    let versions = store.versions().await?;
    let active = versions.iter().find(|version| version.phase == Phase::Active);
    let parked = match active {
        Some(active) => store.parked(active.number, PartitionSet::ALL).await?,
        None => Vec::new(),
    };
    Ok(Status { versions, lags, parked })
}

impl PartitionLag {
    /// Events in all, and the longest wait in seconds.
    #[must_use]
    pub fn of_all(lags: &[Self]) -> (u64, f64) {
        let events = lags.iter().map(|lag| lag.events).sum();
        (events, lags.iter().map(|lag| lag.seconds).fold(0.0, f64::max))
    }
}

/// How far positions are behind the log, in every partition.
///
/// # Errors
/// When the log does not answer.
pub async fn lags(
    log: &dyn EventLog,
    positions: &Positions,
    now: Timestamp,
) -> Result<Vec<PartitionLag>, LogError> {
    let heads = log.heads().await?;
    let mut lags = Vec::new();
    for (partition, head) in heads.iter() {
        let position = positions.get(partition);
        let events = head.saturating_sub(position);
        let mut seconds = 0.0;
        if events > 0 {
            let next = partition_events(log, partition, (position, head), 1).await?;
            seconds =
                next.events.first().map_or(0.0, |event| seconds_since(event.recorded_at, now));
        }
        lags.push(PartitionLag { partition, position, events, seconds });
    }
    Ok(lags)
}
