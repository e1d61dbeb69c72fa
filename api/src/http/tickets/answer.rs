//! Answers of ticket endpoints: the ticket, its version as `ETag`, and the place of a write.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use docket_engine::desk::{Answer, DeskError};
use docket_engine::ticket::Resolved;
use serde::Serialize;

use super::enter::Entered;
use super::refusal::problem;
use crate::app::App;
use crate::http::header::{DOCKET_POSITION, IDEMPOTENCY_REPLAYED, etag};
use crate::present::Names;
use crate::present::event::position_of;
use crate::present::message::MessageView;
use crate::present::ticket::{TicketView, present};
use crate::problem::Problem;

/// A body with a ticket in it.
#[derive(Serialize)]
pub(super) struct TicketBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<MessageView>,
    pub(super) ticket: TicketView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) follow_up_of: Option<docket_schemas::TicketId>,
}

/// A resolved ticket as the caller may see it.
pub(super) async fn view(
    app: &App,
    entered: &Entered,
    ticket: Resolved,
) -> Result<TicketView, Problem> {
    let names = Names { desk: &app.desk, tenant: &entered.caller.tenant };
    present(names, ticket, entered.audience).await.map_err(problem)
}

/// The ticket as it is now, as the caller may see it.
pub(super) async fn current(app: &App, entered: &Entered) -> Result<TicketView, Problem> {
    let resolved = app
        .desk
        .look(&entered.caller.tenant, entered.ticket, |ticket| ticket.resolve())
        .await
        .map_err(problem)?
        .ok_or_else(Problem::not_found)?;
    view(app, entered, resolved.map_err(|error| problem(DeskError::from(error)))?).await
}

/// The answer to a read.
pub(super) fn read(ticket: TicketView) -> Response {
    let tag = etag(&ticket.version);
    let body = TicketBody { message: None, ticket, follow_up_of: None };
    json(StatusCode::OK, &body, tag)
}

/// The answer to a write.
pub(super) async fn written(
    app: &App,
    entered: &Entered,
    status: StatusCode,
    answer: Answer,
    message: Option<MessageView>,
) -> Result<Response, Problem> {
    let placed = answer.placed;
    let position = position_of(&app.desk.incarnation(), placed.partition, placed.position);
    let (replayed, follow_up_of) = (answer.replayed, answer.follow_up_of);
    let ticket = view(app, entered, answer.ticket).await?;
    let location = (status == StatusCode::CREATED && message.is_none())
        .then(|| format!("/v1/tickets/{}", ticket.id));
    let tag = etag(&ticket.version);
    let mut response = json(status, &TicketBody { message, ticket, follow_up_of }, tag);
    let headers = response.headers_mut();
    if let Ok(position) = HeaderValue::try_from(position.to_string()) {
        headers.insert(DOCKET_POSITION, position);
    }
    if let Some(Ok(location)) = location.map(HeaderValue::try_from) {
        headers.insert(header::LOCATION, location);
    }
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn json(status: StatusCode, body: &TicketBody, tag: HeaderValue) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [content_type, (header::ETAG, tag)], bytes).into_response()
}
