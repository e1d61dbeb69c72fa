//! `GET /v1/tickets/{id}/messages`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_engine::desk::DeskError;
use docket_engine::policy::{Action, Audience};
use docket_engine::ports::log::{READ_EVENTS_MAX, StreamRead};
use docket_schemas::{Event, Stream};
use serde_json::json;

use super::enter::{Entered, enter};
use super::refusal::problem;
use crate::app::App;
use crate::auth::Token;
use crate::http::page::{page_size, read_cursor};
use crate::http::path::TicketPath;
use crate::http::query::Query;
use crate::present::Names;
use crate::present::event::position_of;
use crate::present::message::{is_message, present};
use crate::problem::Problem;

/// The ticket's messages, oldest first.
#[tracing::instrument(name = "http.ticket.messages", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    query: Query,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::Read).await?;
    let [size, after] = query.params(["page[size]", "page[after]"])?;
    let size = page_size("page[size]", size.as_deref())?;
    let partition = Stream::ticket(ticket.0).partition(&token.tenant);
    let after = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => read_cursor(&app, after).await?.positions.get(partition),
        None => 0,
    };
    let found = messages(&app, &entered, after, size + 1).await.map_err(problem)?;
    let has_more = found.len() > size;
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let mut messages = Vec::with_capacity(size);
    for event in found.iter().take(size) {
        messages.push(present(names, event).await.map_err(problem)?);
    }
    let last = found[..found.len().min(size)].last().filter(|_| has_more);
    let cursor = last
        .map(|event| position_of(&app.desk.incarnation(), partition, event.position).to_string());
    let meta = json!({"has_more": has_more, "after_cursor": cursor});
    Ok(Json(json!({"messages": messages, "meta": meta})).into_response())
}

/// Up to `limit` messages that the caller may see, after a position.
async fn messages(
    app: &App,
    entered: &Entered,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>, DeskError> {
    let tenant = entered.caller.tenant.clone();
    let mut read = StreamRead { tenant, stream: Stream::ticket(entered.ticket), after };
    let visible = |event: &Event| event.public || entered.audience == Audience::Staff;
    let mut found = Vec::new();
    loop {
        let page = app.desk.ports().log.stream_page(&read, READ_EVENTS_MAX).await?;
        let Some(last) = page.last() else { return Ok(found) };
        read.after = last.position;
        let full = page.len() < READ_EVENTS_MAX;
        found.extend(page.into_iter().filter(|event| is_message(event) && visible(event)));
        if full || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}
