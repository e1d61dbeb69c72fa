//! `POST /v1/tickets/{id}/merge` and `/unmerge`

use axum::extract::State;
use axum::response::Response;
use docket_engine::command::{Caller, Refusal};
use docket_engine::desk::DeskError;
use docket_engine::policy::Action;
use docket_sagas::{MergeRequest, SagaError, StartedSaga, start_of};
use docket_schemas::{CommandId, Mac, MergeGoal, Stream, TicketId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::enter::{Entered, Envelope, Head, enter};
use super::refusal::{explained, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::path::TicketPath;
use crate::http::sagas::{accepted, first_row_at, saga_problem, view_of_row};
use crate::problem::{Code, FieldError, Problem};

/// The body of a merge.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeTicket {
    into: String,
}

/// The body of an unmerge.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnmergeTicket {
    #[serde(default)]
    into: Option<String>,
}

/// Begins to have the ticket go into another.
#[tracing::instrument(name = "http.ticket.merge", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn merge(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::Merge).await?;
    let envelope = Envelope::read(&head)?;
    let body: MergeTicket = payload.parse()?;
    let into = other(&body.into)?;
    let wish = Wish::of(&app, entered.caller.clone(), &envelope, &body, ticket.0);
    let request = wish.request(&app, &envelope, MergeGoal::Merge, into);
    begun(&app, &token, &entered, app.sagas.start(request.start()).await).await
}

/// Begins to have the ticket come out of the one that it was merged into.
#[tracing::instrument(name = "http.ticket.unmerge", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn unmerge(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::Merge).await?;
    let envelope = Envelope::read(&head)?;
    let body: UnmergeTicket = payload.parse_or_default()?;
    let named = body.into.as_deref().map(other).transpose()?;
    let wish = Wish::of(&app, entered.caller.clone(), &envelope, &body, ticket.0);
    let into = match named {
        Some(into) => into,
        // A retry finds the ticket on its own already.
        None => match wish.replayed(&app).await {
            Ok(None) => standing_in(&app, &entered).await?,
            Ok(Some(started)) => return begun(&app, &token, &entered, Ok(started)).await,
            Err(error) => return Err(saga_problem(error)),
        },
    };
    let request = wish.request(&app, &envelope, MergeGoal::Unmerge, into);
    begun(&app, &token, &entered, app.sagas.start(request.start()).await).await
}

/// Who wants something of which ticket, by which name.
struct Wish {
    caller: Caller,
    command_id: CommandId,
    request_mac: Option<Mac>,
    source: TicketId,
}

impl Wish {
    fn of<T: Serialize>(
        app: &App,
        caller: Caller,
        envelope: &Envelope<'_>,
        body: &T,
        source: TicketId,
    ) -> Self {
        let command_id = envelope.command_id(app, &caller, Some(Stream::ticket(source)));
        Self { command_id, request_mac: envelope.mac(app, body), caller, source }
    }

    async fn replayed(&self, app: &App) -> Result<Option<StartedSaga>, SagaError> {
        let start = start_of(self.command_id);
        app.sagas.started(&self.caller.tenant, start, self.request_mac).await
    }

    fn request(
        self,
        app: &App,
        envelope: &Envelope<'_>,
        goal: MergeGoal,
        into: TicketId,
    ) -> MergeRequest {
        let Self { caller, command_id, request_mac, source } = self;
        let (precondition, occurred_at) = (envelope.precondition().cloned(), app.now());
        MergeRequest {
            caller,
            command_id,
            request_mac,
            precondition,
            goal,
            source,
            into,
            occurred_at,
        }
    }
}

/// The other ticket, by its id in a body.
fn other(id: &str) -> Result<TicketId, Problem> {
    id.parse().map_err(|_| {
        let error = FieldError::new("into", "is not the id of a ticket".to_owned());
        Problem::new(Code::Invalid).error(error)
    })
}

/// The ticket that this one is merged into.
async fn standing_in(app: &App, entered: &Entered) -> Result<TicketId, Problem> {
    let tenant = &entered.caller.tenant;
    let merged = app.desk.look(tenant, entered.ticket, |ticket| {
        let merges = ticket.merges();
        (merges.merged().map(|merged| merged.into), merges.underway().is_some())
    });
    let reason = match merged.await.map_err(problem)?.ok_or_else(Problem::not_found)? {
        (Some(into), _) => return Ok(into),
        (None, true) => "the ticket is being merged or unmerged",
        (None, false) => "the ticket is not merged",
    };
    Err(problem(Refusal::NotMergeable { reason }.into()))
}

/// The answer: a saga that goes on by itself.
async fn begun(
    app: &App,
    token: &Token,
    entered: &Entered,
    started: Result<StartedSaga, SagaError>,
) -> Result<Response, Problem> {
    let started = match started {
        Ok(started) => started,
        Err(SagaError::Desk(error @ DeskError::Refused(_))) => {
            return Err(explained(app, entered, error).await);
        }
        Err(error) => return Err(saga_problem(error)),
    };
    let begun_at = first_row_at(&started.state);
    let body = json!({"saga": view_of_row(app, token, &started.state, begun_at).await?});
    let location = format!("/v1/sagas/{}", started.state.id);
    Ok(accepted(app, &started, location, body))
}
