//! `GET /v1/tickets`: the tickets view, a page at a time.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use docket_engine::desk::DeskError;
use docket_engine::policy::{Action, Audience, Relation, Verdict, may};
use docket_engine::ticket::Resolved;
use docket_projections::query::ListQuery;
use docket_schemas::{PersonId, Tenant};
use serde_json::json;

use super::as_of::{as_of, ask, wanted};
use super::filters::{FILTERS, ListCursors, filter, sort, viewer};
use super::refusal::{forbidden, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::page::page_size;
use crate::http::query::Query;
use crate::present::Names;
use crate::present::ticket::{TicketView, present};
use crate::problem::Problem;

/// The parameters of a list: its filters, then these.
const PARAMETERS: [&str; FILTERS.len() + 4] = {
    let mut names = ["sort"; FILTERS.len() + 4];
    let mut index = 0;
    while index < FILTERS.len() {
        names[index] = FILTERS[index];
        index += 1;
    }
    names[FILTERS.len() + 1] = "page[size]";
    names[FILTERS.len() + 2] = "page[after]";
    names[FILTERS.len() + 3] = "external_id";
    names
};

/// The tickets that pass the filters; with `external_id` those that it names, current at once.
#[tracing::instrument(name = "http.tickets.list", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    check_find(&token)?;
    let params = query.params(PARAMETERS)?;
    let [given @ .., by, size, after, external_id] = &params;
    if external_id.is_some() {
        return super::find::get(&app, &token, &query).await;
    }
    let viewer = viewer(&app, &token).await?;
    let order = sort(by.as_deref())?;
    let limit = page_size("page[size]", size.as_deref())?;
    let filter = filter(&app, &token.tenant, given).await?;
    let cursors = ListCursors::of(&token.tenant, viewer, given, order);
    let after = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => Some(cursors.read(after)?),
        None => None,
    };
    let wanted = wanted(&app, &headers).await?;
    let tenant = token.tenant.clone();
    let query = ListQuery { tenant, viewer, filter, sort: order, after, limit };
    let store = &app.views.store;
    let asked = ask(&app, wanted.as_ref(), || store.list(&query), |page| &page.basis);
    let (page, waited) = asked.await?;
    let audience = Audience::of(token.role);
    let last = page.tickets.last().filter(|_| page.more).map(|last| cursors.write(last.place));
    let meta = json!({"has_more": page.more, "after_cursor": last});
    let as_of = as_of(&app, audience, &page.basis, waited).await?;
    let tickets = page.tickets.into_iter().map(|listed| listed.ticket).collect();
    let tickets = present_all(&app, &token.tenant, audience, tickets).await.map_err(problem)?;
    Ok(Json(json!({"tickets": tickets, "meta": meta, "as_of": as_of})).into_response())
}

/// Refuses who may not find tickets at all.
pub(in crate::http) fn check_find(token: &Token) -> Result<(), Problem> {
    match may(token.role, Relation::Other, Action::LookUp) {
        Verdict::Allow => Ok(()),
        _ => Err(forbidden("read tickets")),
    }
}

/// Tickets of the view as an audience may see them; the persons in them are looked up together.
pub(in crate::http) async fn present_all(
    app: &App,
    tenant: &Tenant,
    audience: Audience,
    tickets: Vec<Resolved>,
) -> Result<Vec<TicketView>, DeskError> {
    app.keyring().recall(tenant, tickets.iter().flat_map(persons)).await?;
    let names = Names { desk: &app.desk, tenant };
    let mut views = Vec::with_capacity(tickets.len());
    for ticket in tickets {
        views.push(present(names, ticket, audience).await?);
    }
    Ok(views)
}

fn persons(ticket: &Resolved) -> impl Iterator<Item = PersonId> {
    let candidates = ticket.conflicts.iter().flat_map(|conflict| &conflict.candidates);
    let named = candidates.filter_map(|candidate| candidate.principal.person());
    let authors = ticket.unseen_messages.iter().filter_map(|message| message.author.person());
    [ticket.requester].into_iter().chain(ticket.assignee).chain(named).chain(authors)
}
