//! The coordinator on one node: what is done, undone, parked, and what operators do.

use std::time::Duration;

use docket_engine::ports::sagas::{SagaFilter, SagaTable as _, Standing};
use docket_schemas::saga::Direction;
use docket_schemas::{SagaEvent, SagaId};

use super::crew::{Crew, QUICK, business, transient};
use crate::*;

const ALL: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test]
async fn four_local_steps_are_four_rows_and_four_effects() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    let (ticket, state, standing) = crew.run(&node, "four").await;
    assert_eq!(standing, Standing::Done);
    assert_eq!(crew.tags(&node, ticket).await, ALL);
    let rows = crew.rows(&state).await;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.event_type == SagaEvent::StepSucceeded && !row.public));
    let first = rows[0].saga_payload().unwrap();
    assert_eq!(first.start().map(|start| (&*start.definition, start.version)), Some(("four", 1)));
    assert!(rows[3].saga_payload().unwrap().end().is_some());
    let events = crew.office.events(ticket).await;
    assert_eq!(events.len(), 5);
    for (row, effect) in rows.iter().zip(&events[1..]) {
        assert_eq!(row.recorded_at, effect.recorded_at, "one unit");
        assert_eq!(effect.correlation_id, Some(rows[0].command_id));
        assert_eq!(row.role, effect.role, "as who started it");
    }
}

#[tokio::test]
async fn a_failure_for_good_undoes_what_was_done_in_reverse() {
    for (failing, done) in [("a", 0), ("b", 1), ("d", 3)] {
        let crew = Crew::new().await;
        let node = crew.node(vec![crew.four()]).await;
        crew.script.fail(&format!("{failing}/run"), &[business()]);
        let (ticket, state, standing) = crew.run(&node, "four").await;
        assert_eq!(standing, Standing::Undone, "{failing}");
        assert!(crew.tags(&node, ticket).await.is_empty());
        let rows = crew.rows(&state).await;
        let undone: Vec<_> =
            rows.iter().filter(|row| row.event_type == SagaEvent::StepUndone).collect();
        assert_eq!((undone.len(), rows.len()), (done, 2 * done + 1));
        let names: Vec<_> = undone.iter().map(|row| row.data.clone()).collect();
        for (name, row) in ALL[..done].iter().rev().zip(names) {
            assert!(row.contains(&format!("\"step\":\"{name}\"")), "{row}");
        }
        assert!(rows.last().unwrap().saga_payload().unwrap().end().is_some());
    }
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_and_told() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    crew.script.fail("b/run", &[transient(), transient()]);
    let (ticket, state, standing) = crew.run(&node, "four").await;
    assert_eq!(standing, Standing::Done);
    assert_eq!(crew.tags(&node, ticket).await, ALL);
    let errors: Vec<_> =
        state.step("b").unwrap().run.attempts.iter().map(|one| one.error.as_deref()).collect();
    assert_eq!(errors, [Some("not now"), Some("not now"), None]);
}

#[tokio::test]
async fn what_does_not_pass_parks_until_an_operator_has_it_tried_again() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    crew.script.fail("c/run", &[transient(), transient(), transient()]);
    let (ticket, state, standing) = crew.run(&node, "four").await;
    assert_eq!(standing, Standing::Parked);
    let parked = state.parked.unwrap();
    assert_eq!((parked.step.as_deref(), &*parked.reason), (Some("c"), "failed 3 times: not now"));
    tokio::time::sleep(Duration::from_millis(700)).await;
    let parked = SagaFilter { standing: Some(Standing::Parked), ..SagaFilter::default() };
    let listed = crew.table.list(&crew.office.tenant, &parked, None, 9).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].failing_step.as_deref(), Some("c"));
    let by = crew.operator().await;
    let retry = Operation::Retry { reason: Some("the other side is back".to_owned()) };
    node.coordinator.operate(&by, state.id, &retry).await.unwrap();
    let state = ended(&crew, &node, state.id).await;
    assert_eq!(crew.tags(&node, ticket).await, ALL);
    let rows = crew.rows(&state).await;
    let resumed = rows.iter().find(|row| row.event_type == SagaEvent::Resumed).unwrap();
    assert_eq!(resumed.principal, by.caller.principal, "each act says who did it");
    let operated: Vec<_> =
        state.operated.iter().map(|one| (one.event, one.reason.as_deref())).collect();
    assert_eq!(operated, [(SagaEvent::Resumed, Some("the other side is back"))], "and why");
}

/// Polls, for what another task carries on.
async fn ended(crew: &Crew, node: &super::crew::Node, id: SagaId) -> State {
    for _ in 0..400 {
        let state = node.coordinator.load(&crew.office.tenant, id).await.unwrap();
        if state.ended.is_some() {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not end");
}

#[tokio::test]
async fn a_failed_undo_parks_and_a_skip_says_why() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    crew.script.fail("c/run", &[business()]);
    crew.script.fail("b/undo", &[business()]);
    let (ticket, state, standing) = crew.run(&node, "four").await;
    assert_eq!(standing, Standing::Parked);
    let parked = state.parked.clone().unwrap();
    assert_eq!(parked.step.as_deref(), Some("b"));
    assert_eq!(parked.direction, Some(Direction::Undo));
    let (by, cancel) = (crew.operator().await, Operation::Cancel { reason: None });
    let refused = node.coordinator.operate(&by, state.id, &cancel).await;
    assert!(matches!(refused, Err(SagaError::NotNow(_))));
    let skip = Operation::Skip { reason: "taken off by hand".to_owned() };
    node.coordinator.operate(&crew.operator().await, state.id, &skip).await.unwrap();
    let state = ended(&crew, &node, state.id).await;
    assert_eq!(state.ended.map(|(outcome, _)| outcome.as_str()), Some("undone"));
    assert_eq!(crew.tags(&node, ticket).await, ["b"], "only what was skipped is left");
}

#[tokio::test]
async fn cancelling_undoes_before_the_pivot_and_is_refused_after_it() {
    let crew = Crew::new().await;
    let tag = super::crew::Tag(crew.script.clone());
    let definition = Definition::new("pivot", 1)
        .step(Step::local("a", tag.clone()).undo(tag.clone()))
        .step(Step::new("rest", Act::Pause(Duration::from_millis(500))))
        .pivot(Step::local("b", tag.clone()).undo(tag.clone()))
        .step(Step::local("c", tag.clone()).retry(QUICK));
    let node = crew.node(vec![definition]).await;
    let ticket = crew.ticket(&node).await;
    let started = crew.start(&node, "pivot", ticket).await;
    let cancel = Operation::Cancel { reason: Some("wrong ticket".to_owned()) };
    let by = crew.operator().await;
    let first = node.coordinator.operate(&by, started.state.id, &cancel).await.unwrap();
    assert_eq!(crew.settle(&node, &started).await, Standing::Cancelled);
    assert!(crew.tags(&node, ticket).await.is_empty());
    let again = node.coordinator.operate(&by, started.state.id, &cancel).await.unwrap();
    assert_eq!(again.0, first.0, "the retry of an act answers as the first time");
    assert_eq!((first.1.replayed, again.1.replayed), (false, true));
    assert_eq!(again.1.placed, first.1.placed);

    crew.script.fail("c/run", &[business()]);
    let ticket = crew.ticket(&node).await;
    let started = crew.start(&node, "pivot", ticket).await;
    assert_eq!(crew.settle(&node, &started).await, Standing::Parked);
    assert_eq!(crew.tags(&node, ticket).await, ["a", "b"], "nothing is undone past the pivot");
    let late = node.coordinator.operate(&crew.operator().await, started.state.id, &cancel).await;
    assert!(matches!(late, Err(SagaError::NotNow(_))), "{late:?}");
}

#[tokio::test]
async fn a_paused_definition_rests_and_goes_on() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    let by = crew.operator().await;
    node.coordinator.pause(&by, "four", Some("incident 12".to_owned())).await.unwrap();
    let ticket = crew.ticket(&node).await;
    let started = crew.start(&node, "four", ticket).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(crew.tags(&node, ticket).await.is_empty());
    assert_eq!(crew.load(&node, &started).await.rows, 1, "it has begun, and that is all");
    node.coordinator.resume(&crew.operator().await, "four", None).await.unwrap();
    assert_eq!(crew.settle(&node, &started).await, Standing::Done);
}

#[tokio::test]
async fn what_belongs_to_the_request_is_done_while_the_definition_is_paused_and_no_more() {
    let crew = Crew::new().await;
    let tag = super::crew::Tag(crew.script.clone());
    let definition = Definition::new("marked", 1)
        .step(Step::local("a", tag.clone()).undo(tag.clone()).with_the_request())
        .step(Step::local("b", tag.clone()).undo(tag.clone()));
    let late = Definition::new("late", 1)
        .step(Step::local("a", tag.clone()))
        .step(Step::local("b", tag).with_the_request());
    assert!(late.check().is_err(), "only the first step is part of asking");
    let node = crew.node(vec![definition]).await;
    node.coordinator.pause(&crew.operator().await, "marked", None).await.unwrap();
    let ticket = crew.ticket(&node).await;
    let started = crew.start(&node, "marked", ticket).await;
    assert_eq!(crew.tags(&node, ticket).await, ["a"]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(crew.tags(&node, ticket).await, ["a"], "the rest rests");
    node.coordinator.resume(&crew.operator().await, "marked", None).await.unwrap();
    assert_eq!(crew.settle(&node, &started).await, Standing::Done);
    assert_eq!(crew.tags(&node, ticket).await, ["a", "b"]);
}

#[tokio::test]
async fn a_ticket_that_cannot_be_read_parks_its_saga_and_no_other() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    let (broken, whole) = (crew.ticket(&node).await, crew.ticket(&node).await);
    node.coordinator.pause(&crew.operator().await, "four", None).await.unwrap();
    let stuck = crew.start(&node, "four", broken).await;
    let other = crew.start(&node, "four", whole).await;
    crew.log.spoil(broken);
    node.coordinator.resume(&crew.operator().await, "four", None).await.unwrap();
    assert_eq!(crew.settle(&node, &other).await, Standing::Done);
    assert_eq!(crew.settle(&node, &stuck).await, Standing::Parked);
    let parked = crew.load(&node, &stuck).await.parked.unwrap();
    assert_eq!(parked.step.as_deref(), Some("a"));
}

#[tokio::test]
async fn sagas_that_hold_too_much_are_told_to_come_back_until_some_have_ended() {
    let mut crew = Crew::new().await;
    let most = 64 * 1024;
    crew.limits.bytes_max = most;
    let node = crew.node(vec![crew.four()]).await;
    node.coordinator.pause(&crew.operator().await, "four", None).await.unwrap();
    let ticket = crew.ticket(&node).await;
    let heavy = async || {
        let mut start = crew.asked("four", ticket).await;
        start.input["note"] = serde_json::Value::from("x".repeat(most / 4));
        node.coordinator.start(start).await
    };
    let mut begun = Vec::new();
    let refused = loop {
        match heavy().await {
            Ok(started) => begun.push(started),
            Err(error) => break error,
        }
        assert!(begun.len() < 4, "four of them are more than fits");
    };
    assert!(begun.len() >= 2, "{refused}");
    assert!(matches!(refused, SagaError::Full { limit: "SAGAS_LIVE_BYTES_MAX", .. }), "{refused}");
    assert!(refused.to_string().contains("SAGAS_LIVE_BYTES_MAX"));
    let light = crew.start(&node, "four", ticket).await;
    begun.push(light);
    node.coordinator.resume(&crew.operator().await, "four", None).await.unwrap();
    for started in &begun {
        let _ = crew.settle(&node, started).await;
    }
    // The last of them leaves as soon as its end was read from the log.
    for _ in 0..200 {
        if !node.coordinator.is_busy() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let again = heavy().await.expect("there is room again");
    assert_eq!(crew.settle(&node, &again).await, Standing::Done);
}

#[tokio::test]
async fn a_remote_step_is_called_under_one_key_and_undone_once() {
    let crew = Crew::new().await;
    let tag = super::crew::Tag(crew.script.clone());
    let definition = Definition::new("remote", 1)
        .step(Step::local("a", tag.clone()).undo(tag.clone()))
        .step(Step::remote("out", crew.outside()).undo_remote(crew.outside()).retry(QUICK))
        .step(Step::local("b", tag.clone()).undo(tag));
    let node = crew.node(vec![definition]).await;
    crew.script.fail("out/run", &[transient(), transient()]);
    crew.script.fail("b/run", &[business()]);
    let (ticket, state, standing) = crew.run(&node, "remote").await;
    assert_eq!(standing, Standing::Undone);
    assert!(crew.tags(&node, ticket).await.is_empty());
    let key = |way: &str| format!("{}/out/{way}", state.id);
    let calls = [key("run"), key("run"), key("run"), key("undo")];
    assert_eq!(*crew.script.calls.lock(), calls);
    assert!(crew.script.outside.lock().values().all(|stands| *stands == 0));
}

#[tokio::test]
async fn a_saga_waits_until_what_it_wrote_is_shown_and_again_for_its_undo() {
    let crew = Crew::new().await;
    let tag = super::crew::Tag(crew.script.clone());
    let definition = Definition::new("seen", 1)
        .step(Step::local("a", tag.clone()).undo(tag.clone()))
        .step(Step::shown("shown"));
    let node = crew.node(vec![definition]).await;
    crew.shown.0.send_replace(None);
    let ticket = crew.ticket(&node).await;
    let started = crew.start(&node, "seen", ticket).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(crew.load(&node, &started).await.rows, 1);
    let cancel = Operation::Cancel { reason: None };
    node.coordinator.operate(&crew.operator().await, started.state.id, &cancel).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let state = crew.load(&node, &started).await;
    assert!(state.ended.is_none(), "its undo is not shown yet");
    assert!(crew.tags(&node, ticket).await.is_empty());
    let heads = crew.office.log.heads().await.unwrap();
    crew.shown.0.send_replace(Some(heads));
    assert_eq!(crew.settle(&node, &started).await, Standing::Cancelled);
}

#[tokio::test]
async fn a_saga_that_is_asked_for_again_is_the_same() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    let ticket = crew.ticket(&node).await;
    let start = Start { request_mac: Some([1; 32]), ..crew.asked("four", ticket).await };
    let first = node.coordinator.start(start.clone()).await.unwrap();
    assert_eq!(crew.settle(&node, &first).await, Standing::Done);
    let again = node.coordinator.start(start.clone()).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.state, first.state, "as it was answered the first time");
    let other = Start { request_mac: Some([2; 32]), ..start };
    assert!(matches!(node.coordinator.start(other).await, Err(SagaError::KeyReused)));
    let none = Start { definition: "five".to_owned(), ..crew.asked("four", ticket).await };
    assert!(matches!(node.coordinator.start(none).await, Err(SagaError::NoDefinition(_))));
}

#[tokio::test]
async fn steps_side_by_side_are_all_done_before_the_next() {
    let crew = Crew::new().await;
    let tag = super::crew::Tag(crew.script.clone());
    let definition = Definition::new("wide", 1)
        .all([
            Step::local("a", tag.clone()).undo(tag.clone()),
            Step::remote("x", crew.outside()).undo_remote(crew.outside()),
            Step::remote("y", crew.outside()).undo_remote(crew.outside()),
        ])
        .step(Step::local("b", tag.clone()).undo(tag));
    let node = crew.node(vec![definition]).await;
    let (ticket, _, standing) = crew.run(&node, "wide").await;
    assert_eq!(standing, Standing::Done);
    assert_eq!(crew.tags(&node, ticket).await, ["a", "b"]);
    assert_eq!(crew.script.outside.lock().len(), 2);
    crew.script.fail("y/run", &[business()]);
    let (ticket, _, standing) = crew.run(&node, "wide").await;
    assert_eq!(standing, Standing::Undone);
    assert!(crew.tags(&node, ticket).await.is_empty());
    assert_eq!(crew.script.outside.lock().values().sum::<i32>(), 2, "of the first saga");
}

#[tokio::test]
async fn many_sagas_at_once_all_end() {
    let crew = Crew::new().await;
    let node = crew.node(vec![crew.four()]).await;
    let mut all = Vec::new();
    for _ in 0..300 {
        let ticket = crew.ticket(&node).await;
        let (coordinator, start) = (node.coordinator.clone(), crew.asked("four", ticket).await);
        all.push(tokio::spawn(async move {
            let started = coordinator.start(start).await.unwrap();
            coordinator.settled(&started).await.unwrap()
        }));
    }
    for one in all {
        assert_eq!(one.await.unwrap(), Standing::Done);
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let counts = node.coordinator.counts();
    let done: i64 = counts.iter().filter(|one| one.1 == Standing::Done).map(|one| one.2).sum();
    let others: i64 = counts.iter().filter(|one| one.1 != Standing::Done).map(|one| one.2).sum();
    assert_eq!((done, others), (300, 0));
}
