//! `/v1/sagas`: what is under way in several steps, and what operators do about it.

mod get;
mod list;
mod operate;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use docket_engine::cursor::Cursor;
use docket_engine::desk::DeskError;
use docket_engine::policy::{SagaAction, Verdict, may_with_saga};
use docket_sagas::{SagaError, StartedSaga, State};
use docket_schemas::Principal;
use serde_json::Value;

pub(super) use operate::operate_on;

use super::Routes;
use super::tickets::problem;
use crate::app::App;
use crate::auth::Token;
use crate::http::header::{DOCKET_POSITION, IDEMPOTENCY_REPLAYED};
use crate::present::{Names, saga::present};
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

/// A saga as JSON.
pub(super) async fn view(app: &App, token: &Token, state: &State) -> Result<Value, Problem> {
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    present(names, &app.sagas, state, app.now()).await.map_err(problem)
}

/// The answer to who has begun one: it goes on by itself, and is to be found at `location`.
pub(super) fn accepted(
    app: &App,
    started: &StartedSaga,
    location: String,
    body: Value,
) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    let position = Cursor { incarnation: app.desk.incarnation(), positions: started.written };
    let headers = response.headers_mut();
    for (name, text) in [(DOCKET_POSITION, position.to_string()), (header::LOCATION, location)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
    if started.replayed {
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
        error @ SagaError::Full { .. } => Problem::overloaded().detail(error.to_string()),
        SagaError::Desk(error) => problem(error),
        SagaError::Log(error) => problem(DeskError::from(error)),
        error @ (SagaError::VersionGone(_) | SagaError::Damaged(_)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "http.saga.failed");
            Problem::new(Code::Internal)
        }
    }
}
