//! Random batches: the function in the database decides as the plan in the engine does.

use std::collections::BTreeMap;

use docket_engine::contract::drafts::{batch, draft, eu, ticket, unit};
use docket_engine::memory::MemoryLog;
use docket_engine::ports::log::{Batch, EventLog, Expected, Row, Unit, UnitOutcome};
use docket_postgres::{PostgresLog, PostgresOptions};
use docket_schemas::{Position, SlotKey, SlotOp};

use crate::database::Database;

/// Small alphabets, so that everything collides.
const STREAMS: u64 = 12;
const SLOTS: u64 = 3;
const BATCHES: u64 = 200;
const UNITS_MAX: u64 = 9;

/// Knuth's linear congruential generator: the same batches on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What the next batch is made of.
struct World {
    dice: Dice,
    tails: Vec<Position>,
    /// Stream and number of every draft that was sent.
    sent: Vec<(u64, u64)>,
    next_number: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_decides_as_the_engine_does() {
    let database = Database::create().await;
    let options = PostgresOptions::default();
    let postgres = PostgresLog::connect(&database.url(), &options).await.expect("a log");
    let memory = MemoryLog::new();
    for log in [&postgres as &dyn EventLog, &memory] {
        log.begin_incarnation(None, &eu(1)).await.expect("an incarnation begins");
    }
    let tails = vec![0; usize::try_from(STREAMS).expect("few")];
    let mut world = World { dice: Dice(2_026), tails, sent: Vec::new(), next_number: 1 };
    let mut seen = BTreeMap::new();
    for round in 0..BATCHES {
        let batch = world.batch();
        let expected = memory.append(batch.clone()).await.expect("memory");
        let found = postgres.append(batch.clone()).await.expect("the server answers");
        let kinds: Vec<_> = expected.iter().map(without_time).collect();
        let found: Vec<_> = found.iter().map(without_time).collect();
        assert_eq!(found, kinds, "round {round}: {batch:#?}");
        for kind in kinds {
            let name = kind.split(['(', ' ']).next().unwrap_or_default();
            *seen.entry(name.to_owned()).or_insert(0) += 1;
        }
        world.note_tails(&batch, &expected);
    }
    assert_eq!(memory.heads().await.expect("heads"), postgres.heads().await.expect("heads"));
    for kind in ["Appended", "Duplicate", "Behind", "SlotHeld", "SlotFree", "Damaged"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 10), "{kind} is tried: {seen:?}");
    }
}

impl World {
    fn batch(&mut self) -> Batch {
        let units = 1 + self.dice.roll(UNITS_MAX);
        batch(eu(1), (0..units).map(|_| self.unit()).collect())
    }

    fn unit(&mut self) -> Unit {
        let rows = 1 + self.dice.roll(3) / 2 + self.dice.roll(8) / 7;
        unit((0..rows).map(|_| self.row()).collect::<Vec<_>>())
    }

    fn row(&mut self) -> Row {
        let (stream, number) = self.name();
        let mut draft = draft(ticket(stream + 1), number);
        if self.dice.roll(12) == 0 {
            let before = self.sent.iter().rev().find(|(other, _)| *other == stream);
            let dot = before.map_or(number, |(_, number)| *number);
            draft.change.as_mut().expect("a ticket has changes").seq = dot;
        }
        self.sent.push((stream, number));
        draft.slots = self.slots();
        let tail = self.tails[usize::try_from(stream).expect("few")];
        let expected = match self.dice.roll(8) {
            0 | 1 => Expected::Opening,
            2 => Expected::Chained,
            3 => Expected::Last(self.dice.roll(20)),
            _ => Expected::Last(tail),
        };
        Row { draft: draft.into(), expected }
    }

    /// Now and then one of before: a retry, whose event may or may not be stored.
    fn name(&mut self) -> (u64, u64) {
        let sent = self.sent.len() as u64;
        if sent > 0 && self.dice.roll(6) == 0 {
            return self.sent[usize::try_from(self.dice.roll(sent)).expect("few")];
        }
        self.next_number += 1;
        (self.dice.roll(STREAMS), self.next_number)
    }

    fn slots(&mut self) -> Vec<SlotOp> {
        let steps = self.dice.roll(6).saturating_sub(3);
        let mut step = |_| {
            let key = SlotKey::stored(&format!("slot/{}", self.dice.roll(SLOTS)));
            if self.dice.roll(2) == 0 { SlotOp::Take(key) } else { SlotOp::Release(key) }
        };
        (0..steps).map(&mut step).collect()
    }

    fn note_tails(&mut self, batch: &Batch, outcomes: &[UnitOutcome]) {
        for (unit, outcome) in batch.units.iter().zip(outcomes) {
            let UnitOutcome::Appended(places) = outcome else { continue };
            for (row, place) in unit.rows.iter().zip(places) {
                let number = row.draft.stream.id.as_u64_pair().1 & 0xffff;
                self.tails[usize::try_from(number - 1).expect("few")] = place.position;
            }
        }
    }
}

/// The two have different clocks, and name a broken constraint differently.
fn without_time(outcome: &UnitOutcome) -> String {
    match outcome {
        UnitOutcome::Appended(places) => {
            let places = places.iter().map(|place| (place.partition, place.position));
            format!("Appended({:?})", places.collect::<Vec<_>>())
        }
        UnitOutcome::Duplicate { row, stored } => {
            format!("Duplicate({row}, {}, {:?})", stored.position, stored.draft)
        }
        UnitOutcome::Damaged { .. } => "Damaged".to_owned(),
        other => format!("{other:?}"),
    }
}
