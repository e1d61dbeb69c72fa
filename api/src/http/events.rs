//! `GET /v1/events`: the tenant's feed as JSON.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_engine::around::{Around, Unreadable};
use docket_engine::cursor::Cursor;
use docket_schemas::Tenant;
use serde_json::{Value, json};

use super::page::{
    PAGE_BYTES_MAX, READ_AT_ONCE_MAX, events_limit, from_the_start, name_unreadable, read_cursor,
};
use super::query::Query;
use super::tickets::{check_feed, problem};
use super::wait::Waiting;
use crate::app::App;
use crate::auth::Token;
use crate::live::feed::{FeedReader, Next, weight};
use crate::present::Names;
use crate::present::event::{ChangeBytes, present};
use crate::problem::Problem;

/// The tenant's events beyond a cursor, from the first where none is given. With `wait` a reader who is up to date
/// gets the next ones as soon as there are some.
#[tracing::instrument(name = "http.feed.page", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    query: Query,
) -> Result<Response, Problem> {
    check_feed(&token)?;
    let [after, limit, wait] = query.params(["after", "limit", "wait"])?;
    let limit = events_limit(limit.as_deref())?;
    let until = Waiting::parse(wait.as_deref())?;
    let from = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => read_cursor(&app, after).await?,
        None => from_the_start(&app),
    };
    let mut page = read(&app, &token.tenant, from, limit).await?;
    // Rows that cannot be read are news too: a cursor behind them tells of them once.
    while page.events.is_empty() && page.unreadable.is_empty() {
        if !until.news(&app.live, grown(&app, &token.tenant, page.after.clone())).await {
            break;
        }
        // The log may have been restored meanwhile.
        let after = read_cursor(&app, &page.after.to_string()).await?;
        page = read(&app, &token.tenant, after, limit).await?;
    }
    let mut body = json!({
        "events": page.events,
        "after_cursor": page.after.to_string(),
        "end_of_stream": page.end_of_stream,
    });
    name_unreadable(&mut body, &page.unreadable);
    Ok(Json(body).into_response())
}

struct Page {
    events: Vec<Value>,
    unreadable: Vec<Unreadable>,
    after: Cursor,
    end_of_stream: bool,
}

/// Events up to `limit`, and fewer where they are large.
async fn read(app: &App, tenant: &Tenant, from: Cursor, limit: usize) -> Result<Page, Problem> {
    let names = Names { desk: &app.desk, tenant };
    let mut page =
        Page { events: Vec::new(), unreadable: Vec::new(), after: from, end_of_stream: false };
    let mut bytes = 0;
    while !page.end_of_stream && page.events.len() < limit && bytes < PAGE_BYTES_MAX {
        let at_once = READ_AT_ONCE_MAX.min(limit - page.events.len());
        let read = app.live.tail.tenant_events(tenant, &page.after.positions, at_once).await;
        let Around { found: read, unreadable, .. } = read.map_err(|error| problem(error.into()))?;
        for row in unreadable {
            page.after.positions.advance(row.partition, row.position);
            page.unreadable.push(row);
        }
        for event in &read.events {
            page.after.positions.advance(event.partition, event.position);
            bytes += weight(event);
            let view = present(names, event, Some(&page.after), ChangeBytes::Omit).await;
            page.events.push(view.map_err(problem)?.json());
        }
        page.end_of_stream = !read.more;
    }
    Ok(page)
}

/// Waits until the tenant has events beyond a cursor.
async fn grown(app: &App, tenant: &Tenant, from: Cursor) {
    let mut reader = FeedReader::new(&app.desk, &app.live, tenant.clone(), from);
    loop {
        match reader.next().await {
            Ok(Next::Events(events)) if events.is_empty() => {}
            _ => return,
        }
    }
}

/// The route of the feed.
#[must_use]
pub fn routes() -> super::Routes<App> {
    super::Routes::new().on(axum::http::Method::GET, "/v1/events", get)
}
