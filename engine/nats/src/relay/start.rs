//! Where the relay goes on: from what the stream itself holds, as far as the log says the same.

use std::collections::HashMap;
use std::ops::Range;

use async_nats::jetstream::Context;
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::ports::log::{IncarnationStart, LogError};
use docket_engine::tail::left_of;
use docket_schemas::{Incarnation, Partition, Position};

use super::{RelayPorts, Trouble, WINDOW_MESSAGES_MAX, retention, saved};
use crate::stream_config::{StreamState, ensure_stream, stream_config};
use crate::stream_end::{Relayed, StreamReader};

/// Messages at the stream's end whose claims are compared with what stands before them: a window of a killed relay's and
/// one of its successor's.
const LOOKED_THROUGH: u64 = 2 * WINDOW_MESSAGES_MAX as u64;

/// From where on the relay publishes, and onto what.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) incarnation: Incarnation,
    pub(super) positions: Positions,
    pub(super) last_sequence: u64,
}

/// What the stream's end and the log say together.
pub(super) enum Found {
    Start(Start),
    /// The stream holds events of the log's newest incarnation, or of a later one, that the log does not.
    LogRestored,
}

/// What is known when a start is looked for.
struct Ground<'a> {
    ports: &'a RelayPorts,
    reader: StreamReader,
    state: StreamState,
    starts: Vec<IncarnationStart>,
    newest: Incarnation,
    heads: Positions,
}

/// Looks for the start; makes the streams where there are none.
pub(super) async fn find(
    ports: &RelayPorts,
    context: &Context,
    region: &str,
) -> Result<Found, Trouble> {
    let state = ensure_stream(context, &stream_config(region)).await?;
    let saved = saved::saved(context, region).await?;
    let starts = ports.log.incarnations().await?;
    let Some(newest) = starts.last().map(|start| start.incarnation.clone()) else {
        return Err(LogError::damaged("no incarnation has begun").into());
    };
    let heads = ports.log.heads().await?;
    let reader = StreamReader::new(context.clone(), region);
    let ground = Ground { ports, reader, state, starts, newest, heads };
    let positions = match ground.reader.last(state).await? {
        Some(last) => match ground.after(&last).await? {
            Some(positions) => positions,
            None => return Ok(Found::LogRestored),
        },
        None => match saved.filter(|_| state.last_seq > 0).and_then(|saved| ground.cut(&saved)) {
            Some(positions) => positions,
            None => ground.retention().await?,
        },
    };
    // An event that was never in this log cannot be passed over.
    let positions = positions.min(&ground.heads);
    let (incarnation, last_sequence) = (ground.newest, state.last_seq);
    Ok(Found::Start(Start { incarnation, positions, last_sequence }))
}

impl Ground<'_> {
    async fn retention(&self) -> Result<Positions, LogError> {
        retention::positions(&*self.ports.log, &*self.ports.clock, &self.heads).await
    }

    /// A cursor's positions, before every incarnation that began after it; none where the log does not list its own, and so
    /// does not say where that one parted from it.
    fn cut(&self, cursor: &Cursor) -> Option<Positions> {
        left_of(&cursor.incarnation, &self.starts).map(|left| left.min(&cursor.positions))
    }

    /// Behind the relay's last message; none where the log lacks what its newest incarnation has published.
    async fn after(&self, last: &Relayed) -> Result<Option<Positions>, Trouble> {
        let ends = self.reader.last_of_partitions().await?;
        for end in &ends {
            let of_now = end.cursor.incarnation.number() >= self.newest.number();
            if of_now && !self.log_has(end.partition, end).await? {
                return Ok(None);
            }
        }
        if last.cursor.incarnation == self.newest {
            return Ok(Some(self.shown(last).await?));
        }
        let ends: HashMap<Partition, Relayed> =
            ends.into_iter().map(|end| (end.partition, end)).collect();
        Ok(Some(self.across_restores(last, &ends).await?))
    }

    /// How far the stream shows the log without gaps. A message that a killed relay had sent can land behind the same event
    /// of another relay's if both come to the same place by different events; it then claims more than the stream holds.
    /// Whoever is hit by it starts anew, so that it stands near the end.
    async fn shown(&self, last: &Relayed) -> Result<Positions, Trouble> {
        let mut shown = last.cursor.positions;
        let run = self.reader.last_many(self.state, LOOKED_THROUGH).await?;
        for (before, after) in run.iter().zip(run.iter().skip(1)) {
            if before.cursor.incarnation != after.cursor.incarnation {
                continue;
            }
            for (partition, claimed) in after.cursor.positions.iter() {
                let kept = before.cursor.positions.get(partition);
                let own = u64::from(partition == after.partition);
                // What is published again anyway need not be looked for.
                let is_open = shown.get(partition) > kept && claimed > kept + own;
                if is_open && !self.holds(partition, kept..claimed - own).await? {
                    tracing::warn!(partition = partition.number(), "nats.relay.gap_filled");
                    shown.set(partition, kept);
                }
            }
        }
        Ok(shown)
    }

    /// Whether the stream has every event of a partition after the first position up to the second, as the log has it: a
    /// restore leaves lost events at the same positions.
    async fn holds(&self, partition: Partition, after: Range<Position>) -> Result<bool, Trouble> {
        if after.end - after.start > LOOKED_THROUGH {
            return Ok(false);
        }
        for position in after {
            match self.search(partition, position + 1).await? {
                Some(found) if self.log_has(partition, &found).await? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn log_has(&self, partition: Partition, relayed: &Relayed) -> Result<bool, LogError> {
        let there = self.ports.log.event_id_at(partition, relayed.position()).await?;
        Ok(there == Some(relayed.event_id))
    }

    /// The log was restored since the stream's end was written. Normally both say the same up to where the next
    /// incarnation began. If the log went on for a while before anybody noticed, they part earlier: such a partition
    /// is published again from where the stream begins, since no new event may hide behind an old one. So it is with those of
    /// an incarnation that the log does not list: there the events alone tell.
    async fn across_restores(
        &self,
        last: &Relayed,
        ends: &HashMap<Partition, Relayed>,
    ) -> Result<Positions, Trouble> {
        let mut positions = self.cut(&last.cursor).unwrap_or(last.cursor.positions);
        let mut young = None;
        for partition in Partition::all() {
            let kept = positions.get(partition);
            if kept == 0 || self.agrees(partition, kept, ends.get(&partition)).await? {
                continue;
            }
            tracing::warn!(partition = partition.number(), "nats.relay.partition_again");
            let again = match young {
                Some(young) => young,
                None => *young.insert(self.retention().await?),
            };
            positions.set(partition, kept.min(again.get(partition)));
        }
        Ok(positions)
    }

    /// Whether the stream has this position's event as the log has it.
    async fn agrees(
        &self,
        partition: Partition,
        position: Position,
        end: Option<&Relayed>,
    ) -> Result<bool, Trouble> {
        match end {
            Some(end) if end.position() == position => Ok(self.log_has(partition, end).await?),
            Some(_) => match self.search(partition, position).await? {
                Some(found) => Ok(self.log_has(partition, &found).await?),
                None => Ok(false),
            },
            None => Ok(false),
        }
    }

    /// The message of a position, by halves: positions rise with sequences but for earlier restores.
    async fn search(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<Relayed>, Trouble> {
        let (mut low, mut high) = (self.state.first_seq, self.state.last_seq + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.reader.next(partition, middle).await? {
                Some(found) if found.position() == position => return Ok(Some(found)),
                Some(found) if found.position() < position => low = found.sequence + 1,
                _ => high = middle,
            }
        }
        Ok(None)
    }
}
