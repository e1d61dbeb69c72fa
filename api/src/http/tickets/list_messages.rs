//! `GET /v1/tickets/{id}/messages`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_engine::policy::{Action, Audience};
use docket_schemas::{Event, Stream};
use serde_json::json;

use super::enter::enter;
use super::refusal::problem;
use super::slice::slice;
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
    let staff = entered.audience == Audience::Staff;
    let wanted = |event: &Event| is_message(event) && (staff || event.public);
    let found = slice(&app, &entered, after, size, wanted).await.map_err(problem)?;
    let has_more = found.more;
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let mut messages = Vec::with_capacity(found.events.len());
    for event in &found.events {
        messages.push(present(names, event).await.map_err(problem)?);
    }
    let last = found.events.last().filter(|_| has_more);
    let cursor = last
        .map(|event| position_of(&app.desk.incarnation(), partition, event.position).to_string());
    let meta = json!({"has_more": has_more, "after_cursor": cursor});
    Ok(Json(json!({"messages": messages, "meta": meta})).into_response())
}
