//! Writes over the socket: the requests that frames stand for, acknowledged once they are durable.

use axum::http::Method;
use docket_engine::desk::{Answer, DeskError};
use docket_engine::version::Version;
use docket_schemas::{CommandId, Incarnation, MessageId, Tenant, TicketId, derivation};
use serde::Serialize;

use super::frame::Write;
use crate::app::App;
use crate::auth::Token;
use crate::http::tickets::add_message::{self, AddMessage};
use crate::http::tickets::enter::Head;
use crate::http::tickets::patch::{self, PatchTicket};
use crate::http::tickets::problem;
use crate::present::event::position_of;
use crate::problem::{Code, Problem};

/// The parts of a command that may be its last row: a message's status, a follow-up.
const LAST_PARTS: [u32; 2] = [1, 2];

/// `POST /v1/tickets/{id}/messages`
pub(super) async fn message(
    app: &App,
    token: &Token,
    frame: Write<AddMessage>,
) -> Result<String, Problem> {
    app.gate.count(token)?;
    let Write { id, ticket, body } = frame;
    let head = Head::of_frame(Method::POST, &format!("/v1/tickets/{ticket}/messages"), &id);
    let before = app.desk.incarnation();
    let said = add_message::say(app, token, ticket, &head, || Ok(body)).await?;
    // A message to a merged ticket stands on another one, by a command of its own.
    let shown = said.answer.said.filter(|there| there.ticket == said.answer.ticket.id);
    let command = shown.map_or(said.command, |there| there.command);
    ack(app, &token.tenant, &id, (command, &before), &said.answer).await
}

/// `PATCH /v1/tickets/{id}`
pub(super) async fn patch(
    app: &App,
    token: &Token,
    frame: Write<PatchTicket>,
) -> Result<String, Problem> {
    app.gate.count(token)?;
    let Write { id, ticket, body } = frame;
    let head = Head::of_frame(Method::PATCH, &format!("/v1/tickets/{ticket}"), &id);
    let before = app.desk.incarnation();
    let changed = patch::change(app, token, ticket, &head, || Ok(body)).await?;
    ack(app, &token.tenant, &id, (changed.command, &before), &changed.answer).await
}

/// What a peer hears of a write that is durable.
#[derive(Serialize)]
struct Ack<'a> {
    op: &'static str,
    id: &'a str,
    ticket: TicketId,
    version: String,
    position: String,
    message_id: Option<MessageId>,
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    follow_up_of: Option<TicketId>,
}

/// Its position is told under the incarnation `before` the write: under a later one it would pass for a place in a log that may
/// have lost it since. Where the write was of that later one, the cursor is led back to where that began.
async fn ack(
    app: &App,
    tenant: &Tenant,
    id: &str,
    (command, before): (CommandId, &Incarnation),
    answer: &Answer,
) -> Result<String, Problem> {
    let ticket = answer.ticket.id;
    let version = own_version(app, tenant, ticket, command).await.map_err(problem)?;
    let placed = answer.placed;
    let position = position_of(before, placed.partition, placed.position);
    let ack = Ack {
        op: "ack",
        id,
        ticket,
        version: version.as_ref().unwrap_or(&answer.ticket.version).to_string(),
        position: position.to_string(),
        message_id: answer.message,
        replayed: answer.replayed,
        follow_up_of: answer.follow_up_of,
    };
    serde_json::to_string(&ack).map_err(|_| Problem::new(Code::Internal))
}

/// The version of a write alone: what its writer had seen, and itself.
async fn own_version(
    app: &App,
    tenant: &Tenant,
    ticket: TicketId,
    command: CommandId,
) -> Result<Option<Version>, DeskError> {
    let parts = LAST_PARTS.map(|ordinal| derivation::part_of_command(command, ordinal));
    let found = app.desk.glance(tenant, ticket, |ticket| {
        let mut commands = parts.into_iter().chain([command]);
        let node = commands.find_map(|command| ticket.graph.of_command(command));
        node.map(|node| Version::of_change(&node.hash))
    });
    Ok(found.await?.flatten())
}
