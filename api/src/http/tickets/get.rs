//! `GET /v1/tickets/{id}`

use axum::extract::State;
use axum::response::Response;
use docket_engine::desk::{AsOf, DeskError};
use docket_engine::policy::Action;

use super::answer::{current, read, view};
use super::enter::{enter, parse_version};
use super::refusal::problem;
use crate::app::App;
use crate::auth::Token;
use crate::http::path::TicketPath;
use crate::http::query::Query;
use crate::problem::Problem;

/// The ticket as it is, or as it was.
#[tracing::instrument(name = "http.ticket.get", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    query: Query,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::Read).await?;
    let [at] = query.params(["at"])?;
    let Some(at) = at else { return Ok(read(current(&app, &entered).await?)) };
    let at = as_of(&at)?;
    let mut past = app
        .desk
        .as_of(&entered.caller.tenant, entered.ticket, &at)
        .await
        .map_err(problem)?
        .ok_or_else(Problem::not_found)?;
    let resolved = past.resolve().map_err(|error| problem(DeskError::from(error)))?;
    Ok(read(view(&app, &entered, resolved).await?))
}

/// A time or a version; no version contains a colon, every time does.
fn as_of(text: &str) -> Result<AsOf, Problem> {
    if text.contains(':') {
        // `+` in a query is a space, and an offset begins with one.
        let time = text.replace(' ', "+").parse();
        return time.map(AsOf::Time).map_err(|_| {
            Problem::invalid("at", "is neither an RFC 3339 time with an offset nor a version")
        });
    }
    Ok(AsOf::Version(parse_version(text)?))
}
