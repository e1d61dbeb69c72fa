//! `GET /v1/sagas/{id}`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use docket_engine::policy::SagaAction;
use serde_json::json;

use super::super::tickets::problem;
use super::{admit, saga_problem, view};
use crate::app::App;
use crate::auth::Token;
use crate::http::path::SagaPath;
use crate::http::query::Query;
use crate::problem::Problem;

/// A saga as it now is, with every step, attempt, error and undo.
#[tracing::instrument(name = "http.saga.get", skip_all, fields(saga.id = %saga.0))]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    saga: SagaPath,
    query: Query,
) -> Result<Response, Problem> {
    let whose = admit(&token, SagaAction::Read)?;
    let (caller, _) = app.caller(&token).await.map_err(problem)?;
    let state = app.sagas.load(&token.tenant, saga.0).await.map_err(saga_problem)?;
    whose.check(&state, &caller.principal)?;
    query.params([])?;
    Ok(Json(json!({"saga": view(&app, &token, &state).await?})).into_response())
}
