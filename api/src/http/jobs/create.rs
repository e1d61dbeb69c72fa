//! `POST /v1/jobs`

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use docket_engine::policy::SagaAction;
use docket_sagas::{BULK, BULK_TICKETS_MAX, BulkRequest, Job, StartedSaga};
use docket_schemas::TicketId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::view;
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::sagas::{accepted, admit, first_row_at, saga_problem};
use crate::http::tickets::{
    Envelope, Head, PatchTicket, bulk_change, check_bulk, found, problem, wanted,
};
use crate::present::saga::stood;
use crate::problem::{Code, FIELD_ERRORS_MAX, FieldError, Problem};

/// The body.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NewJob {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tickets: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    set: PatchTicket,
}

/// Begins to change many tickets. Which they are is fixed with this answer.
#[tracing::instrument(name = "http.job.create", skip_all)]
pub(super) async fn post(
    State(app): State<App>,
    token: Token,
    headers: HeaderMap,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    admit(&token, SagaAction::Cancel)?;
    let envelope = Envelope::read_of_new(&head)?;
    let body: NewJob = payload.parse()?;
    if body.kind != BULK {
        return Err(Problem::invalid("kind", "is not `bulk-update`"));
    }
    check_bulk(&token, &body.set)?;
    let (caller, _) = app.caller(&token).await.map_err(problem)?;
    let command_id = envelope.command_id(&app, &caller, None);
    let request_mac = envelope.mac(&app, &body);
    // A retry is about the tickets that were found the first time.
    let known = app.sagas.started(&token.tenant, command_id, request_mac).await;
    let started = match known.map_err(saga_problem)? {
        Some(started) => started,
        None => {
            let tickets = tickets(&app, &token, &headers, &body).await?;
            let set = bulk_change(&app, &token, &body.set).await?;
            let occurred_at = app.now();
            let request =
                BulkRequest { caller, command_id, request_mac, tickets, set, occurred_at };
            app.sagas.start(request.start()).await.map_err(saga_problem)?
        }
    };
    begun(&app, &started)
}

/// The tickets that the body names, each once.
async fn tickets(
    app: &App,
    token: &Token,
    headers: &HeaderMap,
    body: &NewJob,
) -> Result<Vec<TicketId>, Problem> {
    let wanted = wanted(app, headers).await?;
    let (field, tickets) = match (&body.tickets, &body.filter) {
        (Some(ids), None) => ("tickets", named(ids)?),
        (None, Some(filter)) => {
            let found = found(app, &token.tenant, filter, wanted.as_ref(), BULK_TICKETS_MAX);
            ("filter", found.await.map_err(|problem| problem.within("filter"))?)
        }
        _ => {
            let message = "is to be given, or else `filter`, and not both";
            return Err(Problem::invalid("tickets", message));
        }
    };
    if tickets.is_empty() {
        return Err(Problem::invalid(field, "names no ticket"));
    }
    if tickets.len() > BULK_TICKETS_MAX {
        let message = format!("names more than {BULK_TICKETS_MAX} tickets");
        let error = FieldError::beyond(field, message, BULK_TICKETS_MAX);
        return Err(Problem::new(Code::Invalid).error(error));
    }
    Ok(tickets)
}

/// Tickets that are not there fail one by one, as the job comes to them; what is no id cannot be meant.
fn named(ids: &[String]) -> Result<Vec<TicketId>, Problem> {
    let (mut seen, mut tickets, mut errors) = (BTreeSet::new(), Vec::new(), Vec::new());
    for (at, id) in ids.iter().enumerate() {
        match id.parse::<TicketId>() {
            Ok(ticket) if seen.insert(ticket) => tickets.push(ticket),
            Ok(_) => {}
            Err(_) if errors.len() < FIELD_ERRORS_MAX => {
                errors.push(FieldError::new(format!("tickets[{at}]"), "is not the id of a ticket"));
            }
            Err(_) => break,
        }
    }
    if errors.is_empty() { Ok(tickets) } else { Err(Problem::new(Code::Invalid).errors(errors)) }
}

fn begun(app: &App, started: &StartedSaga) -> Result<Response, Problem> {
    let job = Job::of(&started.state).ok_or_else(|| Problem::new(Code::IdempotencyKeyReused))?;
    let location = format!("/v1/jobs/{}", started.state.id);
    let stood = stood(app.sagas.registry(), &started.state, first_row_at(&started.state));
    Ok(accepted(app, started, location, json!({"job": view(&started.state, &job, stood)})))
}
