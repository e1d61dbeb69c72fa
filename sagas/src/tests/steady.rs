//! What a saga goes on after: a log that does not answer, a step that panics, operators in haste, nodes that end.

use std::time::Duration;

use async_trait::async_trait;
use docket_engine::command::Command;
use docket_engine::cursor::Positions;
use docket_engine::ports::sagas::Standing;
use docket_schemas::{Changed, Event, SagaId, Stream, TicketEvent, TicketId};
use serde_json::Value;

use super::crew::{Crew, Node, QUICK, Tag, transient};
use crate::*;

/// How long anything here may take.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Waits until a saga is as wanted.
async fn once(crew: &Crew, node: &Node, id: SagaId, wanted: impl Fn(&State) -> bool) -> State {
    let waits = async {
        loop {
            let state = node.coordinator.load(&crew.office.tenant, id).await.unwrap();
            if wanted(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(ENDS_WITHIN, waits).await.expect("it comes to that")
}

#[tokio::test]
async fn a_read_that_fails_once_leaves_no_saga_behind() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    crew.script.fail("b/run", &[transient(), transient(), transient()]);
    let (ticket, state, standing) = crew.run(&node, "four").await;
    assert_eq!(standing, Standing::Parked);
    crew.log.miss(1);
    let by = crew.operator().await;
    node.coordinator.operate(&by, state.id, &Operation::Retry { reason: None }).await.unwrap();
    once(&crew, &node, state.id, |state| state.ended.is_some()).await;
    assert_eq!(crew.tags(&node, ticket).await, ["a", "b", "c", "d"]);
}

struct Panics;

#[async_trait]
impl Local for Panics {
    async fn plan(&self, _: &Scene) -> Result<Plan, StepError> {
        panic!("on purpose")
    }
}

#[tokio::test]
async fn a_step_that_panics_parks() {
    let crew = Crew::new().await;
    let panics = Definition::new("panics", 1).step(Step::local("a", Panics).retry(QUICK));
    let node = crew.node(vec![panics]).await;
    let (_, state, standing) = crew.run(&node, "panics").await;
    assert_eq!(standing, Standing::Parked);
    assert_eq!(state.parked.unwrap().reason, "failed 3 times: the step panicked");
}

#[tokio::test]
async fn a_large_job_is_cancelled_on_the_node_that_carries_it() {
    let crew = Crew::new().await;
    let node = crew.node(vec![bulk_update()]).await;
    // Nobody's: each is a result of its own, and as much work for the log.
    let tickets: Vec<TicketId> =
        (0..BULK_TICKETS_MAX).map(|_| TicketId::new(crew.office.command().uuid())).collect();
    let request = BulkRequest {
        caller: crew.agent().await,
        command_id: crew.office.command(),
        request_mac: None,
        tickets,
        set: Changed { add_tags: vec!["wave-4".to_owned()], ..Changed::default() },
        occurred_at: crew.operator().await.occurred_at,
    };
    let started = node.coordinator.start(request.start()).await.expect("it starts");
    let stop = Operation::Stop { reason: None };
    let by = crew.operator().await;
    node.coordinator.operate(&by, started.state.id, &stop).await.expect("it is cancelled");
    let state = once(&crew, &node, started.state.id, |state| state.ended.is_some()).await;
    assert_eq!(state.ended.map(|(outcome, _)| outcome.as_str()), Some("cancelled"));
    let job = Job::of(&state).unwrap();
    assert!(job.results.len() < job.total, "{} of {}", job.results.len(), job.total);
}

/// A tag on the saga's ticket.
struct Tagged;

#[async_trait]
impl Awaited for Tagged {
    fn stream(&self, scene: &Scene) -> Stream {
        Stream::ticket(scene.ticket("ticket").unwrap())
    }

    fn matches(&self, _: &Scene, event: &Event) -> Option<Value> {
        (event.event_type == TicketEvent::Changed).then_some(Value::Null)
    }
}

#[tokio::test]
async fn an_event_that_came_in_time_while_no_node_ran_is_not_late() {
    let crew = Crew::new().await;
    let waits = || {
        let (event, longest) = (std::sync::Arc::new(Tagged), Duration::from_millis(500));
        let act = Act::Wait { event, longest, on_timeout: OnTimeout::Undo };
        Definition::new("waits", 1).step(Step::new("come", act))
    };
    let first = crew.node(vec![waits()]).await;
    let ticket = crew.ticket(&first).await;
    let started = crew.start(&first, "waits", ticket).await;
    let desk = first.desk.clone();
    crew.end(first).await;
    let tag = Command::tags(&["here"], &[]);
    desk.execute(crew.office.intent(&crew.agent().await, ticket, tag).await).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = crew.node(vec![waits()]).await;
    assert_eq!(crew.settle(&second, &started).await, Standing::Done);
}

/// Part after part, for ever.
struct Goes;

#[async_trait]
impl Local for Goes {
    async fn plan(&self, _: &Scene) -> Result<Plan, StepError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Plan { progress: Progress::Part, ..Plan::nothing() })
    }
}

#[tokio::test]
async fn what_was_paused_rests_on_the_node_that_takes_over() {
    let crew = Crew::new().await;
    let endless = || Definition::new("endless", 1).step(Step::local("a", Goes));
    let first = crew.node(vec![endless()]).await;
    let ticket = crew.ticket(&first).await;
    let started = crew.start(&first, "endless", ticket).await;
    let id = started.state.id;
    once(&crew, &first, id, |state| state.rows > 2).await;
    first.coordinator.pause(&crew.operator().await, "endless", None).await.unwrap();
    crew.end(first).await;
    let second = crew.node(vec![endless()]).await;
    let rests = crew.load(&second, &started).await.rows;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(crew.load(&second, &started).await.rows, rests);
    second.coordinator.resume(&crew.operator().await, "endless", None).await.unwrap();
    once(&crew, &second, id, |state| state.rows > rests).await;
}

#[tokio::test]
async fn a_table_that_has_not_heard_of_a_pause_does_not_end_it() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    let tenant = &crew.office.tenant;
    for is_paused in [true, false, true] {
        let by = crew.operator().await;
        match is_paused {
            true => node.coordinator.pause(&by, "four", None).await.unwrap(),
            false => node.coordinator.resume(&by, "four", None).await.unwrap(),
        };
        node.coordinator.look_for_pauses().await;
        assert_eq!(node.coordinator.is_paused(tenant, "four"), is_paused);
        // The table has it by now.
        tokio::time::sleep(Duration::from_millis(600)).await;
        node.coordinator.look_for_pauses().await;
        assert_eq!(node.coordinator.is_paused(tenant, "four"), is_paused);
    }
}

/// Tags the ticket that the input has under a name.
struct TagOf(&'static str);

#[async_trait]
impl Local for TagOf {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let command = Command::tags(&[scene.step], &[]);
        let intent = scene.intent(scene.ticket(self.0)?, scene.command("tag"), command);
        Ok(Plan::whole(vec![intent], Value::Null))
    }
}

#[tokio::test]
async fn what_another_node_wrote_for_a_saga_is_shown_too_before_it_is_done() {
    let crew = Crew::new().await;
    let handed_on = || {
        Definition::new("handed-on", 1)
            .step(Step::local("a", TagOf("ticket")))
            .step(Step::new("rest", Act::Pause(Duration::from_millis(600))))
            .step(Step::local("b", TagOf("other")))
            .step(Step::shown("shown"))
    };
    let first = crew.node(vec![handed_on()]).await;
    let partition = |ticket| Stream::ticket(ticket).partition(&crew.office.tenant);
    let (ticket, mut other) = (crew.ticket(&first).await, crew.ticket(&first).await);
    while partition(other) == partition(ticket) {
        other = crew.ticket(&first).await;
    }
    let mut all: Positions = crew.shown.0.borrow().unwrap();
    let everything = all;
    // The first step's partition is behind, and no other.
    all.set(partition(ticket), crew.office.log.heads().await.unwrap().get(partition(ticket)));
    crew.shown.0.send_replace(Some(all));
    let mut start = crew.asked("handed-on", ticket).await;
    start.input["other"] = serde_json::json!(other);
    let started = first.coordinator.start(start).await.unwrap();
    crew.end(first).await;
    let second = crew.node(vec![handed_on()]).await;
    once(&crew, &second, started.state.id, |state| state.step("b").is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(crew.load(&second, &started).await.ended.is_none(), "what `a` wrote is not shown");
    crew.shown.0.send_replace(Some(everything));
    assert_eq!(crew.settle(&second, &started).await, Standing::Done);
}

#[tokio::test]
async fn a_step_that_lets_go_of_what_a_saga_holds_is_not_skipped() {
    let crew = Crew::new().await;
    let tag = Tag(crew.script.clone());
    let holds = Definition::new("holds", 1)
        .step(Step::local("a", tag.clone()).undo(tag.clone()).indispensable())
        .step(Step::local("b", tag).retry(QUICK).indispensable());
    let node = crew.node(vec![holds]).await;
    crew.script.fail("b/run", &[transient(), transient(), transient()]);
    let (ticket, state, standing) = crew.run(&node, "holds").await;
    assert_eq!(standing, Standing::Parked);
    let skip = Operation::Skip { reason: "in a hurry".to_owned() };
    let refused = node.coordinator.operate(&crew.operator().await, state.id, &skip).await;
    assert!(matches!(refused, Err(SagaError::NotNow(_))), "{refused:?}");
    let by = crew.operator().await;
    node.coordinator.operate(&by, state.id, &Operation::Retry { reason: None }).await.unwrap();
    once(&crew, &node, state.id, |state| state.ended.is_some()).await;
    assert_eq!(crew.tags(&node, ticket).await, ["a", "b"]);
    let steps = |definition: Definition| {
        let kept = definition.steps().iter().filter(|step| step.is_indispensable);
        kept.map(|step| step.name).collect::<Vec<_>>()
    };
    assert_eq!(steps(merge_tickets()), ["begin", "end"]);
    assert_eq!(steps(unmerge_tickets()), ["begin", "end"]);
}
