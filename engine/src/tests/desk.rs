//! The desk: retries, follow-ups, preconditions, the past.

use docket_schemas::{Observed, Role, Status, TicketEvent};

use crate::command::{Command, Precondition, Refusal};
use crate::desk::{Answer, AsOf, Desk, DeskError};
use crate::testing::{Office, digest};

#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!(digest(&first.ticket), digest(&again.ticket));
    assert_eq!(first.message, again.message);
    assert_eq!(first.follow_up_of, again.follow_up_of);
    assert_eq!(first.placed, again.placed);
    assert!(again.replayed && !first.replayed);
}

async fn office() -> (Office, Desk) {
    let office = Office::new().await;
    let desk = office.desk().await;
    (office, desk)
}

#[tokio::test]
async fn an_opening_retried_answers_as_the_first_time_on_any_node() {
    let (office, desk) = office().await;
    let opening = office.opening().await;
    let first = desk.open(opening.clone()).await.unwrap();
    let agent = office.caller(Role::Agent, "ann").await;
    let reply = office.intent(&agent, first.ticket.id, Command::reply("On it.")).await;
    desk.execute(reply).await.unwrap();
    same(&first, &desk.open(opening.clone()).await.unwrap());
    same(&first, &office.desk().await.open(opening.clone()).await.unwrap());
    let other = crate::command::Opening { request_mac: Some([8; 32]), ..opening };
    assert!(matches!(desk.open(other).await, Err(DeskError::KeyReused)));
    assert_eq!(office.events(first.ticket.id).await.len(), 2);
}

#[tokio::test]
async fn every_write_retried_after_a_restart_answers_as_the_first_time() {
    let (office, desk) = office().await;
    let ticket = desk.open(office.opening().await).await.unwrap().ticket.id;
    let agent = office.caller(Role::Agent, "ann").await;
    let ann = agent.principal.person().unwrap();
    let commands = [
        Command::status(Status::Pending),
        Command::reply("Have you tried water?"),
        Command::reply_as("Now with foam.", Some(Status::Solved)),
        Command::Claim(ann),
        Command::Claim(ann),
        Command::tags(&["fire", "vip"], &[]),
        Command::tags(&[], &["vip", "never-there"]),
        Command::Follow(ann),
        Command::Unfollow(ann),
        Command::Release,
        Command::note("a note"),
    ];
    let mut done = Vec::new();
    for command in commands {
        let intent = office.intent(&agent, ticket, command).await;
        done.push((desk.execute(intent.clone()).await.unwrap(), intent));
    }
    let restarted = office.desk().await;
    for (first, intent) in done.iter().rev() {
        same(first, &restarted.execute(intent.clone()).await.unwrap());
        same(first, &desk.execute(intent.clone()).await.unwrap());
    }
    let mut reused = done[0].1.clone();
    reused.request_mac = Some([8; 32]);
    assert!(matches!(restarted.execute(reused).await, Err(DeskError::KeyReused)));
}

#[tokio::test]
async fn a_public_message_on_a_lone_closed_opens_one_follow_up_however_often_it_is_sent() {
    let (office, desk) = office().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let admin = office.caller(Role::Admin, "root").await;
    let customer = office.caller(Role::Customer, "cus_1").await;
    let close = office.intent(&admin, opened.id, Command::status(Status::Closed)).await;
    desk.execute(close).await.unwrap();
    let note = office.intent(&admin, opened.id, Command::note("stays here")).await;
    assert_eq!(desk.execute(note).await.unwrap().follow_up_of, None);

    let mut reply = office.intent(&customer, opened.id, Command::reply("It burns again.")).await;
    reply.observed = Some(opened.version.clone());
    let first = desk.execute(reply.clone()).await.unwrap();
    assert_eq!(first.follow_up_of, Some(opened.id));
    assert_ne!(first.ticket.id, opened.id);
    assert_eq!(first.ticket.follow_up_of, Some(opened.id));
    assert_eq!(first.ticket.status, Status::New);
    assert_eq!(first.ticket.requester, opened.requester);
    assert_eq!(first.ticket.subjects.len(), 1);
    let other = office.desk().await;
    same(&first, &other.execute(reply.clone()).await.unwrap());
    same(&first, &desk.execute(reply).await.unwrap());
    assert_eq!(office.events(first.ticket.id).await.len(), 1);
    let links = office.events(opened.id).await;
    let linked = |kind| links.iter().filter(|event| event.event_type == kind).count();
    assert_eq!((linked(TicketEvent::FollowUpOpened), linked(TicketEvent::MessageAdded)), (1, 1));
}

#[tokio::test]
async fn two_nodes_that_get_one_message_for_a_closed_ticket_make_one_follow_up() {
    let (office, desk) = office().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let admin = office.caller(Role::Admin, "root").await;
    let close = office.intent(&admin, opened.id, Command::status(Status::Closed)).await;
    desk.execute(close).await.unwrap();
    let other = office.desk().await;
    let customer = office.caller(Role::Customer, "cus_1").await;
    let reply = office.intent(&customer, opened.id, Command::reply("Again.")).await;
    let (ours, theirs) = tokio::join!(desk.execute(reply.clone()), other.execute(reply));
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(digest(&ours.ticket), digest(&theirs.ticket));
    assert_eq!((ours.message, ours.placed), (theirs.message, theirs.placed));
    assert_ne!(ours.replayed, theirs.replayed);
    assert_eq!(office.log.heads().await.unwrap().total(), 4);
}

#[tokio::test]
async fn if_match_refuses_unless_it_names_the_version_that_its_author_may_see() {
    let (office, desk) = office().await;
    let other = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let customer = office.caller(Role::Customer, "cus_1").await;
    let note = office.intent(&agent, opened.id, Command::note("hidden")).await;
    let noted = other.execute(note).await.unwrap().ticket;

    let wanting = |version: String| Some(Precondition::OneOf(vec![version]));
    let mut stale = office.intent(&agent, opened.id, Command::status(Status::Pending)).await;
    stale.precondition = wanting(opened.version.to_string());
    let current = noted.version.clone();
    match desk.execute(stale.clone()).await {
        Err(DeskError::Refused(refusal)) => {
            assert_eq!(refusal, Refusal::PreconditionFailed { current });
        }
        other => panic!("{other:?}"),
    }
    let mut fresh = office.intent(&customer, opened.id, Command::status(Status::Solved)).await;
    fresh.precondition = wanting(opened.version.to_string());
    desk.execute(fresh).await.expect("a note does not exist for the customer");
    assert_eq!(office.events(opened.id).await.len(), 3);
    stale.precondition = Some(Precondition::Any);
    desk.execute(stale).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_stays_so() {
    let (office, desk) = office().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let nowhere = docket_schemas::TicketId::new(office.command().uuid());
    for _ in 0..2 {
        let intent = office.intent(&agent, nowhere, Command::reply("Hello?")).await;
        let refused = desk.execute(intent).await;
        assert!(matches!(refused, Err(DeskError::Refused(Refusal::NotFound))), "{refused:?}");
        assert_eq!(desk.glance(&office.tenant, nowhere, |_| ()).await.unwrap(), None);
        assert_eq!(desk.look(&office.tenant, nowhere, |_| ()).await.unwrap(), None);
    }
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let stranger = office.caller(Role::Customer, "cus_2").await;
    let intent = office.intent(&stranger, opened.id, Command::reply("Mine?")).await;
    let refused = desk.execute(intent).await;
    assert!(matches!(refused, Err(DeskError::Refused(Refusal::NotFound))), "{refused:?}");
}

#[tokio::test]
async fn the_past_is_what_was_answered_then() {
    let (office, desk) = office().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let mut answers = vec![desk.open(office.opening().await).await.unwrap()];
    let id = answers[0].ticket.id;
    for status in [Status::Open, Status::Hold, Status::Pending, Status::Solved] {
        office.clock.advance(1_000_000);
        let intent = office.intent(&agent, id, Command::status(status)).await;
        answers.push(desk.execute(intent).await.unwrap());
    }
    for answer in &answers {
        let moments = [
            AsOf::Version(answer.ticket.version.clone()),
            AsOf::Time(answer.placed.recorded_at),
            AsOf::Position(answer.placed.position),
        ];
        for moment in moments {
            let then = desk.as_of(&office.tenant, id, &moment).await.unwrap();
            let then = then.expect("it was open by then").resolve().unwrap();
            assert_eq!(digest(&then), digest(&answer.ticket), "{moment:?}");
        }
    }
    let before = AsOf::Time(answers[0].placed.recorded_at.plus_micros(-1));
    assert!(desk.as_of(&office.tenant, id, &before).await.unwrap().is_none());
}

#[tokio::test]
async fn a_write_without_a_version_is_marked_as_assumed() {
    let (office, desk) = office().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let mut given = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    given.observed = Some(opened.version);
    desk.execute(given).await.unwrap();
    let assumed = office.intent(&agent, opened.id, Command::status(Status::Hold)).await;
    desk.execute(assumed).await.unwrap();
    let events = office.events(opened.id).await;
    let observed: Vec<_> = events[1..].iter().map(|event| event.observed).collect();
    assert_eq!(observed, [Observed::Given, Observed::Assumed]);
}
