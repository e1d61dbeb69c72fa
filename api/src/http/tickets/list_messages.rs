//! `GET /v1/tickets/{id}/messages`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_engine::policy::{Action, Audience};
use docket_engine::ticket::Ticket;
use docket_schemas::{Event, Stream, TicketId};
use serde_json::json;

use super::enter::{Entered, enter};
use super::refusal::problem;
use super::shown::{MessageKey, shown};
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

/// The messages of a page, and where the next one goes on.
pub(super) struct Listed {
    pub(super) events: Vec<Event>,
    pub(super) after_cursor: Option<String>,
}

/// Where a page begins.
pub(super) enum After {
    /// Behind a place in the ticket's own stream; 0 before the first message.
    Position(u64),
    /// Behind a message of a list that several streams make up.
    Key(MessageKey),
}

/// The ticket's messages, oldest first; of a merged one those of the ticket that shows them.
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
    let after = read_after(&app, ticket.0, &token, after.as_deref()).await?;
    let showing = showing(&app, &entered).await?;
    let listed = match (after, showing) {
        (After::Position(position), Showing::Own) => own(&app, &entered, position, size).await?,
        (after, showing) => shown(&app, &entered, showing.ticket(ticket.0), after, size).await?,
    };
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let mut messages = Vec::with_capacity(listed.events.len());
    for event in &listed.events {
        messages.push(present(names, event).await.map_err(problem)?);
    }
    let cursor = listed.after_cursor;
    let meta = json!({"has_more": cursor.is_some(), "after_cursor": cursor});
    Ok(Json(json!({"messages": messages, "meta": meta})).into_response())
}

async fn read_after(
    app: &App,
    ticket: TicketId,
    token: &Token,
    after: Option<&str>,
) -> Result<After, Problem> {
    let Some(after) = after.filter(|after| !after.is_empty()) else {
        return Ok(After::Position(0));
    };
    if let Some(key) = MessageKey::parse(after) {
        return Ok(After::Key(key));
    }
    let partition = Stream::ticket(ticket).partition(&token.tenant);
    Ok(After::Position(read_cursor(app, after).await?.positions.get(partition)))
}

/// Whose messages a ticket's list is.
enum Showing {
    /// Its own and no others.
    Own,
    /// Its own and those of tickets that were merged into it.
    Whole,
    /// Those of the ticket that it was merged into.
    Other(TicketId),
}

impl Showing {
    const fn ticket(&self, own: TicketId) -> TicketId {
        match self {
            Self::Own | Self::Whole => own,
            Self::Other(target) => *target,
        }
    }
}

/// A customer whom staff have unfollowed from the target is shown what their own ticket had.
async fn showing(app: &App, entered: &Entered) -> Result<Showing, Problem> {
    let (tenant, own) = (&entered.caller.tenant, entered.ticket);
    let target = app.desk.showing(tenant, own).await.map_err(problem)?;
    let target = target.ok_or_else(Problem::not_found)?;
    if target != own {
        let person = entered.caller.principal.person();
        let part = |ticket: &mut Ticket| {
            person.is_some_and(|person| ticket.concerns(person).unwrap_or(false))
        };
        let sees = match entered.audience {
            Audience::Staff => true,
            Audience::Customer => {
                app.desk.look(tenant, target, part).await.map_err(problem)?.unwrap_or(false)
            }
        };
        return Ok(if sees { Showing::Other(target) } else { Showing::Whole });
    }
    let merges = |ticket: &mut Ticket| ticket.merges().attached().next().is_some();
    let merged = app.desk.glance(tenant, own, merges).await.map_err(problem)?;
    Ok(if merged.unwrap_or(false) { Showing::Whole } else { Showing::Own })
}

/// A page of a ticket that has nothing to do with a merge, read as it stands in the log.
async fn own(app: &App, entered: &Entered, after: u64, size: usize) -> Result<Listed, Problem> {
    let staff = entered.audience == Audience::Staff;
    let wanted = |event: &Event| is_message(event) && (staff || event.public);
    let incarnation = app.desk.incarnation();
    let found = slice(app, entered, after, size, wanted).await.map_err(problem)?;
    let partition = Stream::ticket(entered.ticket).partition(&entered.caller.tenant);
    let cursor = found.goes_on.map(|position| position_of(&incarnation, partition, position));
    let after_cursor = cursor.map(|cursor| cursor.to_string());
    Ok(Listed { events: found.events, after_cursor })
}
