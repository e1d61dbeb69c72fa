//! Freshness of an answer: waiting for what the caller has written, and saying what the answer rests on.

use axum::http::HeaderMap;
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::policy::Audience;
use docket_projections::query::Basis;
use docket_projections::store::StoreError;
use serde_json::{Value, json};

use super::refusal::problem;
use crate::app::App;
use crate::http::header::docket_after;
use crate::http::page::read_cursor;
use crate::problem::{Code, Problem};

/// A customer learns of the view's lag in steps of this, in milliseconds: a smaller one would show that others write.
const CUSTOMER_LAG_STEP_MS: u64 = 1_000;

/// Whether the view has what its caller had asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Waited {
    /// It has.
    Reached,
    /// It has not yet.
    InVain,
}

/// The place in `Docket-After`, if there is one.
pub(in crate::http) async fn wanted(
    app: &App,
    headers: &HeaderMap,
) -> Result<Option<Cursor>, Problem> {
    let Some(after) = docket_after(headers)? else { return Ok(None) };
    read_cursor(app, after).await.map(Some)
}

/// Asks the view, once it has reached the wanted place or 2 s are over.
pub(super) async fn ask<T, F>(
    app: &App,
    wanted: Option<&Cursor>,
    question: impl Fn() -> F + Send,
    basis: impl Fn(&T) -> &Basis + Send + Sync,
) -> Result<(T, Waited), Problem>
where
    F: Future<Output = Result<T, StoreError>> + Send,
{
    let asked = app.views.freshness.ask(wanted, question, |answer| *basis(answer)).await;
    let (answer, reached) = asked.map_err(store_problem)?;
    Ok((answer, if reached { Waited::Reached } else { Waited::InVain }))
}

/// The member `as_of` of an answer.
pub(in crate::http) async fn as_of(
    app: &App,
    audience: Audience,
    basis: &Basis,
    waited: Waited,
) -> Result<Value, Problem> {
    let incarnation = app.desk.incarnation();
    let known = basis.within(incarnation.number());
    // A view of a log that was restored since rests on nothing that is known to be in it.
    let basis = known.unwrap_or_else(|| Basis {
        newest_visible: basis.newest_visible.map(|_| Positions::START),
        ..Basis::default()
    });
    let lags = app.views.freshness.lag(&basis.positions).await;
    let lags = lags.map_err(|error| problem(error.into()))?;
    let now = app.now();
    let since = lags.iter().filter_map(|lag| lag.since).min();
    let micros = since.map_or(0, |since| now.micros().saturating_sub(since.micros()));
    let millis = u64::try_from(micros / 1_000).unwrap_or(0);
    let (positions, lag_ms) = match (audience, basis.newest_visible) {
        (Audience::Customer, Some(seen)) => (seen, millis - millis % CUSTOMER_LAG_STEP_MS),
        _ => (basis.positions, millis),
    };
    let position = Cursor { incarnation, positions }.to_string();
    let stale = waited == Waited::InVain || known.is_none();
    Ok(json!({"position": position, "lag_ms": lag_ms, "stale": stale}))
}

/// The view failed: the log goes on.
pub(in crate::http) fn store_problem(error: StoreError) -> Problem {
    tracing::error!(error = &error as &dyn std::error::Error, "http.view.failed");
    match error {
        StoreError::Unavailable(_) => Problem::new(Code::Unavailable)
            .detail("the tickets view does not answer")
            .retry_after(super::refusal::UNAVAILABLE_RETRY_AFTER),
        StoreError::Damaged { .. } => Problem::new(Code::Internal),
    }
}
