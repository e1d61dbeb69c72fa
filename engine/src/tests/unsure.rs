//! Unknown outcomes, restored logs, erasures meanwhile: what a node does when the ground moves.

use std::sync::Arc;

use docket_schemas::{Incarnation, Role, Status, Stream};

use crate::command::{Command, Refusal};
use crate::contract::drafts::{after, append_one, draft, placed};
use crate::desk::{DeskError, Ports, StartError, start};
use crate::keyring::Keyring;
use crate::memory::{MemoryKeyStore, MemoryLog};
use crate::ports::witness::Witness as _;
use crate::testing::{CountedIds, ErasableKeyStore, Office, UnsureLog, digest};

async fn unsure() -> (Office, Arc<UnsureLog>) {
    let log = Arc::new(UnsureLog::new(Arc::new(MemoryLog::new())));
    (Office::over(log.clone()).await, log)
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_found_again_and_not_doubled() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    log.lose(2);
    let opening = office.opening().await;
    let opened = desk.open(opening.clone()).await.unwrap();
    let agent = office.caller(Role::Agent, "ann").await;
    let woken = *crate::ports::bus::Bus::woken(&*office.bus).borrow();
    log.lose(3);
    let submit = Command::reply_as("Fixed.", Some(Status::Solved));
    let intent = office.intent(&agent, opened.ticket.id, submit).await;
    let first = desk.execute(intent.clone()).await.unwrap();
    assert_eq!(first.ticket.status, Status::Solved);
    assert!(*crate::ports::bus::Bus::woken(&*office.bus).borrow() > woken, "readers are woken");
    let events = office.events(opened.ticket.id).await;
    assert_eq!(events.len(), 3);
    assert_eq!(first.placed.position, events[2].position);
    let noted = office.witness.recall().await.unwrap();
    assert!(noted.iter().any(|seen| seen.event_id == events[2].event_id), "witnessed");
    for desk in [&desk, &office.desk().await] {
        let again = desk.execute(intent.clone()).await.unwrap();
        assert_eq!(digest(&again.ticket), digest(&first.ticket));
        let again = desk.open(opening.clone()).await.unwrap();
        assert_eq!(digest(&again.ticket), digest(&opened.ticket));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_stays_unknown_says_so_and_its_retry_finds_it() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    log.lose(usize::MAX);
    let intent = office.intent(&agent, opened.id, Command::status(Status::Hold)).await;
    let unknown = desk.execute(intent.clone()).await;
    assert!(matches!(unknown, Err(DeskError::Unavailable(_))), "{unknown:?}");
    log.lose(0);
    let found = desk.execute(intent).await.unwrap();
    assert!(found.replayed);
    assert_eq!(found.ticket.status, Status::Hold);
    assert_eq!(office.events(opened.id).await.len(), 2);
    let next = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    assert_eq!(desk.execute(next).await.unwrap().ticket.conflicts, Vec::new());
}

#[tokio::test]
async fn what_is_about_a_ticket_on_its_way_waits_until_it_has_landed_and_goes_with_the_rest() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let one = desk.open(office.opening().await).await.unwrap().ticket.id;
    let other = desk.open(office.opening().await).await.unwrap().ticket.id;
    let agent = office.caller(Role::Agent, "ann").await;
    let mut said = Vec::new();
    for (ticket, text) in [(one, "1"), (other, "2"), (one, "3"), (other, "4")] {
        said.push(office.intent(&agent, ticket, Command::reply(text)).await);
    }
    let before = log.batches().len();
    log.hold_up(true);
    let says = |intent| {
        let desk = desk.clone();
        tokio::spawn(async move { desk.execute(intent).await.unwrap() })
    };
    let mut saying = Vec::new();
    for intent in said {
        saying.push(says(intent));
        while log.batches().len() == before {
            tokio::task::yield_now().await;
        }
    }
    // Long enough for what has come meanwhile to be authored.
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    log.hold_up(false);
    for said in saying {
        let _ = said.await.unwrap();
    }
    assert_eq!(log.batches()[before..], [1, 3]);
    assert_eq!(office.events(one).await.len(), 3);
}

#[tokio::test]
async fn what_has_to_be_read_first_waits_until_the_batch_on_its_way_has_landed() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let one = desk.open(office.opening().await).await.unwrap().ticket.id;
    let other = desk.open(office.opening().await).await.unwrap().ticket.id;
    let agent = office.caller(Role::Agent, "ann").await;
    let (first, second) = (Command::reply("1"), Command::reply("2"));
    let first = office.intent(&agent, one, first).await;
    let second = office.intent(&agent, other, second).await;
    // A node that has neither ticket in memory.
    let desk = office.desk().await;
    let before = log.batches().len();
    log.hold_up(true);
    let says = |intent| {
        let desk = desk.clone();
        tokio::spawn(async move { desk.execute(intent).await.unwrap() })
    };
    let first = says(first);
    while log.batches().len() == before {
        tokio::task::yield_now().await;
    }
    let second = says(second);
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert_eq!(log.batches().len(), before + 1);
    log.hold_up(false);
    let (_, _) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(log.batches()[before..], [1, 1]);
}

#[tokio::test]
async fn a_ticket_whose_write_was_answered_at_once_can_be_looked_at_while_others_are_on_their_way()
{
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let one = desk.open(office.opening().await).await.unwrap().ticket.id;
    let other = desk.open(office.opening().await).await.unwrap().ticket.id;
    let agent = office.caller(Role::Agent, "ann").await;
    let stored = office.intent(&agent, one, Command::reply("1")).await;
    let first = desk.execute(stored.clone()).await.unwrap();
    let before = log.batches().len();
    log.hold_up(true);
    let slow = office.intent(&agent, other, Command::reply("2")).await;
    let saying = tokio::spawn({
        let desk = desk.clone();
        async move { desk.execute(slow).await.unwrap() }
    });
    while log.batches().len() == before {
        tokio::task::yield_now().await;
    }
    let again = tokio::time::timeout(std::time::Duration::from_secs(10), desk.execute(stored));
    let again = again.await.expect("nobody holds it").unwrap();
    assert!(again.replayed);
    assert_eq!(again.ticket.version, first.ticket.version);
    log.hold_up(false);
    let _ = saying.await.unwrap();
}

#[tokio::test]
async fn a_node_that_meets_a_new_incarnation_writes_under_it() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let before = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    let answered = desk.execute(before.clone()).await.unwrap();
    let next = |number| Incarnation::new("eu", number).unwrap();
    office.log.begin_incarnation(Some(&next(1)), &next(2)).await.unwrap();

    let intents = [Command::reply("Hello"), Command::status(Status::Hold), Command::note("n")];
    let mut sent = Vec::new();
    for command in intents {
        let intent = office.intent(&agent, opened.id, command).await;
        let desk = desk.clone();
        sent.push(tokio::spawn(async move { desk.execute(intent).await }));
    }
    let fresh = office.opening().await;
    let (desk_2, opening) = (desk.clone(), fresh.clone());
    sent.push(tokio::spawn(async move { desk_2.open(opening).await }));
    for one in sent {
        one.await.unwrap().unwrap();
    }
    assert_eq!(desk.incarnation(), next(2));
    let mut events = office.events(opened.id).await.split_off(2);
    events.extend(office.events(fresh.ticket()).await);
    assert_eq!(events.len(), 4);
    for event in events {
        assert_eq!(event.origin.region, next(2));
        let derived = docket_schemas::derivation::event_of(event.command_id, &next(2));
        assert_eq!(event.event_id, derived, "authored under the incarnation that stores it");
    }
    let again = desk.execute(before).await.unwrap();
    assert_eq!(digest(&again.ticket), digest(&answered.ticket), "whatever incarnation stored it");
}

#[tokio::test]
async fn a_node_that_meets_a_new_erasure_epoch_seals_again() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    office.log.raise_erasure_epoch().await.unwrap();
    let agent = office.caller(Role::Agent, "ann").await;
    let intent = office.intent(&agent, opened.id, Command::reply("Hello")).await;
    desk.execute(intent).await.unwrap();
    desk.open(office.opening().await).await.unwrap();
    assert_eq!(office.events(opened.id).await.len(), 2);
}

#[tokio::test]
async fn nothing_is_acknowledged_under_a_key_that_an_erasure_has_destroyed() {
    let keys = Arc::new(ErasableKeyStore::default());
    let ids = Arc::new(CountedIds::seeded(7));
    let keyring = Keyring::open(keys.clone(), &[9; 32], ids).await.unwrap();
    let office = Office { keyring: Arc::new(keyring), ..Office::new().await };
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let reply = office.intent(&agent, opened.id, Command::reply("Hello")).await;
    let status = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    let opening = office.opening().await;
    office.log.raise_erasure_epoch().await.unwrap();
    keys.destroy();
    let (replied, reopened) = tokio::join!(desk.execute(reply), desk.open(opening));
    for refused in [replied, reopened] {
        let erased = Refusal::Invalid {
            field: "requester",
            message: "has been erased".to_owned(),
            limit: None,
        };
        assert!(matches!(&refused, Err(DeskError::Refused(one)) if *one == erased), "{refused:?}");
    }
    desk.execute(status).await.expect("nothing personal is in it");
    assert_eq!(office.log.heads().await.unwrap().total(), 2);
}

#[tokio::test]
async fn a_log_behind_its_witness_begins_the_next_incarnation() {
    let office = Office::new().await;
    let started = office.node().await;
    assert!(!started.restored);
    let opened = started.desk.open(office.opening().await).await.unwrap().ticket;
    let again = office.node().await;
    assert!(!again.restored);
    assert_eq!(again.desk.incarnation().as_str(), "eu.1");

    let restored = Office { log: Arc::new(MemoryLog::new()), ..office };
    let node = restored.node().await;
    assert!(node.restored);
    assert_eq!(node.desk.incarnation().as_str(), "eu.2");
    let partition = Stream::ticket(opened.id).partition(&restored.tenant);
    assert_eq!(restored.log.heads().await.unwrap().get(partition), 0);
}

#[tokio::test]
async fn a_log_of_another_region_or_key_store_is_not_served() {
    let office = Office::new().await;
    office.node().await;
    let elsewhere = start(office.ports(), "us").await;
    assert!(matches!(elsewhere, Err(StartError::OtherRegion { .. })), "{elsewhere:?}");
    let ids = Arc::new(CountedIds::seeded(8));
    let stranger = Keyring::open(Arc::new(MemoryKeyStore::new()), &[9; 32], ids).await.unwrap();
    let ports = Ports { keyring: Arc::new(stranger), ..office.ports() };
    let unreadable = start(ports, "eu").await;
    assert!(matches!(unreadable, Err(StartError::OtherKeyStore { .. })), "{unreadable:?}");
}

#[tokio::test]
async fn the_appender_ends_when_the_last_desk_is_dropped() {
    let office = Office::new().await;
    let node = office.node().await;
    node.desk.open(office.opening().await).await.unwrap();
    drop(node.desk);
    node.appender.await.unwrap();
}

#[tokio::test]
async fn a_damaged_ticket_fails_alone() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let healthy = desk.open(office.opening().await).await.unwrap().ticket;
    let damaged = desk.open(office.opening().await).await.unwrap().ticket;
    let last = office.events(damaged.id).await[0].position;
    let junk = after(last, draft(damaged.id, 1));
    placed(&append_one(&office.log, [junk]).await);
    let other = office.desk().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let ill = office.intent(&agent, damaged.id, Command::status(Status::Open)).await;
    let well = office.intent(&agent, healthy.id, Command::status(Status::Open)).await;
    let (ill, well) = tokio::join!(other.execute(ill), other.execute(well));
    assert!(matches!(ill, Err(DeskError::Damaged(_))), "{ill:?}");
    assert_eq!(well.unwrap().ticket.status, Status::Open);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_its_ticket_alone() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let healthy = desk.open(office.opening().await).await.unwrap().ticket;
    let spoilt = desk.open(office.opening().await).await.unwrap().ticket;
    log.spoil(spoilt.id);
    let other = office.desk().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let ill = office.intent(&agent, spoilt.id, Command::status(Status::Open)).await;
    let well = office.intent(&agent, healthy.id, Command::status(Status::Open)).await;
    let opening = office.opening().await;
    let (ill, well, opened) =
        tokio::join!(other.execute(ill), other.execute(well), other.open(opening));
    assert!(matches!(ill, Err(DeskError::Damaged(_))), "{ill:?}");
    assert_eq!(well.unwrap().ticket.status, Status::Open);
    opened.unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_read_still_takes_openings() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    log.silence();
    let other = office.desk().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let intent = office.intent(&agent, opened.id, Command::status(Status::Open)).await;
    let opening = office.opening().await;
    let (unread, opened) = tokio::join!(other.execute(intent), other.open(opening));
    assert!(matches!(unread, Err(DeskError::Unavailable(_))), "{unread:?}");
    opened.unwrap();
}

#[tokio::test]
async fn a_write_that_always_comes_too_late_is_given_up_on() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let intent = office.intent(&agent, opened.id, Command::reply("1")).await;
    let before = log.batches().len();
    log.crowd(0);
    let late = desk.execute(intent.clone()).await;
    assert!(matches!(late, Err(DeskError::Contended)), "{late:?}");
    assert!(log.batches().len() - before > 64, "not as long as others may be the reason");
    log.crowd(usize::MAX);
    assert!(!desk.execute(intent).await.unwrap().replayed);
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_is_not_sent_again() {
    let (office, log) = unsure().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap().ticket;
    let agent = office.caller(Role::Agent, "ann").await;
    let intent = office.intent(&agent, opened.id, Command::reply("1")).await;
    let before = log.batches().len();
    log.crowd(0);
    log.hold_up(true);
    let calling = tokio::spawn(async move { desk.execute(intent).await });
    while log.batches().len() == before {
        tokio::task::yield_now().await;
    }
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    log.hold_up(false);
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert_eq!(log.batches().len(), before + 1);
}
