//! `POST /v1/tickets/{id}/messages`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::{Command, NewMessage, Visibility};
use docket_engine::desk::{Answer, DeskError};
use docket_engine::policy::{Action, Relation, Verdict, may};
use docket_schemas::{CommandId, Status, Stream, TicketId, Timestamp, derivation};
use serde::{Deserialize, Serialize};

use super::answer::written;
use super::enter::{Entered, Envelope, Head, check_status, enter};
use super::fields::Checks;
use super::refusal::{explained, forbidden, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::path::TicketPath;
use crate::present::Names;
use crate::present::message::{MessageView, present};
use crate::problem::Problem;

/// The body.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddMessage {
    body: String,
    #[serde(default = "public_by_default")]
    public: bool,
    #[serde(default)]
    attachments: Vec<serde_json::Value>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    observed: Option<String>,
}

const fn public_by_default() -> bool {
    true
}

/// Says something, and perhaps sets a status with it.
#[tracing::instrument(name = "http.ticket.message.add", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn post(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let said = say(&app, &token, ticket.0, &head, || payload.parse()).await?;
    let Said { entered, answer, said_at, body, .. } = said;
    let message = match answer.said.filter(|_| !answer.replayed) {
        Some(said) => MessageView {
            id: derivation::message_of(said.command),
            ticket_id: said.ticket,
            author_id: token.subject.as_ref().to_owned(),
            role: token.role,
            public: body.public,
            body: Some(body.body),
            created_at: said_at,
            redacted: false,
            attachments: Vec::new(),
        },
        None => stored(&app, &entered, &answer).await.map_err(problem)?,
    };
    written(&app, &entered, StatusCode::CREATED, answer, Some(message)).await
}

/// A message that is durable.
pub(in crate::http) struct Said {
    entered: Entered,
    pub(in crate::http) answer: Answer,
    pub(in crate::http) command: CommandId,
    said_at: Timestamp,
    body: AddMessage,
}

/// Writes a message, from whichever door it comes. `parse` is asked once the caller is admitted.
pub(in crate::http) async fn say(
    app: &App,
    token: &Token,
    ticket: TicketId,
    head: &Head,
    parse: impl FnOnce() -> Result<AddMessage, Problem> + Send,
) -> Result<Said, Problem> {
    let entered = enter(app, token, ticket, Action::AddPublicMessage).await?;
    let envelope = Envelope::read(head)?;
    let body = parse()?;
    if !body.public && may(token.role, Relation::Own, Action::AddInternalNote) != Verdict::Allow {
        return Err(forbidden("write internal notes"));
    }
    if let Some(status) = body.status {
        check_status(token, status)?;
    }
    let mut checks = Checks::default();
    checks.body(&body.body);
    if !body.attachments.is_empty() {
        checks.wrong("attachments", "must be empty in this release");
    }
    checks.finish()?;
    let message = NewMessage {
        body: body.body.clone(),
        visibility: if body.public { Visibility::Public } else { Visibility::Internal },
        status: body.status,
    };
    let observed = body.observed.as_deref();
    let intent =
        envelope.intent(app, &entered, &body, observed, Command::AddMessage(message)).await?;
    let (command, said_at) = (intent.command_id, intent.occurred_at);
    match app.desk.execute(intent).await {
        Ok(answer) => Ok(Said { entered, answer, command, said_at, body }),
        Err(error) => Err(Box::pin(explained(app, &entered, error)).await),
    }
}

/// The message as the log holds it: the same bytes as the first answer's.
async fn stored(app: &App, entered: &Entered, answer: &Answer) -> Result<MessageView, DeskError> {
    let tenant = &entered.caller.tenant;
    let said = answer.said.ok_or(DeskError::Stopping)?;
    let partition = Stream::ticket(said.ticket).partition(tenant);
    let event = app.desk.ports().log.event_of_command(tenant, partition, said.command).await?;
    let event = event.ok_or(DeskError::Stopping)?;
    present(Names { desk: &app.desk, tenant }, &event).await
}
