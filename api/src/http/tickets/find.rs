//! `GET /v1/tickets?external_id=`

use axum::Json;
use axum::response::{IntoResponse, Response};
use docket_engine::policy::Action;
use serde_json::json;

use super::answer::current;
use super::enter::enter;
use super::fields::Checks;
use super::refusal::problem;
use crate::app::App;
use crate::auth::Token;
use crate::http::query::Query;
use crate::problem::{Code, Problem};

/// Most tickets with one `external_id` that an answer shows.
const FOUND_MAX: usize = 100;

/// The tickets with this id in another system, current at once. It goes with no other parameter.
pub(super) async fn get(app: &App, token: &Token, query: &Query) -> Result<Response, Problem> {
    let [external_id] = query.params(["external_id"])?;
    let external_id = external_id.ok_or_else(|| Problem::invalid("external_id", "is missing"))?;
    let mut checks = Checks::default();
    checks.id("external_id", &external_id);
    checks.finish()?;
    // A filter on what a customer does not see matches nothing.
    let may_filter = token.role != docket_schemas::Role::Customer;
    let log = &app.desk.ports().log;
    let found = if may_filter {
        let found = log.tickets_by_external_id(&token.tenant, &external_id, FOUND_MAX + 1).await;
        found.map_err(|error| problem(error.into()))?
    } else {
        Vec::new()
    };
    let has_more = found.len() > FOUND_MAX;
    let mut tickets = Vec::with_capacity(found.len());
    for ticket in found.into_iter().take(FOUND_MAX) {
        match enter(app, token, ticket, Action::Read).await {
            Ok(entered) => tickets.push(current(app, &entered).await?),
            Err(hidden) if hidden.code() == Code::NotFound => {}
            Err(failed) => return Err(failed),
        }
    }
    let meta = json!({"has_more": has_more, "after_cursor": null});
    Ok(Json(json!({"tickets": tickets, "meta": meta})).into_response())
}
