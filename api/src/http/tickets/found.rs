//! All tickets that a filter names, or that are a person's, for work over many.

use docket_engine::cursor::Cursor;
use docket_projections::query::{Direction, ListQuery, Sort, SortKey, TicketFilter, Viewer};
use docket_schemas::{PersonId, Tenant, TicketId};

use super::as_of::{Waited, ask};
use super::filters::{FILTERS, filter};
use super::refusal::UNAVAILABLE_RETRY_AFTER;
use crate::app::App;
use crate::http::page::PAGE_SIZE_MAX;
use crate::http::query::Query;
use crate::problem::{Code, Problem};

/// The ids of the tickets that pass a filter, written as the query of a list is; by age, `max` at most and one more. They
/// are read once the view has come to `wanted`; where that takes too long there are none, and the caller may try again.
pub(in crate::http) async fn found(
    app: &App,
    tenant: &Tenant,
    text: &str,
    wanted: Option<&Cursor>,
    max: usize,
) -> Result<Vec<TicketId>, Problem> {
    let malformed = || Problem::invalid("filter", "is no query such as status=open&tag=vip");
    let query = Query::of(text);
    let given = query.params(FILTERS)?;
    if given.iter().all(Option::is_none) {
        return Err(malformed());
    }
    let filter = filter(app, tenant, &given).await?;
    walk(app, (tenant, Viewer::Staff), filter, wanted, max).await
}

/// The ids of the tickets of which a person is requester or follower, by age, `max` at most and one more.
pub(in crate::http) async fn own_tickets(
    app: &App,
    tenant: &Tenant,
    person: PersonId,
    max: usize,
) -> Result<Vec<TicketId>, Problem> {
    walk(app, (tenant, Viewer::Customer(person)), TicketFilter::default(), None, max).await
}

/// A list may be stale and say so; what is found for work is found for good.
fn too_early() -> Problem {
    Problem::new(Code::Unavailable)
        .detail("the tickets view has not come to the place in Docket-After yet; nothing was begun")
        .retry_after(UNAVAILABLE_RETRY_AFTER)
}

/// What changes meanwhile keeps its place in this order, and no ticket is missed.
const BY_AGE: Sort = Sort { key: SortKey::CreatedAt, direction: Direction::Ascending };

async fn walk(
    app: &App,
    (tenant, viewer): (&Tenant, Viewer),
    filter: TicketFilter,
    wanted: Option<&Cursor>,
    max: usize,
) -> Result<Vec<TicketId>, Problem> {
    let (store, mut tickets, mut after) = (&app.views.store, Vec::new(), None);
    loop {
        let query = ListQuery {
            tenant: tenant.clone(),
            viewer,
            filter: filter.clone(),
            sort: BY_AGE,
            after,
            limit: PAGE_SIZE_MAX,
        };
        let asked = ask(app, wanted, || store.list(&query), |page| &page.basis).await?;
        let (page, waited) = asked;
        if wanted.is_some() && waited == Waited::InVain {
            return Err(too_early());
        }
        after = page.tickets.last().map(|last| last.place);
        tickets.extend(page.tickets.iter().map(|listed| listed.ticket.id));
        if !page.more || tickets.len() > max {
            return Ok(tickets);
        }
    }
}
