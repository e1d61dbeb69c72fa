//! `/v1/sagas`: what is under way in several steps, and what operators do about it.

mod get;
mod list;
mod operate;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::desk::DeskError;
use docket_engine::policy::{SagaAction, Verdict, may_with_saga};
use docket_sagas::{Noted, SagaError, StartedSaga, State};
use docket_schemas::{Principal, Timestamp};
use serde_json::Value;

pub(super) use operate::operate_on;

use super::Routes;
use super::tickets::problem;
use crate::app::App;
use crate::auth::Token;
use crate::http::header::{DOCKET_POSITION, IDEMPOTENCY_REPLAYED};
use crate::present::Names;
use crate::present::saga::{present, stands, stood};
use crate::problem::{Code, Problem};

/// Every route of sagas.
#[must_use]
pub fn routes() -> Routes<App> {
    Routes::new()
        .on(Method::GET, "/v1/sagas", list::get)
        .on(Method::GET, "/v1/sagas/{id}", get::get)
        .on(Method::POST, "/v1/sagas/{id}/retry", operate::retry)
        .on(Method::POST, "/v1/sagas/{id}/skip", operate::skip)
        .on(Method::POST, "/v1/sagas/{id}/cancel", operate::cancel)
        .on(Method::POST, "/v1/sagas/definitions/{name}/pause", operate::pause)
        .on(Method::POST, "/v1/sagas/definitions/{name}/resume", operate::resume)
}

/// Whether the role may do this with sagas at all, and whether with its own alone.
pub(super) fn admit(token: &Token, action: SagaAction) -> Result<Whose, Problem> {
    let may = |own| may_with_saga(token.role, own, action) == Verdict::Allow;
    match (may(true), may(false)) {
        (_, true) => Ok(Whose::Anybodys),
        (true, false) => Ok(Whose::Own),
        (false, false) => {
            Err(Problem::new(Code::Forbidden).detail("this role may not do this with sagas"))
        }
    }
}

/// Whose sagas a caller may look at, or do something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Anybodys,
}

impl Whose {
    /// What is another's is not there.
    pub(super) fn check(self, state: &State, caller: &Principal) -> Result<(), Problem> {
        let own = state.begun.as_ref().is_some_and(|begun| begun.by.principal == *caller);
        if own || self == Self::Anybodys { Ok(()) } else { Err(Problem::not_found()) }
    }
}

/// A saga as it now is, as JSON.
pub(super) async fn view(app: &App, token: &Token, state: &State) -> Result<Value, Problem> {
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let stands = stands(&app.sagas, state, app.now());
    present(names, app.sagas.registry(), state, stands).await.map_err(problem)
}

/// A saga as a row left it that was written at a time: the same whenever it is asked for.
pub(super) async fn view_of_row(
    app: &App,
    token: &Token,
    state: &State,
    written_at: Timestamp,
) -> Result<Value, Problem> {
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let stood = stood(app.sagas.registry(), state, written_at);
    present(names, app.sagas.registry(), state, stood).await.map_err(problem)
}

/// When a saga was asked for that has no row but its first.
pub(super) fn first_row_at(state: &State) -> Timestamp {
    state.begun.as_ref().map_or(Timestamp::from_micros(0), |begun| begun.at)
}

/// The answer to who has begun one: it goes on by itself, and is to be found at `location`.
pub(super) fn accepted(
    app: &App,
    started: &StartedSaga,
    location: String,
    body: Value,
) -> Response {
    let response = (StatusCode::ACCEPTED, Json(body)).into_response();
    let mut response = written(app, response, started.written, started.replayed);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The answer to who has done something to one.
pub(super) fn operated(app: &App, noted: &Noted, body: Value) -> Response {
    let mut positions = Positions::START;
    positions.advance(noted.placed.partition, noted.placed.position);
    written(app, Json(body).into_response(), positions, noted.replayed)
}

/// What every write tells beside its answer.
fn written(app: &App, mut response: Response, written: Positions, replayed: bool) -> Response {
    let position = Cursor { incarnation: app.desk.incarnation(), positions: written };
    let headers = response.headers_mut();
    if let Ok(position) = HeaderValue::try_from(position.to_string()) {
        headers.insert(DOCKET_POSITION, position);
    }
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A failure as callers are told.
pub(super) fn saga_problem(error: SagaError) -> Problem {
    match error {
        SagaError::NotFound | SagaError::NoDefinition(_) => Problem::not_found(),
        SagaError::NotNow(why) => Problem::new(Code::NotNow).detail(why),
        SagaError::KeyReused => Problem::new(Code::IdempotencyKeyReused),
        error @ (SagaError::Full { .. } | SagaError::Overtaken) => {
            Problem::overloaded().detail(error.to_string())
        }
        SagaError::Desk(error) => problem(error),
        SagaError::Log(error) => problem(DeskError::from(error)),
        error @ (SagaError::VersionGone(_) | SagaError::Damaged(_)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "http.saga.failed");
            Problem::new(Code::Internal)
        }
    }
}
