//! `GET /v1/projections`: how the projections do.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use docket_engine::policy::{Action, Relation, Verdict, may};
use docket_projections::TICKETS_VIEW;
use docket_projections::store::{Parked, Version};
use docket_schemas::Timestamp;
use docket_search::indexer::SEARCH_INDEX;
use serde_json::{Value, json};

use super::Routes;
use super::query::Query;
use crate::app::App;
use crate::auth::Token;
use crate::problem::{Code, Problem};
use crate::views::status::{PartitionLag, lags, status};

/// Each projection with its versions, its lag by partition, and the tenant's tickets that it cannot fold; of the search
/// index the one of the node that answers.
#[tracing::instrument(name = "http.projections.list", skip_all)]
async fn get(State(app): State<App>, token: Token, query: Query) -> Result<Response, Problem> {
    if may(token.role, Relation::Other, Action::ReadProjections) != Verdict::Allow {
        return Err(Problem::new(Code::Forbidden).detail("this role may not read projections"));
    }
    query.params([])?;
    let log = &app.desk.ports().log;
    let (now, failed) = (app.now(), |error: &(dyn std::error::Error + 'static)| {
        tracing::error!(error, "http.projections.failed");
        Problem::new(Code::Unavailable).detail("the projections do not answer")
    });
    let found = status(&*app.views.store, &**log, now).await.map_err(|error| failed(&*error))?;
    let reached = *app.search.reached().borrow();
    let indexed = lags(&**log, &reached, now).await.map_err(|error| failed(&error))?;
    let versions = found.versions.iter().map(version).collect();
    let parked = found.parked.iter().filter_map(|one| parked(one, &token)).collect();
    let tickets = projection(TICKETS_VIEW, versions, &found.lags, parked);
    let search = projection(SEARCH_INDEX, Vec::new(), &indexed, Vec::new());
    let meta = json!({"has_more": false, "after_cursor": null});
    Ok(Json(json!({"projections": [tickets, search], "meta": meta})).into_response())
}

fn projection(
    name: &str,
    versions: Vec<Value>,
    lags: &[PartitionLag],
    parked: Vec<Value>,
) -> Value {
    let (events, seconds) = PartitionLag::of_all(lags);
    let partitions = lags.iter().map(|lag| {
        json!({"partition": lag.partition, "position": lag.position, "lag_events": lag.events,
            "lag_seconds": lag.seconds})
    });
    json!({
        "name": name,
        "versions": versions,
        "lag_events": events,
        "lag_seconds": seconds,
        "partitions": partitions.collect::<Vec<_>>(),
        "parked": parked,
    })
}

fn version(version: &Version) -> Value {
    // The first version came with its tables, at no time that anybody noted.
    let since = (version.since != Timestamp::default()).then_some(version.since);
    json!({"version": version.number, "state": version.phase.as_str(), "since": since})
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
