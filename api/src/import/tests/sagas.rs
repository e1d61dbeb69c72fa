//! Sagas of another Docket.

use docket_engine::desk::Desk;
use docket_engine::ports::log::{APPEND_BATCH_ROWS_MAX, StreamRead};
use docket_sagas::State;
use docket_schemas::saga::payload::{Parked, Resumed, SagaPayload, Started, StepStarted};
use docket_schemas::{CommandId, Role, SagaId};

use super::*;
use crate::import::saga_rows::{SagaRows, SagaStep, append, parts, row};
use crate::import::step::{Author, Who};
use crate::import::tally::Tally;

fn step(desk: &Desk, stream: Stream, payload: SagaPayload) -> SagaStep {
    let author = Author { who: Who::Person("ann".into()), role: Role::Agent, device: "".into() };
    SagaStep {
        tenant: tenant(),
        stream,
        command_id: CommandId::new(desk.ports().ids.time_ordered()),
        author,
        occurred_at: desk.ports().clock.now(),
        correlation_id: None,
        causation_id: None,
        payload,
    }
}

fn started() -> SagaPayload {
    SagaPayload::Started(Started {
        definition: "bulk-update".to_owned(),
        version: 1,
        subject: "2 tickets".to_owned(),
        input: serde_json::Value::Null,
    })
}

fn tried() -> SagaPayload {
    SagaPayload::StepStarted(StepStarted { start: None, step: "apply".to_owned() })
}

fn new_stream(desk: &Desk) -> Stream {
    Stream::saga(SagaId::new(desk.ports().ids.time_ordered()))
}

async fn write(desk: &Desk, steps: &[SagaStep]) -> Summary {
    let tally = Tally::new(Arc::new(Heard::default()));
    let mut sagas = SagaRows::default();
    steps.iter().for_each(|step| sagas.push(step.clone()));
    sagas.write(desk, &tally).await.unwrap();
    tally.summary()
}

async fn stored(desk: &Desk, stream: Stream) -> Vec<Event> {
    let read = StreamRead { tenant: tenant(), stream, after: 0 };
    desk.ports().log.stream_events(&[read]).await.unwrap()
}

async fn is_parked(desk: &Desk, stream: Stream) -> bool {
    let mut state = State::new(tenant(), SagaId::new(stream.id));
    state.fold(&stored(desk, stream).await).unwrap();
    state.parked.is_some()
}

#[tokio::test]
async fn a_saga_that_was_resumed_after_its_import_is_not_parked_by_another() {
    let office = Office::open().await;
    let desk = &office.started.desk;
    let stream = new_stream(desk);
    let steps = [step(desk, stream, started()), step(desk, stream, tried())];
    assert_eq!(write(desk, &steps).await.written, 2);
    assert!(is_parked(desk, stream).await, "it had not ended");
    let resumed = step(desk, stream, SagaPayload::Resumed(Resumed::default()));
    let resumed = row(desk, &resumed).await.unwrap();
    let last = stored(desk, stream).await.last().unwrap().position;
    append(desk, &tenant(), vec![vec![resumed]], last).await.unwrap();
    let before = stored(desk, stream).await;
    let again = write(desk, &steps).await;
    assert_eq!((again.written, again.already_there), (0, 2));
    assert_eq!(stored(desk, stream).await, before);
    assert!(!is_parked(desk, stream).await, "it goes on");
}

#[tokio::test]
async fn a_saga_of_more_rows_than_fit_is_parked_from_its_first_part_on() {
    let office = Office::open().await;
    let desk = &office.started.desk;
    let stream = new_stream(desk);
    let mut steps = vec![step(desk, stream, started())];
    steps.extend((0..2 * APPEND_BATCH_ROWS_MAX).map(|_| step(desk, stream, tried())));
    // A row that says so by itself is enough.
    let own = Parked { step: None, direction: None, reason: "it waits".to_owned() };
    steps[APPEND_BATCH_ROWS_MAX - 1].payload = SagaPayload::Parked(own);
    steps[APPEND_BATCH_ROWS_MAX].payload = SagaPayload::Resumed(Resumed::default());
    let mut rows = Vec::new();
    for step in &steps {
        rows.push(row(desk, step).await.unwrap());
    }
    let state = State::new(tenant(), SagaId::new(stream.id));
    let parts = parts(state, stream, rows, desk.ports().clock.now());
    let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
    assert_eq!(lengths, [APPEND_BATCH_ROWS_MAX, APPEND_BATCH_ROWS_MAX, 2]);
    let mut last = 0;
    for part in parts {
        append(desk, &tenant(), vec![part], last).await.unwrap();
        assert!(is_parked(desk, stream).await);
        last = stored(desk, stream).await.last().unwrap().position;
    }
    assert_eq!(write(desk, &steps).await.written, 0);
}
