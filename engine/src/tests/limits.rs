//! Limits of one ticket: lanes, heads, age of a version, tags, custom fields.

use std::collections::BTreeMap;

use docket_schemas::{Priority, Role, Scalar, Status, TicketEvent};

use crate::command::{CUSTOM_FIELDS_MAX, Command, FieldChange, Intent, Refusal, TAGS_MAX};
use crate::desk::{Answer, Desk, DeskError};
use crate::testing::Office;
use crate::version::VERSION_HEADS_MAX;

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

#[track_caller]
fn refusal(result: Result<Answer, DeskError>) -> Refusal {
    match result {
        Err(DeskError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn office() -> (Office, Desk, crate::ticket::Resolved) {
    let office = Office::new().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    (office, desk, opened)
}

#[tokio::test]
async fn a_device_may_diverge_from_itself_32_times() {
    let (office, desk, opened) = office().await;
    let customer = office.caller(Role::Customer, "cus_1").await;
    let agent = office.caller(Role::Agent, "ann").await;
    let mut versions = Vec::new();
    for _ in 0..33 {
        let reply = office.intent(&customer, opened.id, Command::reply("And another thing")).await;
        versions.push(desk.execute(reply).await.unwrap().ticket.version);
    }
    let mut oldest = versions.pop().unwrap();
    for version in versions.into_iter().rev().chain([opened.version]) {
        let observed = std::mem::replace(&mut oldest, version);
        let tag = Command::tags(&["t"], &[]);
        let intent =
            Intent { observed: Some(observed), ..office.intent(&agent, opened.id, tag).await };
        desk.execute(intent).await.unwrap();
        if office.events(opened.id).await.len() == 1 + 33 + 32 {
            break;
        }
    }
    let tag = || Command::tags(&["t"], &[]);
    let one_more = office.intent(&agent, opened.id, tag()).await;
    let forked = Intent { observed: Some(oldest.clone()), ..one_more };
    assert_eq!(refusal(desk.execute(forked).await), Refusal::TooManyForks);
    let current = office.intent(&agent, opened.id, tag()).await;
    desk.execute(current).await.expect("who has seen everything needs no new lane");
    let phone = crate::command::Caller { device: "phone".into(), ..agent };
    let other = office.intent(&phone, opened.id, tag()).await;
    desk.execute(Intent { observed: Some(oldest), ..other }).await.expect("another device");
}

#[tokio::test]
async fn many_heads_are_joined_before_a_version_cannot_name_them() {
    for hidden_between in [false, true] {
        let (office, desk, opened) = office().await;
        let agent = office.caller(Role::Agent, "ann").await;
        for number in 0..3 * VERSION_HEADS_MAX {
            let name = format!("agent_{number}");
            let other = office.caller(Role::Agent, &name).await;
            let intent = office.intent(&other, opened.id, Command::priority(Priority::High)).await;
            let intent = Intent { observed: Some(opened.version.clone()), ..intent };
            let answer = desk.execute(intent.clone()).await.unwrap();
            for version in [&answer.ticket.version, &answer.ticket.public_version] {
                let read: Result<crate::version::Version, _> = version.to_string().parse();
                assert_eq!(read.as_ref(), Ok(version), "after {number} writes");
            }
            let again = desk.execute(intent).await.unwrap();
            assert_eq!(again.ticket.version, answer.ticket.version);
            assert_eq!(again.placed, answer.placed);
            if hidden_between {
                let note = office.intent(&agent, opened.id, Command::note("hidden")).await;
                desk.execute(note).await.unwrap();
            }
        }
        let events = office.events(opened.id).await;
        let joins = events.iter().filter(|event| event.event_type == TicketEvent::HeadsJoined);
        assert!((1..=8).contains(&joins.count()));
    }
}

#[tokio::test]
async fn joining_hidden_heads_moves_nothing_that_a_customer_sees() {
    let (office, desk, opened) = office().await;
    for number in 0..VERSION_HEADS_MAX {
        office.clock.advance(1_000_000);
        let other = office.caller(Role::Agent, &format!("agent_{number}")).await;
        let intent = office.intent(&other, opened.id, Command::note("hidden")).await;
        let intent = Intent { observed: Some(opened.version.clone()), ..intent };
        let shown = desk.execute(intent).await.unwrap().ticket;
        assert_eq!(shown.public_version, opened.public_version);
        assert_eq!(shown.public_updated_at, opened.public_updated_at);
    }
    let events = office.events(opened.id).await;
    assert!(events.iter().any(|event| event.event_type == TicketEvent::HeadsJoined));
}

#[tokio::test]
async fn a_field_write_on_a_version_older_than_seven_days_is_stale() {
    let (office, desk, opened) = office().await;
    let customer = office.caller(Role::Customer, "cus_1").await;
    let agent = office.caller(Role::Agent, "ann").await;
    let other = office.caller(Role::Agent, "ben").await;
    let note = office.intent(&other, opened.id, Command::note("hidden from customers")).await;
    desk.execute(note).await.unwrap();
    office.clock.advance(7 * DAY_MICROS + 1_000_000);
    let on_first = |intent: Intent| Intent { observed: Some(opened.version.clone()), ..intent };
    let solve = office.intent(&customer, opened.id, Command::status(Status::Solved)).await;
    desk.execute(on_first(solve)).await.expect("no change that the customer may see is missing");
    for command in [Command::status(Status::Open), Command::priority(Priority::Low)] {
        let stale = on_first(office.intent(&agent, opened.id, command).await);
        assert_eq!(refusal(desk.execute(stale).await), Refusal::Stale);
    }
    for command in [Command::tags(&["late"], &[]), Command::reply("late")] {
        let late = on_first(office.intent(&agent, opened.id, command).await);
        desk.execute(late).await.expect("tags and messages are always accepted");
    }
    let assumed = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    desk.execute(assumed).await.expect("made on the current state");
}

#[tokio::test]
async fn a_version_of_another_ticket_is_unknown() {
    let (office, desk, opened) = office().await;
    let other = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let intent = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    let intent = Intent { observed: Some(other.version), ..intent };
    assert_eq!(refusal(desk.execute(intent).await), Refusal::VersionUnknown);
}

#[tokio::test]
async fn a_ticket_takes_100_tags_and_swaps_them_at_the_limit() {
    let (office, desk, opened) = office().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let names: Vec<String> = (0..TAGS_MAX).map(|number| format!("tag-{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = async |command| desk.execute(office.intent(&agent, opened.id, command).await).await;
    assert_eq!(run(Command::tags(&names, &[])).await.unwrap().ticket.tags, names);
    assert!(matches!(
        refusal(run(Command::tags(&["one-more"], &[])).await),
        Refusal::Invalid { field: "add_tags", limit: Some(TAGS_MAX), .. }
    ));
    run(Command::tags(&names[..1], &[])).await.expect("one that is there already");
    let swapped = run(Command::tags(&["one-more"], &[names[0]])).await.unwrap();
    assert_eq!(swapped.ticket.tags.len(), TAGS_MAX);
    let twice = [names[1], names[1], names[2], names[2], names[2]];
    let fewer = run(Command::tags(&["x", "x"], &twice)).await.unwrap().ticket.tags;
    assert_eq!(fewer.len(), TAGS_MAX - 1);
    let all: Vec<&str> = fewer.iter().map(String::as_str).collect();
    let thrice: Vec<&str> = all.iter().chain(&all).chain(&all).copied().collect();
    let replaced = run(Command::tags(&["y"], &thrice)).await.unwrap();
    assert_eq!(replaced.ticket.tags, ["y"]);
}

#[tokio::test]
async fn a_ticket_takes_100_custom_fields_and_a_cleared_one_makes_room() {
    let (office, desk, opened) = office().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let run = async |fields: BTreeMap<String, Scalar>| {
        let change = FieldChange { custom_fields: fields, ..FieldChange::default() };
        desk.execute(office.intent(&agent, opened.id, Command::fields(change)).await).await
    };
    let field = |number: usize, value: Scalar| (format!("f{number}"), value);
    let full = (0..CUSTOM_FIELDS_MAX).map(|number| field(number, Scalar::Integer(1))).collect();
    assert_eq!(run(full).await.unwrap().ticket.custom_fields.len(), CUSTOM_FIELDS_MAX);
    let beyond = || BTreeMap::from([field(CUSTOM_FIELDS_MAX, Scalar::Bool(true))]);
    assert!(matches!(
        refusal(run(beyond()).await),
        Refusal::Invalid { field: "custom_fields", limit: Some(CUSTOM_FIELDS_MAX), .. }
    ));
    run(BTreeMap::from([field(3, Scalar::Null)])).await.unwrap();
    let swapped = run(beyond()).await.expect("a place is free").ticket.custom_fields;
    assert_eq!(swapped.len(), CUSTOM_FIELDS_MAX);
    assert!(!swapped.contains_key("f3"));
}
