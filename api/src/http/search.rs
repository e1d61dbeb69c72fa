//! `GET /v1/search`: tickets by words and filters, a page at a time.

mod ask;
mod highlights;
mod params;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use docket_engine::cursor::Cursor;
use docket_engine::desk::DeskError;
use docket_engine::policy::Audience;
use docket_projections::query::{Basis, Viewer};
use docket_schemas::{Tenant, TicketId};
use docket_search::highlight::Highlighter;
use docket_search::port::{Facet, FacetCounts, Found, Hit, IndexError, Reader};
use serde_json::{Map, Value, json};

use super::routes::Routes;
use super::tickets::{Waited, as_of, check_find, present_all, problem, store_problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::header::docket_after;
use crate::http::page::read_cursor;
use crate::http::query::Query;
use crate::present::Names;
use crate::present::ticket::TicketView;
use crate::problem::{Code, Problem};
use ask::ask;
use highlights::highlights;

/// The routes of searching.
pub fn routes() -> Routes<App> {
    Routes::new().on(Method::GET, "/v1/search", get)
}

/// The tickets that a query finds, as far as the caller may see them.
#[tracing::instrument(name = "http.search", skip_all)]
async fn get(
    State(app): State<App>,
    token: Token,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    check_find(&token)?;
    let (question, cursors) = ask(&app, &token, &query).await?;
    let waited = wait(&app, &headers).await?;
    let highlighter = Highlighter::of(&question.query);
    let reader = question.reader;
    let incarnation = app.search.incarnation();
    let mut found = app.search.index.search(question).await.map_err(index_problem)?;
    let last = found.hits.last().filter(|_| found.more);
    let last = last.map(|last| cursors.write(last.rank, found.rarity.as_ref()));
    let audience = Audience::of(token.role);
    let basis = Basis {
        positions: found.positions,
        incarnation: Some(incarnation),
        newest_visible: found.newest_visible,
    };
    let mut seen = seen(&app, &token.tenant, audience, reader, &found.hits).await?;
    let mut confirmed = true;
    if seen.len() < found.hits.len() {
        confirmed = confirm(&app, &basis).await?;
        seen = self::seen(&app, &token.tenant, audience, reader, &found.hits).await?;
    }
    let waited = match waited {
        Waited::Reached if confirmed && app.search.has_caught_up(&found.positions) => {
            Waited::Reached
        }
        _ => Waited::InVain,
    };
    let as_of = as_of(&app, audience, &basis, waited).await?;
    // What the index knows and the view does not confirm is not there; what else of it other pages hold is not known.
    let hits = found.hits.len();
    let all_confirmed = seen.len() == hits;
    found.hits.retain(|hit| seen.contains_key(&hit.ticket));
    let count = found.count.saturating_sub((hits - found.hits.len()) as u64);
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let facets = facets(names, std::mem::take(&mut found.facets)).await.map_err(problem)?;
    let results = results(&app, &token.tenant, audience, highlighter, &found, seen).await;
    let results = results.map_err(problem)?;
    let meta = json!({"has_more": found.more, "after_cursor": last});
    let body = json!({
        "results": results, "count": count, "count_exact": all_confirmed, "facets": facets, "meta": meta, "as_of": as_of,
    });
    Ok(Json(body).into_response())
}

/// Waits until index and view have reached the place in `Docket-After`, if there is one: a hit needs both.
async fn wait(app: &App, headers: &HeaderMap) -> Result<Waited, Problem> {
    let Some(after) = docket_after(headers)? else { return Ok(Waited::Reached) };
    let after = read_cursor(app, after).await?;
    let (indexed, viewed) =
        tokio::join!(app.search.wait_for(&after), app.views.freshness.wait_for(&after));
    let reached = indexed && viewed.map_err(store_problem)?;
    Ok(if reached { Waited::Reached } else { Waited::InVain })
}

/// Waits until the view has reached what the index answered from: it may be behind, as after a node was lost that fed it.
/// It never reaches what is in an index of an older incarnation.
async fn confirm(app: &App, basis: &Basis) -> Result<bool, Problem> {
    let incarnation = app.desk.incarnation();
    let Some(basis) = basis.within(incarnation.number()) else { return Ok(false) };
    let found_at = Cursor { incarnation, positions: basis.positions };
    app.views.freshness.wait_for(&found_at).await.map_err(store_problem)
}

/// Those hits that the view confirms, as they are shown.
async fn seen(
    app: &App,
    tenant: &Tenant,
    audience: Audience,
    reader: Reader,
    hits: &[Hit],
) -> Result<HashMap<TicketId, TicketView>, Problem> {
    let viewer = match reader {
        Reader::Staff(_) => Viewer::Staff,
        Reader::Customer(person) => Viewer::Customer(person),
    };
    let ids: Vec<TicketId> = hits.iter().map(|hit| hit.ticket).collect();
    let listed = app.views.store.tickets(tenant, viewer, &ids).await.map_err(store_problem)?;
    let tickets = listed.into_iter().map(|listed| listed.ticket).collect();
    let views = present_all(app, tenant, audience, tickets).await.map_err(problem)?;
    Ok(views.into_iter().map(|view| (view.id, view)).collect())
}

async fn results(
    app: &App,
    tenant: &Tenant,
    audience: Audience,
    highlighter: Highlighter,
    found: &Found,
    mut seen: HashMap<TicketId, TicketView>,
) -> Result<Vec<Value>, DeskError> {
    let mut shown = highlights(app, tenant, audience, highlighter, &found.hits, &seen).await?;
    let results = found.hits.iter().filter_map(|hit| {
        let ticket = seen.remove(&hit.ticket)?;
        let highlights = shown.remove(&hit.ticket).unwrap_or_default();
        Some(json!({"ticket": ticket, "score": hit.score, "highlights": highlights}))
    });
    Ok(results.collect())
}

/// Each facet's values with their counts; persons by the ids that callers use.
async fn facets(
    names: Names<'_>,
    facets: Vec<(Facet, FacetCounts)>,
) -> Result<Map<String, Value>, DeskError> {
    let mut shown = Map::new();
    for (facet, counts) in facets {
        let mut values = Map::new();
        for (value, count) in counts {
            let name = match (facet, value.parse()) {
                (Facet::Assignee, Ok(person)) => names.person(person).await?,
                _ => value,
            };
            values.insert(name, json!(count));
        }
        shown.insert(facet.as_str().to_owned(), Value::Object(values));
    }
    Ok(shown)
}

/// The index failed: the log goes on.
fn index_problem(error: IndexError) -> Problem {
    if matches!(error, IndexError::Overloaded) {
        return Problem::overloaded();
    }
    tracing::error!(error = &error as &dyn std::error::Error, "http.search.failed");
    Problem::new(Code::Unavailable).detail("the search index does not answer")
}
