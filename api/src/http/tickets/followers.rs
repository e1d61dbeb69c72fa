//! `PUT` and `DELETE /v1/tickets/{id}/followers/{person}`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::Command;
use docket_engine::policy::Action;
use docket_schemas::PersonId;

use super::answer::written;
use super::enter::{Envelope, Head, enter};
use super::fields::Checks;
use super::refusal::{explained, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::path::FollowerPath;
use crate::problem::Problem;

/// Has a person follow the ticket.
#[tracing::instrument(name = "http.ticket.follow", skip_all, fields(ticket.id = %path.ticket))]
pub(super) async fn put(
    State(app): State<App>,
    token: Token,
    path: FollowerPath,
    head: Head,
) -> Result<Response, Problem> {
    change(&app, &token, &path, Envelope::read(&head), Command::Follow).await
}

/// Has a person follow it no more.
#[tracing::instrument(name = "http.ticket.unfollow", skip_all, fields(ticket.id = %path.ticket))]
pub(super) async fn delete(
    State(app): State<App>,
    token: Token,
    path: FollowerPath,
    head: Head,
) -> Result<Response, Problem> {
    change(&app, &token, &path, Envelope::read(&head), Command::Unfollow).await
}

async fn change(
    app: &App,
    token: &Token,
    path: &FollowerPath,
    envelope: Result<Envelope<'_>, Problem>,
    command: fn(PersonId) -> Command,
) -> Result<Response, Problem> {
    let entered = enter(app, token, path.ticket, Action::ChangeFields).await?;
    let mut checks = Checks::default();
    checks.id("person", &path.person);
    if path.person.contains('\0') {
        checks.wrong("person", "contains a NUL character");
    }
    checks.finish()?;
    let person = app.keyring().person(&token.tenant, &path.person).await;
    let person = person.map_err(|error| problem(error.into()))?.id;
    let intent = envelope?.intent(app, &entered, &(), None, command(person)).await?;
    match app.desk.execute(intent).await {
        Ok(answer) => written(app, &entered, StatusCode::OK, answer, None).await,
        Err(error) => Err(explained(app, &entered, error).await),
    }
}
