//! `POST` and `DELETE /v1/tickets/{id}/claim`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::Command;
use docket_engine::policy::Action;
use docket_schemas::Principal;
use serde::{Deserialize, Serialize};

use super::answer::written;
use super::enter::{Envelope, Head, Nothing, enter};
use super::fields::Checks;
use super::refusal::explained;
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::path::TicketPath;
use crate::problem::Problem;

/// The body.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimTicket {
    #[serde(default)]
    assignee_id: Option<String>,
}

/// Has the caller, or somebody, hold the ticket.
#[tracing::instrument(name = "http.ticket.claim", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn post(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::Claim).await?;
    let envelope = Envelope::read(&head)?;
    let body: ClaimTicket = payload.parse_or_default()?;
    let assignee = match (&body.assignee_id, &entered.caller.principal) {
        (Some(id), _) => {
            let mut checks = Checks::default();
            checks.id("assignee_id", id);
            checks.finish()?;
            envelope.person(&app, &entered, id).await?
        }
        (None, Principal::Person(person)) => *person,
        (None, Principal::Docket(_)) => return Err(Problem::not_found()),
    };
    let intent = envelope.intent(&app, &entered, &body, None, Command::Claim(assignee)).await?;
    match app.desk.execute(intent).await {
        Ok(answer) => written(&app, &entered, StatusCode::OK, answer, None).await,
        Err(error) => Err(explained(&app, &entered, error).await),
    }
}

/// Lets the ticket go.
#[tracing::instrument(name = "http.ticket.release", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn delete(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::Claim).await?;
    let envelope = Envelope::read(&head)?;
    let Nothing {} = payload.parse_or_default()?;
    let intent = envelope.intent(&app, &entered, &(), None, Command::Release).await?;
    match app.desk.execute(intent).await {
        Ok(answer) => written(&app, &entered, StatusCode::OK, answer, None).await,
        Err(error) => Err(explained(&app, &entered, error).await),
    }
}
