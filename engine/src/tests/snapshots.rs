//! Snapshots: a ticket restored from one, and folded on from there, is the ticket folded from its first event.

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::{Priority, Role, Status, TicketId};

use crate::command::Command;
use crate::desk::{AsOf, Desk};
use crate::memory::MemoryLog;
use crate::testing::{Office, digest};
use crate::ticket::Ticket;

/// Enough for two snapshots and a tail.
const WRITES: usize = 2 * crate::ticket::SNAPSHOT_EVERY + 30;

#[tokio::test]
async fn a_ticket_restored_from_a_snapshot_is_the_one_folded_from_its_first_event() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let opened = desk.open(office.opening().await).await.unwrap();
    let (id, agent) = (opened.ticket.id, office.caller(Role::Agent, "ann").await);
    for number in 0..WRITES {
        let command = match number % 4 {
            0 => Command::tags(&[&format!("t{}", number % 9)], &[]),
            1 => Command::status(Status::ALL[1 + number % 2]),
            2 => Command::priority(Priority::ALL[number % 4]),
            _ => Command::reply("hello"),
        };
        let mut intent = office.intent(&agent, id, command).await;
        // Some writes are made on the first version, so that conflicts and lanes are in the snapshot too.
        intent.observed = (number % 50 == 1).then(|| opened.ticket.version.clone());
        desk.execute(intent).await.unwrap();
    }
    tokio::task::yield_now().await;
    let log = &desk.ports().log;
    let kept = log.snapshots(&[(office.tenant.clone(), id)]).await.unwrap();
    let (_, _, snapshot) = kept.first().expect("two snapshots were due");
    let restored =
        Ticket::restore(office.tenant.clone(), id, snapshot).expect("this release's format");
    assert!(restored.last_position() > 0);

    let other = office.desk().await;
    let look = other.look(&office.tenant, id, |ticket| ticket.resolve());
    let restored = look.await.unwrap().unwrap().unwrap();
    let position = AsOf::Position(u64::MAX);
    let mut folded = desk.as_of(&office.tenant, id, &position).await.unwrap().unwrap();
    assert_eq!(digest(&restored), digest(&folded.resolve().unwrap()));

    let intent = office.intent(&agent, id, Command::status(Status::Solved)).await;
    let answer = other.execute(intent).await.unwrap();
    let mut folded = desk.as_of(&office.tenant, id, &position).await.unwrap().unwrap();
    assert_eq!(digest(&answer.ticket), digest(&folded.resolve().unwrap()));
}

/// Writes to a ticket until its last event is at a position or beyond.
async fn write_up_to(office: &Office, desk: &Desk, id: TicketId, position: u64, tag: &str) {
    let agent = office.caller(Role::Agent, "ann").await;
    for number in 0.. {
        if office.events(id).await.last().is_some_and(|last| last.position >= position) {
            return;
        }
        let command = Command::tags(&[&format!("{tag}{}", number % 9)], &[]);
        desk.execute(office.intent(&agent, id, command).await).await.unwrap();
    }
}

/// Holds a node that has nothing in memory to what the log says, and has it write.
async fn check_cold(office: &Office, id: TicketId) {
    let desk = office.desk().await;
    let (tenant, newest) = (&office.tenant, AsOf::Position(u64::MAX));
    let seen = desk.look(tenant, id, |ticket| ticket.resolve()).await.unwrap().unwrap().unwrap();
    let mut folded = desk.as_of(tenant, id, &newest).await.unwrap().unwrap();
    assert_eq!(digest(&seen), digest(&folded.resolve().unwrap()));
    let desk = office.desk().await;
    let agent = office.caller(Role::Agent, "bob").await;
    let intent = office.intent(&agent, id, Command::status(Status::Pending)).await;
    let written = tokio::time::timeout(Duration::from_secs(10), desk.execute(intent)).await;
    let written = written.expect("an answer").unwrap();
    let mut folded = desk.as_of(tenant, id, &newest).await.unwrap().unwrap();
    assert_eq!(digest(&written.ticket), digest(&folded.resolve().unwrap()));
}

#[tokio::test]
async fn a_snapshot_of_a_state_that_a_restore_has_lost_counts_for_nothing() {
    let log = Arc::new(MemoryLog::new());
    let office = Office::over(log.clone()).await;
    let desk = office.desk().await;
    let id = desk.open(office.opening().await).await.unwrap().ticket.id;
    write_up_to(&office, &desk, id, 150, "kept").await;
    let backup = log.backup();
    write_up_to(&office, &desk, id, 210, "lost").await;
    tokio::task::yield_now().await;
    let name = [(office.tenant.clone(), id)];
    let lost = desk.ports().log.snapshots(&name).await.unwrap().pop().expect("one was due").2;
    assert!(lost.position > 150);
    // Saved after all, when the log had been restored.
    log.restore(backup.clone());
    desk.ports().log.save_snapshot(&office.tenant, id, lost.clone()).await.unwrap();
    check_cold(&office, id).await;
    // Another event of the ticket stands there by now.
    log.restore(backup);
    desk.ports().log.save_snapshot(&office.tenant, id, lost.clone()).await.unwrap();
    write_up_to(&office, &office.desk().await, id, lost.position, "other").await;
    let kept = desk.ports().log.snapshots(&name).await.unwrap().pop().map(|(.., kept)| kept);
    assert_eq!(kept, Some(lost), "nothing has replaced it");
    check_cold(&office, id).await;
}
