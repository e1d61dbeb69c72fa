//! Messages to merged tickets: they go to the ticket that shows them, once, sealed for whom they are about.

use std::sync::Arc;

use docket_schemas::{Event, EventType, Status, Stream, TicketId};

use super::two::{Two, open, refusal};
use crate::command::{Command, Forward, Refusal};
use crate::ports::log::{READ_EVENTS_MAX, StreamRead};
use crate::testing::digest;

/// A ticket's events with what is sealed in them.
async fn sealed_events(two: &Two, ticket: TicketId) -> Vec<Event> {
    let (tenant, stream) = (two.office.tenant.clone(), Stream::ticket(ticket));
    let read = StreamRead { tenant, stream, after: 0 };
    two.office.log.stream_page(&read, READ_EVENTS_MAX).await.unwrap()
}

#[tokio::test]
async fn a_message_to_a_merged_ticket_belongs_to_its_target_and_stays_there() {
    let two = Two::opened().await;
    two.merge().await;
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    let intent = two.office.intent(&two.cus_2, two.source, Command::reply("And now?")).await;
    let said = two.desk.execute(intent.clone()).await.unwrap();
    assert_eq!(said.ticket.id, two.target);
    assert_eq!(said.ticket.status, Status::Open, "a follower's message reopens");
    assert_eq!(said.said.unwrap().ticket, two.target);
    for desk in [&two.desk, &two.other, &two.office.desk().await] {
        let again = desk.execute(intent.clone()).await.unwrap();
        assert!(again.replayed);
        assert_eq!(digest(&again.ticket), digest(&said.ticket));
        assert_eq!((again.message, again.placed), (said.message, said.placed));
    }
    let note = two.does(&two.agent, two.source, Command::note("aside")).await;
    assert_eq!(note.ticket.id, two.target);
    let solves = Command::reply_as("Done.", Some(Status::Solved));
    assert_eq!(refusal(two.tries(&two.agent, two.source, solves).await), Refusal::Closed);
    assert_eq!(two.messages(two.target).await.len(), 4);
    two.unmerges(two.source, two.target).await.unwrap();
    assert_eq!(two.messages(two.target).await.len(), 3);
    assert_eq!(two.messages(two.source).await.len(), 1);
    let again = two.desk.execute(intent).await.unwrap();
    assert_eq!((again.message, again.ticket.id), (said.message, two.target));
    let events = sealed_events(&two, two.source).await;
    let forwarded: Vec<_> =
        events.iter().filter(|event| event.event_type == EventType::MessageForwarded).collect();
    assert!(forwarded.len() == 2 && forwarded.iter().all(|event| event.sealed.is_none()));
    assert_eq!(forwarded.iter().map(|event| event.public).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn what_is_said_on_a_merged_ticket_is_sealed_for_the_target_s_requester_or_its_author() {
    let two = Two::opened().await;
    two.merge().await;
    two.does(&two.agent, two.source, Command::reply("From staff.")).await;
    two.does(&two.cus_2, two.source, Command::reply("From a customer.")).await;
    let events = sealed_events(&two, two.target).await;
    let keys: Vec<_> = events
        .iter()
        .filter(|event| event.event_type == EventType::MessageAdded)
        .map(|event| event.sealed.as_ref().unwrap().key_id)
        .collect();
    let mut expected = Vec::new();
    for name in ["cus_1", "cus_2"] {
        expected.push(two.office.person(name).await.key.as_ref().unwrap().id());
    }
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_public_message_by_way_of_a_merged_ticket_to_a_closed_one_opens_one_follow_up() {
    let two = Two::opened().await;
    two.merge().await;
    two.does(&two.admin, two.target, Command::status(Status::Closed)).await;
    let intent = two.office.intent(&two.cus_2, two.source, Command::reply("Again!")).await;
    let said = two.desk.execute(intent.clone()).await.unwrap();
    assert_eq!(said.follow_up_of, Some(two.target));
    assert!(said.ticket.id != two.target && said.ticket.id != two.source);
    assert_eq!(said.ticket.requester, two.cus_1.principal.person().unwrap());
    let again = two.other.execute(intent).await.unwrap();
    assert_eq!(digest(&again.ticket), digest(&said.ticket));
    assert_eq!((again.message, again.follow_up_of), (said.message, said.follow_up_of));
    let note = two.does(&two.agent, two.source, Command::note("stays on the closed one")).await;
    assert_eq!((note.ticket.id, note.follow_up_of), (two.target, None));
}

#[tokio::test]
async fn a_customer_whom_staff_have_unfollowed_is_not_shown_the_target() {
    let two = Two::opened().await;
    two.merge().await;
    let person = two.cus_2.principal.person().unwrap();
    two.does(&two.agent, two.target, Command::Unfollow(person)).await;
    let intent = two.office.intent(&two.cus_2, two.source, Command::reply("Hello?")).await;
    let said = two.desk.execute(intent.clone()).await.unwrap();
    assert_eq!((said.ticket.id, said.said.unwrap().ticket), (two.source, two.target));
    let again = two.other.execute(intent).await.unwrap();
    assert_eq!(digest(&again.ticket), digest(&said.ticket));
    assert_eq!((again.message, again.said), (said.message, said.said));
}

#[tokio::test]
async fn a_message_prepared_for_another_way_than_there_now_is_writes_nothing() {
    let two = Two::opened().await;
    let third = open(&two.office, &two.desk, "cus_3").await;
    two.merge().await;
    let intent = two.office.intent(&two.cus_2, two.source, Command::reply("Hello?")).await;
    let forward = |path: &[TicketId]| {
        let forward = Forward::new(intent.clone(), path.to_vec()).expect("it says something");
        two.desk.join(Arc::new(forward))
    };
    let way = [two.source, two.target];
    assert_eq!(refusal(forward(&[two.source, third]).await), Refusal::Elsewhere);
    two.merges(two.target, third).await.unwrap();
    assert_eq!(refusal(forward(&way).await), Refusal::Elsewhere, "merged on");
    two.unmerges(two.target, third).await.unwrap();
    two.unmerges(two.source, two.target).await.unwrap();
    assert_eq!(refusal(forward(&way).await), Refusal::Elsewhere, "merged no longer");
    let said = two.desk.execute(intent.clone()).await.unwrap();
    assert_eq!(said.ticket.id, two.source);
}
