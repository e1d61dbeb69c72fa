//! A saga's unit: its row with commands on tickets, all or nothing, also under races.

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::saga::payload::StepSucceeded;
use docket_schemas::{
    CommandId, Incarnation, Role, SagaEvent, SagaPayload, Status, Stream, TicketId, derivation,
};

use crate::command::{Command, Intent, PlainRow, Refusal, SagaUnit, Source};
use crate::desk::{Desk, DeskError, Joined};
use crate::memory::MemoryLog;
use crate::ports::log::{Expected, StreamRead};
use crate::testing::Office;

struct Saga {
    start: CommandId,
    row: PlainRow,
}

impl Saga {
    async fn of(office: &Office) -> Self {
        let start = office.command();
        let payload = StepSucceeded { start: None, step: "a".into(), output: 1.into(), end: None };
        let row = PlainRow {
            caller: office.caller(Role::Agent, "ann").await,
            stream: Stream::saga(derivation::saga_of(start)),
            expected: Expected::Last(0),
            command_id: derivation::saga_row(start, 1, SagaEvent::StepSucceeded),
            request_mac: None,
            payload: SagaPayload::StepSucceeded(payload),
            slots: Vec::new(),
            occurred_at: docket_schemas::Timestamp::from_micros(1),
            correlation_id: Some(start),
            causation_id: None,
        };
        Self { start, row }
    }

    fn next(&self, number: u64, expected: u64) -> PlainRow {
        let command_id = derivation::saga_row(self.start, number, SagaEvent::StepSucceeded);
        PlainRow { command_id, expected: Expected::Last(expected), ..self.row.clone() }
    }

    async fn rows(&self, office: &Office) -> usize {
        let stream = self.row.stream;
        let read = StreamRead { tenant: office.tenant.clone(), stream, after: 0 };
        office.log.stream_events(&[read]).await.unwrap().len()
    }
}

/// All or nothing: the first refusal refuses the whole.
fn whole(intents: Vec<Intent>, row: PlainRow) -> SagaUnit {
    let row_tenant = row.caller.tenant.clone();
    let conclude = move |verdicts: &[Result<(), Refusal>]| {
        verdicts.iter().cloned().collect::<Result<(), Refusal>>().map(|()| row.clone())
    };
    let tenant = row_tenant;
    SagaUnit {
        tenant,
        write: None,
        intents: intents.into_iter().map(Arc::new).collect(),
        conclude: Arc::new(conclude),
        divisible: false,
    }
}

async fn ticket(office: &Office, desk: &Desk) -> TicketId {
    desk.open(office.opening().await).await.unwrap().ticket.id
}

async fn status(office: &Office, start: CommandId, ticket: TicketId, status: Status) -> Intent {
    let agent = office.caller(Role::Agent, "ann").await;
    let command_id = derivation::saga_effect(start, &format!("a/run/{ticket}"));
    let intent = office.intent(&agent, ticket, Command::status(status)).await;
    Intent { command_id, source: Source::Saga(start), request_mac: None, ..intent }
}

#[tokio::test]
async fn a_sagas_row_and_its_commands_are_one_unit() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let saga = Saga::of(&office).await;
    let (one, two) = (ticket(&office, &desk).await, ticket(&office, &desk).await);
    let intents = vec![
        status(&office, saga.start, one, Status::Pending).await,
        status(&office, saga.start, two, Status::Solved).await,
    ];
    let joined = desk.step(whole(intents.clone(), saga.row.clone())).await.unwrap();
    let Joined::Done(placed) = joined else { panic!("{joined:?}") };
    assert_eq!(placed.len(), 3);
    assert!(placed.windows(2).all(|pair| pair[0].recorded_at == pair[1].recorded_at));
    for (id, is) in [(one, Status::Pending), (two, Status::Solved)] {
        let events = office.events(id).await;
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].correlation_id, Some(saga.start));
        let seen = desk.look(&office.tenant, id, |t| t.resolve().unwrap().status).await.unwrap();
        assert_eq!(seen, Some(is), "what is in memory is what is durable");
    }
    let again = desk.step(whole(intents, saga.next(2, placed[0].position))).await.unwrap();
    assert!(matches!(again, Joined::Stored(_)), "{again:?}");
    assert_eq!(saga.rows(&office).await, 1);
}

#[tokio::test]
async fn one_refused_command_writes_nothing_and_leaves_the_tickets_as_they_were() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let saga = Saga::of(&office).await;
    let (one, two) = (ticket(&office, &desk).await, ticket(&office, &desk).await);
    let admin = office.caller(Role::Admin, "root").await;
    let closing = office.intent(&admin, two, Command::status(Status::Closed)).await;
    desk.execute(closing).await.unwrap();
    let intents = vec![
        status(&office, saga.start, one, Status::Pending).await,
        status(&office, saga.start, two, Status::Solved).await,
    ];
    let refused = desk.step(whole(intents, saga.row.clone())).await;
    assert!(matches!(refused, Err(DeskError::Refused(Refusal::Closed))), "{refused:?}");
    assert_eq!((saga.rows(&office).await, office.events(one).await.len()), (0, 1));
    let seen = desk.look(&office.tenant, one, |t| t.resolve().unwrap().status).await.unwrap();
    assert_eq!(seen, Some(Status::New));
}

#[tokio::test]
async fn a_row_on_a_stream_that_went_on_is_fenced_and_takes_its_commands_with_it() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let saga = Saga::of(&office).await;
    let one = ticket(&office, &desk).await;
    desk.step(SagaUnit::alone(saga.row.clone())).await.unwrap();
    let intent = status(&office, saga.start, one, Status::Pending).await;
    let behind = desk.step(whole(vec![intent.clone()], saga.next(2, 0))).await;
    assert!(matches!(behind, Err(DeskError::Fenced)), "{behind:?}");
    assert_eq!((saga.rows(&office).await, office.events(one).await.len()), (1, 1));
}

#[tokio::test]
async fn units_of_sagas_and_others_on_the_same_tickets_all_arrive() {
    let office = Arc::new(Office::new().await);
    let desks = [office.desk().await, office.desk().await];
    let id = ticket(&office, &desks[0]).await;
    let mut tasks = Vec::new();
    for number in 0..40 {
        let (office, desk) = (Arc::clone(&office), desks[number % 2].clone());
        tasks.push(tokio::spawn(async move {
            if number % 4 < 2 {
                let agent = office.caller(Role::Agent, "bob").await;
                let note = office.intent(&agent, id, Command::note("x")).await;
                desk.execute(note).await.unwrap();
                return;
            }
            let saga = Saga::of(&office).await;
            let intent = status(&office, saga.start, id, Status::Pending).await;
            let unit = whole(vec![intent], saga.row.clone());
            let joined = desk.step(unit).await.unwrap();
            assert!(matches!(joined, Joined::Done(_)), "{joined:?}");
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(office.events(id).await.len(), 41);
}

#[tokio::test]
async fn a_row_on_a_position_that_a_restore_has_lost_is_fenced_and_leaves_its_tickets_free() {
    let log = Arc::new(MemoryLog::new());
    let office = Office::over(log.clone()).await;
    let desk = office.desk().await;
    let saga = Saga::of(&office).await;
    let one = ticket(&office, &desk).await;
    let mut last = 0;
    let mut backups = vec![log.backup()];
    for number in 1..=3 {
        let joined = desk.step(SagaUnit::alone(saga.next(number, last))).await.unwrap();
        let Joined::Done(placed) = joined else { panic!("{joined:?}") };
        last = placed[0].position;
        backups.push(log.backup());
    }
    backups.pop();
    // The row before it is the last one, or there is none.
    for backup in [backups.pop().unwrap(), backups.remove(0)] {
        log.restore(backup);
        let intent = status(&office, saga.start, one, Status::Pending).await;
        let step = desk.step(whole(vec![intent], saga.next(4, last)));
        let step = tokio::time::timeout(Duration::from_secs(10), step).await;
        assert!(matches!(step, Ok(Err(DeskError::Fenced))), "{step:?}");
        let agent = office.caller(Role::Agent, "bob").await;
        let note = office.intent(&agent, one, Command::note("x")).await;
        let noted = tokio::time::timeout(Duration::from_secs(10), desk.execute(note)).await;
        assert!(matches!(noted, Ok(Ok(_))), "{noted:?}");
    }
}

#[tokio::test]
async fn a_row_that_builds_on_another_is_not_sent_again_under_the_next_incarnation() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let saga = Saga::of(&office).await;
    let begin = async |number| {
        let [before, next] = [number - 1, number].map(|one| Incarnation::new("eu", one).unwrap());
        office.log.begin_incarnation(Some(&before), &next).await.unwrap();
    };
    begin(2).await;
    // The first row of a stream builds on none.
    let joined = desk.step(SagaUnit::alone(saga.row.clone())).await.unwrap();
    let Joined::Done(placed) = joined else { panic!("{joined:?}") };
    begin(3).await;
    let next = || SagaUnit::alone(saga.next(2, placed[0].position));
    let fenced = desk.step(next()).await;
    assert!(matches!(fenced, Err(DeskError::Fenced)), "{fenced:?}");
    let looked_again = desk.step(next()).await;
    assert!(matches!(looked_again, Ok(Joined::Done(_))), "{looked_again:?}");
}
