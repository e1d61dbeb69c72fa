//! What the stream would still keep: the position in each partition behind which everything is young enough.

use docket_engine::around::partition_events;
use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use docket_engine::ports::log::{EventLog, LogError};
use docket_schemas::{Partition, Position, Timestamp};

use crate::stream_config::STREAM_KEEPS_FOR;

/// The last positions of events that the stream would have dropped by now.
pub(super) async fn positions(
    log: &dyn EventLog,
    clock: &dyn Clock,
    heads: &Positions,
) -> Result<Positions, LogError> {
    let kept = i64::try_from(STREAM_KEEPS_FOR.as_micros()).unwrap_or(i64::MAX);
    let since = clock.now().plus_micros(-kept);
    let mut positions = Positions::START;
    for (partition, head) in heads.iter() {
        positions.set(partition, last_before(log, partition, head, since).await?);
    }
    Ok(positions)
}

/// By halves: within a partition time order is position order.
async fn last_before(
    log: &dyn EventLog,
    partition: Partition,
    head: Position,
    since: Timestamp,
) -> Result<Position, LogError> {
    let (mut older, mut younger) = (0, head);
    while older < younger {
        let middle = older + (younger - older) / 2;
        let read = partition_events(log, partition, (middle, head), 1).await?;
        match read.events.first() {
            Some(event) if event.recorded_at < since => older = event.position,
            _ => younger = middle,
        }
    }
    Ok(older)
}
