//! What `docket.append` answers, and what it says of each unit.

use docket_engine::ports::log::{Batch, LogError, Placed, UnitOutcome};
use docket_schemas::{CommandId, Event, EventId, Partition, Tenant, Timestamp};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::bookkeeping::Bookkeeping;
use crate::event_row::{get, position};
use crate::failure::damaged;
use crate::fences::no_incarnation;
use crate::look_up::events_of_commands;
use crate::session::Sessions;

pub(super) struct Reply {
    verdict: i16,
    newest: Option<String>,
    newest_epoch: Option<i64>,
    heads: Vec<i64>,
    base: i64,
    refusals: Vec<Refusal>,
}

struct Refusal {
    unit: usize,
    outcome: i16,
    row: usize,
    slot: Option<i32>,
    holder: Option<Uuid>,
}

impl Reply {
    pub(super) fn read(rows: &[PgRow]) -> Result<Self, LogError> {
        let row = rows.first().ok_or_else(|| damaged("the append gave no answer"))?;
        Ok(Self {
            verdict: get(row, 0)?,
            newest: get(row, 1)?,
            newest_epoch: get(row, 2)?,
            heads: get(row, 3)?,
            base: get::<Option<i64>>(row, 4)?.unwrap_or(0),
            refusals: refusals(row)?,
        })
    }

    /// An outcome for each unit. Stored events of duplicates are read afterwards: they never change. What cannot be read is
    /// its own unit's damage: the others are written.
    pub(super) async fn outcomes(
        &self,
        readers: &Sessions,
        batch: &Batch,
        books: &Bookkeeping<'_>,
    ) -> Result<Vec<UnitOutcome>, LogError> {
        if let Some(refusal) = self.whole_batch_refusal()? {
            return Ok(vec![refusal; batch.units.len()]);
        }
        let mut outcomes = self.places(batch, books)?;
        let duplicates = self.duplicates(batch)?;
        let stored = match duplicates.as_slice() {
            [] => Vec::new(),
            commands => events_of_commands(readers, commands).await?,
        };
        let mut stored = stored.into_iter();
        for refusal in &self.refusals {
            let outcome = match refusal.outcome {
                DUPLICATE => refusal.with_event(stored.next().flatten()),
                _ => refusal.without_event(books),
            };
            outcomes[refusal.unit] = outcome.unwrap_or_else(damage_of_unit);
        }
        Ok(outcomes)
    }

    fn whole_batch_refusal(&self) -> Result<Option<UnitOutcome>, LogError> {
        let newest = || self.newest.as_deref().ok_or_else(no_incarnation);
        match self.verdict {
            0 => Ok(None),
            1 => {
                let current = newest()?.parse().map_err(damaged)?;
                Ok(Some(UnitOutcome::IncarnationOld { current }))
            }
            2 => {
                let current = u64::try_from(self.newest_epoch.unwrap_or(0)).map_err(damaged)?;
                Ok(Some(UnitOutcome::EpochOld { current }))
            }
            _ => Err(no_incarnation()),
        }
    }

    /// Every unit as appended, with nothing for those that were refused.
    fn places(&self, batch: &Batch, books: &Bookkeeping<'_>) -> Result<Vec<UnitOutcome>, LogError> {
        let mut heads = self.heads.clone();
        let mut partitions = books.partitions.iter();
        let mut refusals = self.refusals.iter().map(|refusal| refusal.unit).peekable();
        let mut outcomes = Vec::with_capacity(batch.units.len());
        for (index, unit) in batch.units.iter().enumerate() {
            let partitions = partitions.by_ref().take(unit.rows.len());
            if refusals.next_if_eq(&index).is_some() {
                partitions.for_each(drop);
                outcomes.push(UnitOutcome::Behind);
                continue;
            }
            let late = i64::try_from(index).unwrap_or(i64::MAX);
            let recorded_at = Timestamp::from_micros(self.base).plus_micros(late);
            let places = partitions.map(|partition| place(*partition, recorded_at, &mut heads));
            outcomes.push(UnitOutcome::Appended(places.collect::<Result<_, _>>()?));
        }
        Ok(outcomes)
    }

    fn duplicates(&self, batch: &Batch) -> Result<Vec<(Tenant, Partition, CommandId)>, LogError> {
        let command = |refusal: &Refusal| {
            let row = batch.units.get(refusal.unit).and_then(|unit| unit.rows.get(refusal.row));
            let draft = &row.ok_or_else(|| damaged("the append names a row of no unit"))?.draft;
            let partition = draft.stream.partition(&draft.tenant);
            Ok((draft.tenant.clone(), partition, draft.command_id))
        };
        let duplicates = self.refusals.iter().filter(|refusal| refusal.outcome == DUPLICATE);
        duplicates.map(command).collect()
    }
}

const DUPLICATE: i16 = 1;

fn damage_of_unit(error: LogError) -> UnitOutcome {
    let what = match error {
        LogError::Damaged { what, .. } => what,
        other => other.to_string(),
    };
    UnitOutcome::Damaged { what }
}

impl Refusal {
    fn with_event(&self, stored: Option<Result<Event, LogError>>) -> Result<UnitOutcome, LogError> {
        let event = stored.ok_or_else(|| damaged("a stored command has no event"))??;
        Ok(UnitOutcome::Duplicate { row: self.row, stored: Box::new(event) })
    }

    fn without_event(&self, books: &Bookkeeping<'_>) -> Result<UnitOutcome, LogError> {
        let key = || {
            let key = self.slot.and_then(|number| books.slot(number)).cloned();
            key.ok_or_else(|| damaged("the append names no slot"))
        };
        Ok(match self.outcome {
            2 => UnitOutcome::Behind,
            3 => {
                let holder = self.holder.ok_or_else(|| damaged("a held slot has no holder"))?;
                UnitOutcome::SlotHeld { key: key()?, holder: EventId::new(holder) }
            }
            4 => UnitOutcome::SlotFree { key: key()? },
            5 => UnitOutcome::Damaged { what: "a command stands twice in its unit".to_owned() },
            _ => return Err(damaged("the append gave an unknown outcome")),
        })
    }
}

fn refusals(row: &PgRow) -> Result<Vec<Refusal>, LogError> {
    let units = get::<Option<Vec<i32>>>(row, 5)?.unwrap_or_default();
    let outcomes = get::<Option<Vec<i16>>>(row, 6)?.unwrap_or_default();
    let rows = get::<Option<Vec<i32>>>(row, 7)?.unwrap_or_default();
    let slots = get::<Option<Vec<Option<i32>>>>(row, 8)?.unwrap_or_default();
    let holders = get::<Option<Vec<Option<Uuid>>>>(row, 9)?.unwrap_or_default();
    let parts = units.into_iter().zip(outcomes).zip(rows).zip(slots).zip(holders);
    let refusal = |((((unit, outcome), row), slot), holder): ((((i32, i16), i32), _), _)| {
        let unit = usize::try_from(unit).map_err(damaged)?;
        let row = usize::try_from(row).map_err(damaged)?;
        Ok(Refusal { unit, outcome, row, slot, holder })
    };
    parts.map(refusal).collect()
}

fn place(
    partition: Partition,
    recorded_at: Timestamp,
    heads: &mut [i64],
) -> Result<Placed, LogError> {
    let head = heads.get_mut(partition.index()).ok_or_else(|| damaged("a head is missing"))?;
    *head += 1;
    Ok(Placed { partition, position: position(*head)?, recorded_at })
}
