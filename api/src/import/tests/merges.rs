//! Merged tickets of another Docket.

use std::sync::Arc;

use docket_engine::command::{
    Caller, Command, Intent, MergeMove, MergeWrite, NewMessage, Urgency, Visibility,
};
use docket_engine::desk::Desk;
use docket_engine::ticket::Ticket;
use docket_schemas::{CommandId, MergeGoal, MessageId, Principal, Role, TicketEvent};

use super::events::{content, count, demo, exported};
use super::*;

async fn agent(desk: &Desk) -> Caller {
    let person = desk.ports().keyring.person(&tenant(), "ann").await.unwrap();
    let principal = Principal::Person(person.id);
    Caller { tenant: tenant(), role: Role::Agent, principal, device: "web".into() }
}

async fn does(desk: &Desk, (source, into): (TicketId, TicketId), steps: &[MergeMove]) {
    let saga_id = desk.ports().ids.time_ordered();
    for &step in steps {
        let write = MergeWrite {
            caller: agent(desk).await,
            source,
            into,
            saga_id,
            command_id: CommandId::new(desk.ports().ids.time_ordered()),
            request_mac: None,
            precondition: None,
            correlation_id: None,
            occurred_at: desk.ports().clock.now(),
            step,
        };
        desk.join(Arc::new(write)).await.unwrap();
    }
}

const MERGE: [MergeMove; 3] =
    [MergeMove::Begin(MergeGoal::Merge), MergeMove::Attach(Urgency::Wanted), MergeMove::End];
const UNMERGE: [MergeMove; 3] =
    [MergeMove::Begin(MergeGoal::Unmerge), MergeMove::Detach, MergeMove::End];

async fn says(desk: &Desk, ticket: TicketId) {
    let now = desk.ports().clock.now();
    let message = NewMessage {
        body: "by way of a merged ticket".to_owned(),
        visibility: Visibility::Public,
        status: None,
    };
    let command_id = CommandId::new(desk.ports().ids.time_ordered());
    let command = Command::AddMessage(message);
    let intent = Intent::new(agent(desk).await, ticket, command_id, now, command);
    desk.execute(intent).await.unwrap();
}

/// Tickets that are not closed, in the order of their ids.
async fn open_tickets(desk: &Desk) -> Vec<TicketId> {
    let start = docket_engine::cursor::Positions::START;
    let events = desk.ports().log.tenant_events(&tenant(), &start, 1_000).await.unwrap().events;
    let opened = events.iter().filter(|event| event.event_type == TicketEvent::Opened);
    let mut open = Vec::new();
    for id in opened.map(|event| TicketId::new(event.stream.id)) {
        let closed = |ticket: &mut Ticket| {
            ticket.resolve().unwrap().status == docket_schemas::Status::Closed
        };
        if desk.look(&tenant(), id, closed).await.unwrap() == Some(false) {
            open.push(id);
        }
    }
    open
}

async fn shown(desk: &Desk, ticket: TicketId) -> Vec<MessageId> {
    let shown = desk.shown_messages(&tenant(), ticket).await.unwrap().unwrap();
    shown.into_iter().map(|message| message.id).collect()
}

#[tokio::test]
async fn merged_tickets_imported_elsewhere_show_the_same_and_come_apart_there() {
    let (source, target) = (demo().await, Office::open().await);
    let desk = &source.started.desk;
    let open = open_tickets(desk).await;
    let [a, b, c, d, e, f, g] = open[..7] else { panic!("the demo has seven open tickets") };
    does(desk, (a, b), &MERGE).await;
    does(desk, (d, b), &MERGE).await;
    says(desk, a).await;
    does(desk, (b, c), &MERGE).await;
    says(desk, a).await;
    does(desk, (e, c), &MERGE).await;
    does(desk, (e, c), &UNMERGE).await;
    does(desk, (f, g), &MERGE[..2]).await;
    let lines = exported(&source).await;
    let summary = target.run(target.import(Format::Ndjson, &lines)).await.0.unwrap();
    assert_eq!((summary.written, summary.bad), (count(&lines), 0));
    assert_eq!(content(&target).await, content(&source).await);
    let there = &target.started.desk;
    for id in [a, b, c, d, e, f, g] {
        assert_eq!(shown(there, id).await, shown(desk, id).await);
        let mark =
            |ticket: &mut Ticket| (ticket.resolve().unwrap().merge, ticket.merges().holds_slot());
        let marks = (
            there.look(&tenant(), id, mark).await.unwrap(),
            desk.look(&tenant(), id, mark).await.unwrap(),
        );
        assert_eq!(marks.0, marks.1);
    }
    does(there, (b, c), &UNMERGE).await;
    does(there, (a, b), &UNMERGE).await;
    assert_eq!(there.showing(&tenant(), a).await.unwrap(), Some(a));
}
