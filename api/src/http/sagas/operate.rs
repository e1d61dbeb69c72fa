//! `POST /v1/sagas/{id}/retry`, `…/skip`, `…/cancel`, and `/v1/sagas/definitions/{name}/pause`, `…/resume`

use axum::extract::State;
use axum::response::Response;
use docket_engine::command::Caller;
use docket_engine::policy::SagaAction;
use docket_sagas::{Noted, Operation, Operator, State as Saga};
use docket_schemas::{Stream, derivation};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::tickets::{Envelope, Head, problem};
use super::{admit, operated, saga_problem, view_of_row};
use crate::app::App;
use crate::auth::Token;
use crate::field_limits::REASON_CHARS_MAX;
use crate::http::body::Payload;
use crate::http::path::{DefinitionPath, SagaPath};
use crate::problem::{Code, FieldError, Problem};

/// A body that says why, or nothing.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Because {
    #[serde(default)]
    pub(in crate::http) reason: Option<String>,
}

impl Because {
    fn read(payload: &Payload) -> Result<Self, Problem> {
        let body: Self = payload.parse_or_default()?;
        let length = body.reason.as_ref().map_or(0, |reason| reason.chars().count());
        if length > REASON_CHARS_MAX {
            let message = format!("is longer than {REASON_CHARS_MAX} characters");
            let error = FieldError::beyond("reason", message, REASON_CHARS_MAX);
            return Err(Problem::new(Code::Invalid).error(error));
        }
        Ok(Self { reason: body.reason.filter(|reason| !reason.trim().is_empty()) })
    }
}

/// Has a parked saga try again.
#[tracing::instrument(name = "http.saga.retry", skip_all, fields(saga.id = %saga.0))]
pub(super) async fn retry(
    State(app): State<App>,
    token: Token,
    saga: SagaPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let retry = |because: &Because| Ok(Operation::Retry { reason: because.reason.clone() });
    operate(&app, &token, saga, (&head, &payload), SagaAction::Operate, retry).await
}

/// Has a parked saga go on without the step that it stands at.
#[tracing::instrument(name = "http.saga.skip", skip_all, fields(saga.id = %saga.0))]
pub(super) async fn skip(
    State(app): State<App>,
    token: Token,
    saga: SagaPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let skip = |because: &Because| match &because.reason {
        Some(reason) => Ok(Operation::Skip { reason: reason.clone() }),
        None => {
            let error = FieldError::new("reason", "is required".to_owned());
            Err(Problem::new(Code::Invalid).error(error))
        }
    };
    operate(&app, &token, saga, (&head, &payload), SagaAction::Operate, skip).await
}

/// Has a saga undo what was done.
#[tracing::instrument(name = "http.saga.cancel", skip_all, fields(saga.id = %saga.0))]
pub(super) async fn cancel(
    State(app): State<App>,
    token: Token,
    saga: SagaPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let cancel = |because: &Because| Ok(Operation::Cancel { reason: because.reason.clone() });
    operate(&app, &token, saga, (&head, &payload), SagaAction::Cancel, cancel).await
}

async fn operate(
    app: &App,
    token: &Token,
    saga: SagaPath,
    sent: (&Head, &Payload),
    action: SagaAction,
    what: impl FnOnce(&Because) -> Result<Operation, Problem>,
) -> Result<Response, Problem> {
    let (state, noted) = operate_on(app, token, saga, sent, action, what).await?;
    let saga = view_of_row(app, token, &state, noted.placed.recorded_at).await?;
    Ok(operated(app, &noted, json!({"saga": saga})))
}

/// Does something to a saga, once the caller is known to be allowed to.
pub(in crate::http) async fn operate_on(
    app: &App,
    token: &Token,
    saga: SagaPath,
    (head, payload): (&Head, &Payload),
    action: SagaAction,
    what: impl FnOnce(&Because) -> Result<Operation, Problem>,
) -> Result<(Saga, Noted), Problem> {
    let whose = admit(token, action)?;
    let (caller, _) = app.caller(token).await.map_err(problem)?;
    let state = app.sagas.load(&token.tenant, saga.0).await.map_err(saga_problem)?;
    whose.check(&state, &caller.principal)?;
    let because = Because::read(payload)?;
    let what = what(&because)?;
    let by = operator(app, caller, head, &because, Stream::saga(saga.0))?;
    app.sagas.operate(&by, saga.0, &what).await.map_err(saga_problem)
}

/// Has no saga of a definition go on.
#[tracing::instrument(name = "http.saga.pause", skip_all)]
pub(super) async fn pause(
    State(app): State<App>,
    token: Token,
    definition: DefinitionPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let (by, because) = turn(&app, &token, &definition, &head, &payload).await?;
    let noted = app.sagas.pause(&by, &definition.0, because.reason).await.map_err(saga_problem)?;
    let body = json!({"definition": {"name": definition.0, "paused": true}});
    Ok(operated(&app, &noted, body))
}

/// Has them go on.
#[tracing::instrument(name = "http.saga.resume", skip_all)]
pub(super) async fn resume(
    State(app): State<App>,
    token: Token,
    definition: DefinitionPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let (by, because) = turn(&app, &token, &definition, &head, &payload).await?;
    let noted = app.sagas.resume(&by, &definition.0, because.reason).await.map_err(saga_problem)?;
    let body = json!({"definition": {"name": definition.0, "paused": false}});
    Ok(operated(&app, &noted, body))
}

async fn turn(
    app: &App,
    token: &Token,
    definition: &DefinitionPath,
    head: &Head,
    payload: &Payload,
) -> Result<(Operator, Because), Problem> {
    admit(token, SagaAction::Operate)?;
    if app.sagas.registry().newest(&definition.0).is_none() {
        return Err(Problem::not_found());
    }
    let (caller, _) = app.caller(token).await.map_err(problem)?;
    let because = Because::read(payload)?;
    let stream = derivation::saga_definition(&definition.0);
    Ok((operator(app, caller, head, &because, stream)?, because))
}

fn operator(
    app: &App,
    caller: Caller,
    head: &Head,
    body: &Because,
    stream: Stream,
) -> Result<Operator, Problem> {
    let envelope = Envelope::read(head)?;
    Ok(Operator {
        command_id: envelope.command_id(app, &caller, Some(stream)),
        request_mac: envelope.mac(app, body),
        caller,
        occurred_at: app.now(),
    })
}
