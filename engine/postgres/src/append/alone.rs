//! Appending unit by unit, once, after a constraint has refused a whole batch: only the unit at fault is left out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use docket_engine::ports::log::{Batch, Expected, LogError, Row, Unit, UnitOutcome};
use docket_schemas::{Position, Stream, Tenant};

use super::{CallError, call};
use crate::session::{Session, Sessions};

/// What became of the streams that earlier units of the batch touched.
#[derive(Default)]
struct Touched {
    /// With the last position that the batch wrote.
    written: HashMap<(Tenant, Stream), Position>,
    handed_back: HashSet<(Tenant, Stream)>,
}

/// Sends each unit as a batch of its own, in order.
///
/// # Errors
/// [`LogError::Unavailable`] as soon as the log is; the units before are durable then, and duplicates when sent again.
pub(super) async fn append_one_by_one(
    session: &mut Session,
    readers: &Sessions,
    batch: &Batch,
) -> Result<Vec<UnitOutcome>, LogError> {
    let mut touched = Touched::default();
    let mut outcomes = Vec::with_capacity(batch.units.len());
    for unit in &batch.units {
        let alone = Batch { units: vec![touched.alone(unit)], ..without_units(batch) };
        let outcome = match call(session, readers, &alone).await {
            Ok(mut answers) => answers.swap_remove(0),
            Err(CallError::Refused(what)) => UnitOutcome::Damaged { what },
            Err(CallError::Failed(error)) => return Err(error),
        };
        touched.note(unit, &outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

impl Touched {
    /// The unit as it stands when its batch is not there: a stream written by an earlier unit is followed from where that
    /// left it, for others may append meanwhile; one that was handed back cannot be. (`Chained` without a predecessor is handed back, but a duplicate is still found.)
    fn alone(&self, unit: &Unit) -> Unit {
        let mut met = HashSet::new();
        let row = |row: &Row| {
            let stream = stream_of(row);
            let expected = match row.expected {
                _ if self.handed_back.contains(&stream) => Expected::Chained,
                Expected::Chained if !met.contains(&stream) => self
                    .written
                    .get(&stream)
                    .map_or(Expected::Chained, |last| Expected::Last(*last)),
                expected => expected,
            };
            met.insert(stream);
            Row { draft: Arc::clone(&row.draft), expected }
        };
        Unit { rows: unit.rows.iter().map(row).collect() }
    }

    fn note(&mut self, unit: &Unit, outcome: &UnitOutcome) {
        let streams = unit.rows.iter().map(stream_of);
        match outcome {
            UnitOutcome::Appended(places) => {
                self.written.extend(streams.zip(places.iter().map(|placed| placed.position)));
            }
            _ => self.handed_back.extend(streams),
        }
    }
}

fn stream_of(row: &Row) -> (Tenant, Stream) {
    (row.draft.tenant.clone(), row.draft.stream)
}

fn without_units(batch: &Batch) -> Batch {
    Batch {
        incarnation: batch.incarnation.clone(),
        erasure_epoch: batch.erasure_epoch,
        now: batch.now,
        units: Vec::new(),
    }
}
