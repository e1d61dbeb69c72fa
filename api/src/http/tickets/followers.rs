//! `PUT` and `DELETE /v1/tickets/{id}/followers/{person}`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::Command;
use docket_engine::policy::Action;

use super::answer::written;
use super::enter::{Entered, Envelope, Head, Nothing, enter};
use super::fields::Checks;
use super::refusal::{explained, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::path::FollowerPath;
use crate::problem::Problem;

/// Has a person follow the ticket.
#[tracing::instrument(name = "http.ticket.follow", skip_all, fields(ticket.id = %path.ticket))]
pub(super) async fn put(
    State(app): State<App>,
    token: Token,
    path: FollowerPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let (entered, envelope) = admit(&app, &token, &path, (&head, &payload)).await?;
    let person = envelope.person(&app, &entered, &path.person).await?;
    change(&app, &entered, envelope, Command::Follow(person)).await
}

/// Has a person follow it no more.
#[tracing::instrument(name = "http.ticket.unfollow", skip_all, fields(ticket.id = %path.ticket))]
pub(super) async fn delete(
    State(app): State<App>,
    token: Token,
    path: FollowerPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let (entered, envelope) = admit(&app, &token, &path, (&head, &payload)).await?;
    // Whom nobody has ever named follows nothing, and is not made for being taken away.
    let person = app.keyring().known_person(&token.tenant, &path.person).await;
    let person = person.map_err(|error| problem(error.into()))?.ok_or_else(Problem::not_found)?;
    change(&app, &entered, envelope, Command::Unfollow(person.id)).await
}

async fn admit<'a>(
    app: &App,
    token: &Token,
    path: &FollowerPath,
    (head, payload): (&'a Head, &Payload),
) -> Result<(Entered, Envelope<'a>), Problem> {
    let entered = enter(app, token, path.ticket, Action::ChangeFields).await?;
    let envelope = Envelope::read(head)?;
    let Nothing {} = payload.parse_or_default()?;
    let mut checks = Checks::default();
    checks.id("person", &path.person);
    if path.person.contains('\0') {
        checks.wrong("person", "contains a NUL character");
    }
    checks.finish()?;
    Ok((entered, envelope))
}

async fn change(
    app: &App,
    entered: &Entered,
    envelope: Envelope<'_>,
    command: Command,
) -> Result<Response, Problem> {
    let intent = envelope.intent(app, entered, &(), None, command).await?;
    match app.desk.execute(intent).await {
        Ok(answer) => written(app, entered, StatusCode::OK, answer, None).await,
        Err(error) => Err(explained(app, entered, error).await),
    }
}
