//! Merged tickets through two nodes on one log: units over several tickets, slots, and rows beside them.

use std::sync::Arc;

use docket_schemas::{
    Draft, Event, EventType, MergeGoal, Position, Role, Stream, StreamKind, TicketId,
};

use super::LogHarness;
use super::drafts::{draft, uuid};
use crate::command::{Beside, Caller, Command, MergeMove, MergeWrite, Refusal, Urgency};
use crate::desk::{Desk, DeskError, Joined};
use crate::ports::log::{Expected, Row};
use crate::testing::Office;
use crate::ticket::{Resolved, Ticket};

/// Pairs of tickets that are merged at once, each way.
const RACES: usize = 20;

struct Nodes {
    office: Office,
    ours: Desk,
    theirs: Desk,
    agent: Caller,
}

impl Nodes {
    async fn of(harness: &impl LogHarness) -> Self {
        let office = Office::over(harness.fresh().await).await;
        let ours = office.desk().await;
        let theirs = office.desk_over(harness.second_connection().await).await;
        let agent = office.caller(Role::Agent, "ann").await;
        Self { office, ours, theirs, agent }
    }

    async fn open(&self) -> TicketId {
        let opened = self.ours.open(self.office.opening().await).await;
        opened.expect("a ticket is opened").ticket.id
    }

    async fn says(&self, ticket: TicketId) -> TicketId {
        let intent = self.office.intent(&self.agent, ticket, Command::reply("Hm.")).await;
        let said = self.theirs.execute(intent).await.expect("a message is taken");
        said.said.expect("it was a message").ticket
    }

    async fn messages(&self, ticket: TicketId) -> usize {
        let shown = self.theirs.shown_messages(&self.office.tenant, ticket).await;
        shown.expect("the log answers").expect("a ticket").len()
    }

    async fn shows(&self, ticket: TicketId) -> Resolved {
        let look = |ticket: &mut Ticket| ticket.resolve().expect("an undamaged ticket");
        let shown = self.theirs.look(&self.office.tenant, ticket, look).await;
        shown.expect("the log answers").expect("a ticket")
    }
}

/// Merge, write to the merged ticket, unmerge; each by another node than the one before.
pub async fn a_ticket_is_merged_written_to_and_taken_out_again(harness: &impl LogHarness) {
    let nodes = Nodes::of(harness).await;
    let (source, into) = (nodes.open().await, nodes.open().await);
    nodes.office.merge(&nodes.ours, &nodes.agent, source, into).await.expect("a merge");
    assert_eq!(nodes.says(source).await, into);
    assert_eq!(nodes.messages(into).await, 3);
    let merge = nodes.office.merge(&nodes.theirs, &nodes.agent, into, source).await;
    assert!(matches!(merge, Err(DeskError::Refused(Refusal::NotMergeable { .. }))), "{merge:?}");
    nodes.office.unmerge(&nodes.theirs, &nodes.agent, source, into).await.expect("an unmerge");
    assert_eq!((nodes.messages(into).await, nodes.messages(source).await), (2, 1));
    assert_eq!(nodes.says(source).await, source);
    nodes.office.merge(&nodes.theirs, &nodes.agent, into, source).await.expect("the other way");
    assert_eq!(nodes.messages(source).await, 4);
}

/// Of two opposite merges exactly one begins, and its mark stands on both tickets.
pub async fn of_two_opposite_merges_at_once_exactly_one_begins(harness: &impl LogHarness) {
    let nodes = Nodes::of(harness).await;
    for _ in 0..RACES {
        let (one, other) = (nodes.open().await, nodes.open().await);
        let begin = [MergeMove::Begin(MergeGoal::Merge)];
        let (ours, theirs) = tokio::join!(
            nodes.office.steps(&nodes.ours, &nodes.agent, (one, other), &begin),
            nodes.office.steps(&nodes.theirs, &nodes.agent, (other, one), &begin),
        );
        assert!(ours.is_ok() != theirs.is_ok(), "{ours:?} {theirs:?}");
        let into = if ours.is_ok() { other } else { one };
        for ticket in [one, other] {
            let mark = nodes.shows(ticket).await.merge.expect("a mark");
            assert_eq!(mark.into, (ticket != into).then_some(into));
        }
    }
}

/// A saga's row beside a merge: stored with it or not at all, once, and never by a node that is behind on the saga.
pub async fn a_row_beside_a_merge_stands_or_falls_with_it(harness: &impl LogHarness) {
    let nodes = Nodes::of(harness).await;
    let (source, into) = (nodes.open().await, nodes.open().await);
    let saga = Stream { kind: StreamKind::Saga, id: uuid(9, 1) };
    let begin = MergeMove::Begin(MergeGoal::Merge);
    let attach = MergeMove::Attach(Urgency::Wanted);
    let write = |step| nodes.office.merging(&nodes.agent, (source, into), saga.id, step);
    let first = Arc::new(beside(write(begin), saga, 1, Expected::Opening));
    let placed = match nodes.ours.join(first.clone()).await {
        Ok(Joined::Done(placed)) => placed,
        other => panic!("{other:?}"),
    };
    assert_eq!(placed.len(), 3);
    let again = nodes.theirs.join(first).await;
    assert!(matches!(again, Ok(Joined::Stored(_))), "{again:?}");
    let behind = beside(write(attach), saga, 2, Expected::Last(placed[0].position - 1));
    let fenced = nodes.theirs.join(Arc::new(behind)).await;
    assert!(matches!(fenced, Err(DeskError::Fenced)), "{fenced:?}");
    assert_eq!(merged_events(&nodes, source).await, 0);
    let next = beside(write(attach), saga, 2, Expected::Last(placed[0].position));
    let done = nodes.theirs.join(Arc::new(next)).await;
    assert!(matches!(&done, Ok(Joined::Done(placed)) if placed.len() == 3), "{done:?}");
    assert_eq!(merged_events(&nodes, source).await, 1);
    let refused = beside(write(attach), saga, 3, Expected::Opening);
    let refused = nodes.ours.join(Arc::new(refused)).await;
    assert!(matches!(refused, Err(DeskError::Refused(_))), "{refused:?}");
    assert_eq!(saga_events(&nodes, saga).await.len(), 2);
}

fn beside(write: MergeWrite, saga: Stream, number: u64, expected: Expected) -> Beside<MergeWrite> {
    let row = move |_: &_| {
        let draft = Draft { stream: saga, change: None, ..draft(TicketId::new(saga.id), number) };
        let tenant = "acme".parse().expect("a valid name");
        vec![Row { draft: Arc::new(Draft { tenant, ..draft }), expected }]
    };
    Beside { write, rows_max: 1, rows: Arc::new(row) }
}

async fn merged_events(nodes: &Nodes, ticket: TicketId) -> usize {
    let events = nodes.office.events(ticket).await;
    events.iter().filter(|event| event.event_type == EventType::Merged).count()
}

async fn saga_events(nodes: &Nodes, stream: Stream) -> Vec<Event> {
    let (tenant, after): (_, Position) = (nodes.office.tenant.clone(), 0);
    let read = crate::ports::log::StreamRead { tenant, stream, after };
    nodes.office.log.stream_events(&[read]).await.expect("the log answers")
}
