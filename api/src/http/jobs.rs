//! `/v1/jobs`: one change to many tickets, with progress, a result for each, cancel and undo.

mod create;
mod results;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use docket_engine::policy::SagaAction;
use docket_engine::ports::sagas::Standing;
use docket_sagas::{Job, Operation, State};
use serde_json::{Value, json};

use super::Routes;
use super::sagas::{Whose, admit, operate_on, operated, saga_problem};
use super::tickets::{Head, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::path::SagaPath;
use crate::http::query::Query;
use crate::present::saga::{stands, stood};
use crate::problem::Problem;

/// Every route of jobs.
#[must_use]
pub fn routes() -> Routes<App> {
    Routes::new()
        .on(Method::POST, "/v1/jobs", create::post)
        .on(Method::GET, "/v1/jobs/{id}", get)
        .on(Method::GET, "/v1/jobs/{id}/results", results::get)
        .on(Method::POST, "/v1/jobs/{id}/cancel", cancel)
        .on(Method::POST, "/v1/jobs/{id}/undo", undo)
}

/// A job as it now is.
#[tracing::instrument(name = "http.job.get", skip_all, fields(saga.id = %job.0))]
async fn get(
    Shared(app): Shared<App>,
    token: Token,
    job: SagaPath,
    query: Query,
) -> Result<Response, Problem> {
    let (state, found) = find(&app, &token, job, SagaAction::Read).await?;
    query.params([])?;
    let stands = stands(&app.sagas, &state, app.now());
    Ok(Json(json!({"job": view(&state, &found, stands)})).into_response())
}

/// Ends it where it is, and keeps what is done.
#[tracing::instrument(name = "http.job.cancel", skip_all, fields(saga.id = %job.0))]
async fn cancel(
    Shared(app): Shared<App>,
    token: Token,
    job: SagaPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    operate(&app, &token, job, (&head, &payload), |reason| Operation::Stop { reason }).await
}

/// Takes back what it has done, where nobody has written since.
#[tracing::instrument(name = "http.job.undo", skip_all, fields(saga.id = %job.0))]
async fn undo(
    Shared(app): Shared<App>,
    token: Token,
    job: SagaPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    operate(&app, &token, job, (&head, &payload), |reason| Operation::Undo { reason }).await
}

async fn operate(
    app: &App,
    token: &Token,
    job: SagaPath,
    sent: (&Head, &Payload),
    what: impl FnOnce(Option<String>) -> Operation + Send,
) -> Result<Response, Problem> {
    let (_, found) = find(app, token, job, SagaAction::Cancel).await?;
    let state = operate_on(app, token, job, sent, SagaAction::Cancel, |because| {
        Ok(what(because.reason.clone()))
    });
    let (state, noted) = state.await?;
    let found = Job::of(&state).unwrap_or(found);
    let stood = stood(app.sagas.registry(), &state, noted.placed.recorded_at);
    Ok(operated(app, &noted, json!({"job": view(&state, &found, stood)})))
}

/// The job that a path names, if the caller may do this with it.
async fn find(
    app: &App,
    token: &Token,
    job: SagaPath,
    action: SagaAction,
) -> Result<(State, Job), Problem> {
    let whose: Whose = admit(token, action)?;
    let (caller, _) = app.caller(token).await.map_err(problem)?;
    let state = app.sagas.load(&token.tenant, job.0).await.map_err(saga_problem)?;
    whose.check(&state, &caller.principal)?;
    // Another saga is no job.
    let found = Job::of(&state).ok_or_else(Problem::not_found)?;
    Ok((state, found))
}

fn view(state: &State, job: &Job, stands: Standing) -> Value {
    let failed = job.failed();
    json!({
        "id": state.id,
        "saga_id": state.id,
        "kind": docket_sagas::BULK,
        "state": stands.as_str(),
        "total": job.total,
        "done": job.results.len() - failed,
        "failed": failed,
    })
}
