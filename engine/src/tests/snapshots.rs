//! Snapshots: a ticket restored from one, and folded on from there, is the ticket folded from its first event.

use docket_schemas::{Priority, Role, Status};

use crate::command::Command;
use crate::desk::AsOf;
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
