//! Questions to the view: every filter with every order and its pages, and how many tickets there are.

use std::sync::Arc;

use docket_projections::query::{
    CountQuery, Direction, ListQuery, Sort, SortKey, TicketFilter, Viewer,
};
use docket_projections::store::ViewStore;
use docket_schemas::{Priority, Status, Tenant, TicketType, Timestamp};

use super::corpus::{agent, busy, customer, group};
use super::times::{Answered, Times};
use crate::wire::WireError;

/// Tickets of a page.
const PAGE: usize = 50;
/// What is asked for behind a time: the last day of the made-up log.
const DAY: i64 = 86_400_000_000;

/// Everything that is asked.
pub(super) struct Questions {
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) tenant: Tenant,
    /// When the last ticket was opened.
    pub(super) last: Timestamp,
    /// Times that each question is asked, a list each time for the next page.
    pub(super) asked: u32,
}

impl Questions {
    /// How long lists take.
    pub(super) async fn lists(&self) -> Result<Vec<Answered>, WireError> {
        let mut answered = Vec::new();
        for (name, viewer, filter) in self.filters() {
            for key in [SortKey::CreatedAt, SortKey::UpdatedAt, SortKey::Priority] {
                for direction in [Direction::Ascending, Direction::Descending] {
                    let sort = Sort { key, direction };
                    let kind = format!("{name}, {}", order(sort));
                    answered.push(self.list(kind, viewer, &filter, sort).await?);
                }
            }
        }
        Ok(answered)
    }

    async fn list(
        &self,
        kind: String,
        viewer: Viewer,
        filter: &TicketFilter,
        sort: Sort,
    ) -> Result<Answered, WireError> {
        let (tenant, filter) = (self.tenant.clone(), filter.clone());
        let mut query = ListQuery { tenant, viewer, filter, sort, after: None, limit: PAGE };
        let (mut times, mut found) = (Times::default(), 0);
        for _ in 0..self.asked {
            let page = times.take(self.store.list(&query)).await?;
            found += page.tickets.len() as u64;
            query.after = page.tickets.last().map(|last| last.place).filter(|_| page.more);
        }
        Ok(times.answered(kind, found / u64::from(self.asked)))
    }

    /// How long counts take.
    pub(super) async fn counts(&self) -> Result<Vec<Answered>, WireError> {
        let mut answered = Vec::new();
        for (name, viewer, filter) in self.filters() {
            let query = CountQuery { tenant: self.tenant.clone(), viewer, filter };
            let (mut times, mut found) = (Times::default(), 0);
            for _ in 0..self.asked {
                found = times.take(self.store.count(&query)).await?.count;
            }
            answered.push(times.answered(name.to_owned(), found));
        }
        Ok(answered)
    }

    fn filters(&self) -> Vec<(&'static str, Viewer, TicketFilter)> {
        let none = TicketFilter::default;
        let tag = |tag: &str| TicketFilter { tag: Some(tag.to_owned()), ..none() };
        let team = |number| Some(Some(group(number)));
        let open = Some(Status::Open);
        let yesterday = Some(self.last.plus_micros(-DAY));
        let mut filters = vec![
            ("all", none()),
            ("closed", TicketFilter { status: Some(Status::Closed), ..none() }),
            ("new", TicketFilter { status: Some(Status::New), ..none() }),
            ("urgent", TicketFilter { priority: Some(Priority::Urgent), ..none() }),
            ("incidents", TicketFilter { ticket_type: Some(TicketType::Incident), ..none() }),
            ("of an agent", TicketFilter { assignee: Some(Some(agent(7))), ..none() }),
            ("nobody's", TicketFilter { assignee: Some(None), ..none() }),
            ("of a group", TicketFilter { group: team(7), ..none() }),
            ("of a requester", TicketFilter { requester: Some(customer()), ..none() }),
            ("of a busy requester", TicketFilter { requester: Some(busy()), ..none() }),
            ("a frequent tag", tag("topic 0")),
            ("a tag", tag("topic 20")),
            ("a rare tag", tag("rare")),
            ("no such tag", tag("never")),
            ("opened yesterday", TicketFilter { created_after: yesterday, ..none() }),
            ("changed yesterday", TicketFilter { updated_after: yesterday, ..none() }),
            ("open of a group", TicketFilter { status: open, group: team(7), ..none() }),
            (
                "open and urgent",
                TicketFilter { status: open, priority: Some(Priority::Urgent), ..none() },
            ),
            (
                "open of an agent",
                TicketFilter { status: open, assignee: Some(Some(agent(7))), ..none() },
            ),
            ("open with a tag", TicketFilter { status: open, ..tag("topic 20") }),
            ("open with a frequent tag", TicketFilter { status: open, ..tag("topic 0") }),
            ("of a group with a rare tag", TicketFilter { group: team(7), ..tag("rare") }),
        ]
        .into_iter()
        .map(|(name, filter)| (name, Viewer::Staff, filter))
        .collect::<Vec<_>>();
        for (name, person) in [("a customer's own", customer()), ("a busy customer's own", busy())]
        {
            filters.push((name, Viewer::Customer(person), none()));
        }
        let open = TicketFilter { status: open, ..none() };
        filters.push(("a busy customer's open", Viewer::Customer(busy()), open));
        filters
    }
}

const fn order(sort: Sort) -> &'static str {
    match (sort.key, sort.direction) {
        (SortKey::CreatedAt, Direction::Ascending) => "oldest",
        (SortKey::CreatedAt, Direction::Descending) => "newest",
        (SortKey::UpdatedAt, Direction::Ascending) => "changed first",
        (SortKey::UpdatedAt, Direction::Descending) => "changed last",
        (SortKey::Priority, Direction::Ascending) => "least urgent",
        (SortKey::Priority, Direction::Descending) => "most urgent",
    }
}
