//! Random histories: fed in pieces of any size, by a feeder that forgets, a ticket's row is that of a fresh fold.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::command::{Command, FieldChange};
use docket_engine::cursor::Positions;
use docket_engine::desk::Desk;
use docket_engine::hot::Room;
use docket_engine::ports::log::EventLog;
use docket_engine::testing::Office;
use docket_engine::version::Version;
use docket_projections::row::TicketRow;
use docket_projections::{
    Appetite, Batch, Fed, Feeder, FromLog, PartitionSet, Sink, SinkError, Taken, TicketKey,
    fold_ticket,
};
use docket_schemas::{Partition, Priority, Role, Status, TicketId};
use parking_lot::Mutex;
use proptest::prelude::*;

/// One step of a history; every number is taken modulo what there is to choose from.
#[derive(Debug, Clone, Copy)]
struct Step {
    ticket: u8,
    writer: u8,
    action: u8,
    observed: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = any::<(u8, u8, u8, u8)>();
    let step = step.prop_map(|(ticket, writer, action, observed)| Step {
        ticket,
        writer,
        action,
        observed,
    });
    proptest::collection::vec(step, 1..30)
}

/// Keeps rows as a store would, and is fenced now and then.
#[derive(Default)]
struct Rows {
    rows: Mutex<BTreeMap<TicketKey, TicketRow>>,
    checkpoints: Mutex<Positions>,
    taken: Mutex<u32>,
}

#[async_trait]
impl Sink for Rows {
    fn name(&self) -> &str {
        "rows"
    }

    async fn checkpoints(&self, _: PartitionSet) -> Result<Positions, SinkError> {
        Ok(*self.checkpoints.lock())
    }

    async fn take(&self, batch: &Batch) -> Result<Taken, SinkError> {
        let mut taken = self.taken.lock();
        *taken += 1;
        if taken.is_multiple_of(5) {
            return Ok(Taken::Fenced);
        }
        for span in &batch.spans {
            assert_eq!(self.checkpoints.lock().get(span.partition), span.after);
            assert_eq!(span.parked, []);
            self.checkpoints.lock().set(span.partition, span.upto);
            for news in &span.tickets {
                let row = TicketRow::from(news);
                self.rows.lock().insert((row.tenant.clone(), row.ticket), row);
            }
        }
        Ok(Taken::Done)
    }
}

const WRITERS: [(Role, &str); 4] =
    [(Role::Customer, "cus_1"), (Role::Agent, "ann"), (Role::Admin, "root"), (Role::Agent, "bob")];

fn command(step: Step) -> Command {
    match step.action % 9 {
        0 => Command::status([Status::Open, Status::Solved][usize::from(step.observed % 2)]),
        1 => Command::status(Status::Pending),
        2 => Command::priority(Priority::ALL[usize::from(step.observed % 4)]),
        3 => Command::tags(&["vip", "late"][..usize::from(step.observed % 3).min(2)], &["old"]),
        4 => Command::reply("It still smokes."),
        5 => Command::note("Careful."),
        6 => Command::assign(None),
        7 => Command::reply_as("Done.", Some(Status::Solved)),
        _ => {
            let group_id = Some(step.observed.is_multiple_of(2).then(|| "desk".to_owned()));
            Command::fields(FieldChange { group_id, ..FieldChange::default() })
        }
    }
}

async fn write(
    office: &Office,
    desk: &Desk,
    seen: &mut BTreeMap<TicketId, Vec<Version>>,
    step: Step,
) {
    office.clock.advance(1_000);
    let known: Vec<TicketId> = seen.keys().copied().collect();
    if known.is_empty() || step.action % 10 == 9 {
        let opened = desk.open(office.opening().await).await.expect("a ticket").ticket;
        seen.insert(opened.id, vec![opened.public_version]);
        return;
    }
    let ticket = known[usize::from(step.ticket) % known.len()];
    let (role, name) = WRITERS[usize::from(step.writer) % WRITERS.len()];
    let caller = office.caller(role, name).await;
    let mut intent = office.intent(&caller, ticket, command(step)).await;
    let versions = &seen[&ticket];
    if step.observed > 128 {
        intent.observed = Some(versions[usize::from(step.observed) % versions.len()].clone());
    }
    // A refusal writes nothing.
    if let Ok(answer) = desk.execute(intent).await {
        let id = answer.ticket.id;
        seen.entry(id).or_default().push(answer.ticket.public_version);
    }
}

/// Feeds what there is in batches of this size.
async fn feed(feeder: &mut Feeder, log: &dyn EventLog) {
    let heads = log.heads().await.expect("the log is in memory");
    while feeder.feed(&heads).await.expect("the sink is in memory") != Fed::Nothing {}
}

async fn check(history: Vec<Step>, batch_events_max: usize, fed_every: usize, hot: usize) {
    let office = Office::new().await;
    let desk = office.desk().await;
    let sink = Arc::new(Rows::default());
    let appetite = Appetite {
        batch_events_max,
        batch_bytes_max: 10_000,
        // So few that most are read from the log again.
        hot: Room { bytes: 0, values: hot },
        ..Appetite::FOLLOW
    };
    let source = Arc::new(FromLog(Arc::clone(&office.log)));
    let mut feeder = Feeder::new(source, Arc::clone(&office.log), sink.clone(), appetite);
    feeder.own(PartitionSet::ALL).await.expect("the sink is in memory");
    let mut seen = BTreeMap::new();
    for (index, step) in history.into_iter().enumerate() {
        write(&office, &desk, &mut seen, step).await;
        if index % fed_every == 0 {
            feed(&mut feeder, &*office.log).await;
        }
    }
    feed(&mut feeder, &*office.log).await;
    let heads = office.log.heads().await.expect("the log is in memory");
    assert_eq!(*sink.checkpoints.lock(), heads);
    let rows = sink.rows.lock().clone();
    assert!(rows.len() >= seen.len(), "every ticket has a row");
    for (key, row) in &rows {
        let folded = fold_ticket(&*office.log, key, heads.get(row.partition)).await;
        let (state, position, public) =
            folded.expect("the log is in memory").expect("it can be folded").expect("it is there");
        let fresh = TicketRow::of(&key.0, &state, position, public);
        assert_eq!(*row, fresh);
        assert_eq!(row.digest(), fresh.digest());
    }
    assert_eq!(Partition::all().filter(|one| feeder.owned().has(*one)).count(), 16);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_row_fed_in_pieces_is_that_of_a_fresh_fold(
        history in steps(),
        batch in 1_usize..40,
        every in 1_usize..9,
        hot in 1_usize..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(check(history, batch, every, hot));
    }
}
