//! `GET /v1/tickets/count`: how many tickets pass the filters.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use docket_engine::policy::Audience;
use docket_projections::query::CountQuery;
use serde_json::json;

use super::as_of::{as_of, ask, wanted};
use super::filters::{FILTERS, filter, viewer};
use super::list::check_find;
use crate::app::App;
use crate::auth::Token;
use crate::http::query::Query;
use crate::problem::Problem;

/// Exact for everything and for one equality; else up to 10,000, beyond which `exact` is false.
#[tracing::instrument(name = "http.tickets.count", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    check_find(&token)?;
    let given = query.params(FILTERS)?;
    let viewer = viewer(&app, &token).await?;
    let filter = filter(&app, &token.tenant, &given).await?;
    let wanted = wanted(&app, &headers).await?;
    let query = CountQuery { tenant: token.tenant.clone(), viewer, filter };
    let store = &app.views.store;
    let asked = ask(&app, wanted.as_ref(), || store.count(&query), |one| &one.basis);
    let (count, waited) = asked.await?;
    let as_of = as_of(&app, Audience::of(token.role), &count.basis, waited).await?;
    let body = json!({"count": count.count, "exact": count.exact, "as_of": as_of});
    Ok(Json(body).into_response())
}
