//! `GET /v1/jobs/{id}/results`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use docket_engine::policy::SagaAction;
use docket_sagas::TicketResult;
use serde_json::{Value, json};

use super::find;
use crate::app::App;
use crate::auth::Token;
use crate::http::page::page_size;
use crate::http::path::SagaPath;
use crate::http::query::Query;
use crate::problem::{Code, Problem};

/// What became of each ticket that the job has come to, in the order in which it does.
#[tracing::instrument(name = "http.job.results", skip_all, fields(saga.id = %job.0))]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    job: SagaPath,
    query: Query,
) -> Result<Response, Problem> {
    let (_, found) = find(&app, &token, job, SagaAction::Read).await?;
    let [size, after] = query.params(["page[size]", "page[after]"])?;
    let size = page_size("page[size]", size.as_deref())?;
    let from = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => {
            place(after, found.total).ok_or_else(|| Problem::new(Code::CursorMalformed))?
        }
        None => 0,
    };
    let page: Vec<Value> = found.results.iter().skip(from).take(size).map(shown).collect();
    let upto = from + page.len();
    let has_more = upto < found.results.len();
    let meta = json!({"has_more": has_more, "after_cursor": has_more.then(|| upto.to_string())});
    Ok(Json(json!({"results": page, "meta": meta})).into_response())
}

/// How many results lie before a cursor; none where it is none of this job's. One place has one spelling.
fn place(after: &str, total: usize) -> Option<usize> {
    let place: usize = after.parse().ok()?;
    (place <= total && place.to_string() == after).then_some(place)
}

fn shown(result: &TicketResult) -> Value {
    let (state, problem) = match &result.failed {
        None => ("done", Value::Null),
        Some((code, why)) => ("failed", json!({"code": code, "detail": why})),
    };
    json!({"ticket_id": result.ticket, "state": state, "problem": problem})
}
