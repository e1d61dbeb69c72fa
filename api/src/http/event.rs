//! `GET /v1/events/{id}`: one event by its place, with its text: where a message on NATS leads.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_schemas::{Partition, Position};
use serde_json::json;

use super::path::EventPath;
use super::query::Query;
use super::tickets::{check_feed, problem};
use crate::app::App;
use crate::auth::Token;
use crate::present::Names;
use crate::present::event::{ChangeBytes, position_of, present};
use crate::problem::Problem;

/// The event at `partition` and `position`, if it still has this id there: after a restore another may stand in its
/// place.
#[tracing::instrument(name = "http.feed.event", skip_all, fields(event.id = %event.0))]
async fn get(
    State(app): State<App>,
    token: Token,
    event: EventPath,
    query: Query,
) -> Result<Response, Problem> {
    check_feed(&token)?;
    let [partition, position] = query.params(["partition", "position"])?;
    let partition: Partition = number(partition, "partition")
        .and_then(|number| u8::try_from(number).ok().and_then(Partition::new).ok_or_else(none))?;
    let position: Position = number(position, "position")?;
    let after = position.checked_sub(1).ok_or_else(none)?;
    // Before it is read: a newer name than its own would hide events behind its cursor.
    let incarnation = app.desk.incarnation();
    let found = app.desk.ports().log.partition_events(partition, after, 1).await;
    let found = found.map_err(|error| problem(error.into()))?.into_iter().next();
    let found = found.filter(|found| found.tenant == token.tenant && found.event_id == event.0);
    let found = found.ok_or_else(Problem::not_found)?;
    let cursor = position_of(&incarnation, partition, position);
    let names = Names { desk: &app.desk, tenant: &token.tenant };
    let shown = present(names, &found, Some(&cursor), ChangeBytes::Omit).await.map_err(problem)?;
    Ok(Json(json!({"event": shown})).into_response())
}

/// No event has such a place.
fn none() -> Problem {
    Problem::not_found()
}

fn number(value: Option<std::borrow::Cow<'_, str>>, name: &'static str) -> Result<u64, Problem> {
    let parsed = value.and_then(|text| text.parse().ok());
    // Positions are signed in the database.
    parsed
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(|| Problem::invalid(name, "is a number that says where the event stands"))
}

/// The route of one event.
#[must_use]
pub(super) fn routes() -> super::Routes<App> {
    super::Routes::new().on(axum::http::Method::GET, "/v1/events/{id}", get)
}
