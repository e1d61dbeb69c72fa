//! `GET /v1/sagas`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::policy::{Audience, SagaAction};
use docket_engine::ports::log::LogError;
use docket_engine::ports::sagas::{SagaFilter, SagaPlace, SagaRow, Standing};
use docket_projections::WAIT_MAX;
use docket_projections::query::Basis;
use docket_schemas::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::super::tickets::{Waited, as_of, problem, wanted};
use super::{Whose, admit, saga_problem, view};
use crate::app::App;
use crate::auth::Token;
use crate::http::page::page_size;
use crate::http::query::Query;
use crate::problem::{Code, FieldError, Problem};

/// How often the table is looked at while somebody waits; nodes write it four times a second.
const LOOKED_EVERY: Duration = Duration::from_millis(50);
/// Sagas that are read from the log at once; that of a large job is some megabytes.
const READ_AT_ONCE: usize = 8;
/// Bytes of sagas in memory after which a page ends early; its cursor goes on from there.
const PAGE_WEIGHT_MAX: usize = 16 * 1024 * 1024;
/// Most pages that are made at once; the others wait.
const PAGES_AT_ONCE_MAX: usize = 4;

static PAGES: Semaphore = Semaphore::const_new(PAGES_AT_ONCE_MAX);

/// The tenant's sagas, the last started first; an agent's are those that they started.
#[tracing::instrument(name = "http.saga.list", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let whose = admit(&token, SagaAction::Read)?;
    let [standing, definition, subject, size, after] =
        query.params(["state", "definition", "subject", "page[size]", "page[after]"])?;
    let standing = standing.map(|name| name.parse::<Standing>()).transpose().map_err(|_| {
        let message =
            "is none of running, waiting, compensating, parked, done, undone, cancelled, paused";
        Problem::new(Code::Invalid).error(FieldError::new("state", message.to_owned()))
    })?;
    let size = page_size("page[size]", size.as_deref())?;
    let after = after.filter(|after| !after.is_empty());
    let after = after.map(|after| place(&after)).transpose()?;
    let (caller, _) = app.caller(&token).await.map_err(problem)?;
    let filter = SagaFilter {
        standing,
        definition: definition.map(Into::into),
        subject: subject.map(Into::into),
        started_by: (whose == Whose::Own).then_some(caller.principal),
    };
    let wanted = wanted(&app, &headers).await?;
    let (positions, waited) = listed(&app, wanted.as_ref()).await?;
    let table = app.sagas.table();
    let mut rows = table
        .list(&token.tenant, &filter, after, size + 1)
        .await
        .map_err(|error| saga_problem(error.into()))?;
    let beyond = rows.len() > size;
    rows.truncate(size);
    let (sagas, told) = page(&app, &token, &rows).await?;
    let has_more = beyond || told < rows.len();
    let after_cursor = rows[..told].last().filter(|_| has_more).map(|row| {
        let place = format!("{}:{}", row.started_at.micros(), row.id);
        URL_SAFE_NO_PAD.encode(place)
    });
    let meta = json!({"has_more": has_more, "after_cursor": after_cursor});
    let basis = Basis { positions, ..Basis::default() };
    let as_of = as_of(&app, Audience::Staff, &basis, waited).await?;
    Ok(Json(json!({"sagas": sagas, "meta": meta, "as_of": as_of})).into_response())
}

/// The sagas of these rows as they are now, and how many of the rows these are.
async fn page(app: &App, token: &Token, rows: &[SagaRow]) -> Result<(Vec<Value>, usize), Problem> {
    let _turn = PAGES.acquire().await.map_err(|_| Problem::new(Code::Internal))?;
    let (mut sagas, mut told, mut weight) = (Vec::with_capacity(rows.len()), 0, 0);
    for some in rows.chunks(READ_AT_ONCE) {
        if weight >= PAGE_WEIGHT_MAX {
            break;
        }
        let ids: Vec<_> = some.iter().map(|row| row.id).collect();
        for state in app.sagas.load_all(&token.tenant, &ids).await.map_err(saga_problem)? {
            weight += state.weight();
            sagas.push(view(app, token, &state).await?);
        }
        told += some.len();
    }
    Ok((sagas, told))
}

/// How far the table has come, once it has come to the wanted place or [`WAIT_MAX`] is over.
async fn listed(app: &App, wanted: Option<&Cursor>) -> Result<(Positions, Waited), Problem> {
    let failed = |error: LogError| saga_problem(error.into());
    let looking = async {
        loop {
            let listed = app.sagas.listed().await?;
            if wanted.is_none_or(|wanted| listed.covers(&wanted.positions)) {
                return Ok(listed);
            }
            sleep(LOOKED_EVERY).await;
        }
    };
    match timeout(WAIT_MAX, looking).await {
        Ok(listed) => Ok((listed.map_err(failed)?, Waited::Reached)),
        Err(_) => Ok((app.sagas.listed().await.map_err(failed)?, Waited::InVain)),
    }
}

fn place(cursor: &str) -> Result<SagaPlace, Problem> {
    let malformed = || Problem::new(Code::CursorMalformed);
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (at, id) = text.split_once(':').ok_or_else(malformed)?;
    let started_at = Timestamp::from_micros(at.parse().map_err(|_| malformed())?);
    Ok(SagaPlace { started_at, id: id.parse().map_err(|_| malformed())? })
}
