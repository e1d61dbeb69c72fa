//! `GET /v1/projections`: how the projections do.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use docket_engine::policy::{Action, Relation, Verdict, may};
use docket_projections::TICKETS_VIEW;
use docket_projections::store::{Parked, Version};
use serde_json::{Value, json};

use super::Routes;
use super::query::Query;
use crate::app::App;
use crate::auth::Token;
use crate::problem::{Code, Problem};
use crate::views::status::status;

/// Each projection with its versions, its lag by partition, and the tenant's tickets that it cannot fold.
#[tracing::instrument(name = "http.projections.list", skip_all)]
async fn get(State(app): State<App>, token: Token, query: Query) -> Result<Response, Problem> {
    if may(token.role, Relation::Other, Action::ReadProjections) != Verdict::Allow {
        return Err(Problem::new(Code::Forbidden).detail("this role may not read projections"));
    }
    query.params([])?;
    let log = &app.desk.ports().log;
    let found = status(&*app.views.store, &**log, app.now()).await.map_err(|error| {
        tracing::error!(error = &*error as &dyn std::error::Error, "http.projections.failed");
        Problem::new(Code::Unavailable).detail("the projections do not answer")
    })?;
    let partitions = found.lags.iter().map(|lag| {
        let position = found.positions.get(lag.partition);
        json!({"partition": lag.partition, "position": position, "lag_events": lag.events,
            "lag_seconds": lag.seconds})
    });
    let parked = found.parked.iter().filter_map(|one| parked(one, &token));
    let tickets = json!({
        "name": TICKETS_VIEW,
        "versions": found.versions.iter().map(version).collect::<Vec<_>>(),
        "lag_events": found.lags.iter().map(|lag| lag.events).sum::<u64>(),
        "lag_seconds": found.lags.iter().map(|lag| lag.seconds).fold(0.0, f64::max),
        "partitions": partitions.collect::<Vec<_>>(),
        "parked": parked.collect::<Vec<_>>(),
    });
    let meta = json!({"has_more": false, "after_cursor": null});
    Ok(Json(json!({"projections": [tickets], "meta": meta})).into_response())
}

fn version(version: &Version) -> Value {
    json!({"version": version.number, "state": version.phase.as_str(), "since": version.since})
}

/// Another tenant's tickets are none of the caller's business.
fn parked(one: &Parked, token: &Token) -> Option<Value> {
    let (tenant, ticket) = one.poison.ticket.as_ref()?;
    (*tenant == token.tenant).then(|| {
        json!({"ticket_id": ticket, "partition": one.partition, "position": one.poison.position,
            "reason": one.poison.reason})
    })
}

/// The route of projections.
#[must_use]
pub fn routes() -> Routes<App> {
    Routes::new().on(Method::GET, "/v1/projections", get)
}
