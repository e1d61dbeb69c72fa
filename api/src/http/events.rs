//! `GET /v1/events`: the tenant's feed as JSON.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::page::{
    PAGE_BYTES_MAX, READ_AT_ONCE_MAX, events_limit, from_the_start, read_cursor, weight,
};
use super::query::Query;
use super::tickets::{check_feed, problem};
use crate::app::App;
use crate::auth::Token;
use crate::present::Names;
use crate::present::event::{ChangeBytes, present};
use crate::problem::Problem;

/// The tenant's events beyond a cursor, from the first where none is given.
#[tracing::instrument(name = "http.feed.page", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    query: Query,
) -> Result<Response, Problem> {
    check_feed(&token)?;
    let [after, limit] = query.params(["after", "limit"])?;
    let limit = events_limit(limit.as_deref())?;
    let from = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => read_cursor(&app, after).await?,
        None => from_the_start(&app),
    };
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let mut cursor = from;
    let (mut events, mut bytes, mut end_of_stream) = (Vec::new(), 0, false);
    while !end_of_stream && events.len() < limit && bytes < PAGE_BYTES_MAX {
        let at_once = READ_AT_ONCE_MAX.min(limit - events.len());
        let log = &app.desk.ports().log;
        let page = log.tenant_events(&token.tenant, &cursor.positions, at_once).await;
        let page = page.map_err(|error| problem(error.into()))?;
        for event in &page.events {
            cursor.positions.advance(event.partition, event.position);
            bytes += weight(event);
            events.push(present(names, event, &cursor, ChangeBytes::Omit).await.map_err(problem)?);
        }
        end_of_stream = !page.more;
    }
    let after_cursor = cursor.to_string();
    let body =
        json!({"events": events, "after_cursor": after_cursor, "end_of_stream": end_of_stream});
    Ok(Json(body).into_response())
}

/// The route of the feed.
#[must_use]
pub fn routes() -> super::Routes<App> {
    super::Routes::new().on(axum::http::Method::GET, "/v1/events", get)
}
