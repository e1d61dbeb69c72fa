//! Authoring: a decided step becomes a draft with its Automerge change.

use std::sync::Arc;

use docket_schemas::{
    Change, ChangeHash, CommandId, Draft, Mac, Observed, Principal, Role, SCHEMA_VERSION, SlotOp,
    Stream, TicketPayload, Timestamp, derivation,
};

use super::{Authoring, Caller, Refusal};
use crate::actor::Writer;
use crate::graph::NodeIndex;
use crate::lanes::place;
use crate::layout::writes_of;
use crate::policy::POLICY_VERSION;
use crate::ports::log::{Expected, Row};
use crate::seal::DataKey;
use crate::ticket::{FoldError, Meaning, Ticket};
use crate::version::VERSION_HEADS_MAX;

/// A row to append with the change that its ticket folds.
pub type AuthoredRow = Row;

/// Why a command yields no rows.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// The caller's fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody's: it can be decided on tickets alone that are as the log has them now.
    #[error("the tickets may have changed meanwhile")]
    Stale,
    /// The log's fault.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

/// One event to be authored.
pub(super) struct Step<'a> {
    pub caller: &'a Caller,
    pub command_id: CommandId,
    pub request_mac: Option<Mac>,
    pub payload: TicketPayload,
    pub text: Option<(serde_json::Value, &'a DataKey)>,
    pub public: bool,
    pub observed: Observed,
    pub slots: Vec<SlotOp>,
    pub occurred_at: Timestamp,
    pub correlation_id: Option<CommandId>,
    pub causation_id: Option<CommandId>,
}

/// Authors `step` on the heads `seen`, folds it into `ticket`, and answers the row to append.
pub(super) fn author(
    ticket: &mut Ticket,
    step: Step<'_>,
    seen: &[NodeIndex],
    with: Authoring<'_>,
) -> Result<AuthoredRow, AuthorError> {
    let caller = step.caller;
    let expected = expected(ticket);
    let writer = Writer::new(
        &ticket.tenant,
        ticket.id,
        caller.role,
        &caller.principal,
        &caller.device,
        with.incarnation,
    );
    let placement = place(&ticket.graph, &writer, seen).map_err(|_| Refusal::TooManyForks)?;
    let (mut draft, payload) = draft(ticket, step, with);
    let writes = writes_of(&draft, &payload);
    let change = ticket.encode(&placement, &writes, &draft)?;
    draft.change = Some(Change {
        actor: placement.actor,
        seq: placement.seq,
        deps: placement.dep_hashes(&ticket.graph, ticket.document.genesis_hash()),
        bytes: change.raw_bytes().to_vec(),
        hash: ChangeHash(change.hash().0),
        max_op: change.max_op(),
    });
    ticket.apply_draft(&draft, Meaning { payload: &payload, writes: &writes }, &change)?;
    Ok(Row { draft: Arc::new(draft), expected })
}

/// A row that follows one not yet durable is chained to it; else it states the position that it was authored on.
fn expected(ticket: &Ticket) -> Expected {
    match ticket.graph.nodes().last() {
        None => Expected::Opening,
        Some(node) if node.position == 0 => Expected::Chained,
        Some(_) => Expected::Last(ticket.last_position()),
    }
}

fn draft(ticket: &Ticket, step: Step<'_>, with: Authoring<'_>) -> (Draft, TicketPayload) {
    let event_id = derivation::event_of(step.command_id, with.incarnation);
    let sealed = step
        .text
        .map(|(text, key)| key.seal(&ticket.tenant, event_id, SCHEMA_VERSION, &text, with.ids));
    let external_id = match &step.payload {
        TicketPayload::Opened(opened) => opened.external_id.clone(),
        _ => None,
    };
    let draft = Draft {
        tenant: ticket.tenant.clone(),
        stream: Stream::ticket(ticket.id),
        event_id,
        command_id: step.command_id,
        request_mac: step.request_mac,
        event_type: step.payload.event_type().into(),
        schema: SCHEMA_VERSION,
        data: step.payload.to_json(),
        sealed,
        change: None,
        public: step.public,
        principal: step.caller.principal.clone(),
        role: step.caller.role,
        device: step.caller.device.as_ref().to_owned(),
        policy: POLICY_VERSION,
        observed: step.observed,
        slots: step.slots,
        external_id,
        occurred_at: step.occurred_at,
        correlation_id: step.correlation_id,
        causation_id: step.causation_id,
    };
    (draft, step.payload)
}

/// Joins a ticket's heads by an empty change when a version could no longer name them all.
///
/// # Errors
/// When the document cannot be brought to life.
pub fn joined_heads(
    ticket: &mut Ticket,
    cause: CommandId,
    at: Timestamp,
    with: Authoring<'_>,
) -> Result<Option<AuthoredRow>, AuthorError> {
    // One hidden change may cover many that a customer sees: their version has its own heads.
    let public = joins_public_heads(ticket);
    if !public && !too_many(ticket.graph.heads()) {
        return Ok(None);
    }
    let caller = Caller {
        tenant: ticket.tenant.clone(),
        role: Role::Bot,
        principal: Principal::Docket("docket".into()),
        device: "".into(),
    };
    let step = Step {
        caller: &caller,
        command_id: derivation::part_of_command(cause, JOIN_ORDINAL),
        request_mac: None,
        payload: TicketPayload::HeadsJoined,
        text: None,
        public,
        observed: Observed::Assumed,
        slots: Vec::new(),
        occurred_at: at,
        correlation_id: None,
        causation_id: Some(cause),
    };
    let heads = ticket.graph.heads().to_vec();
    author(ticket, step, &heads, with).map(Some)
}

/// A customer's version moves only for what they see, unless it could not be told any longer.
pub(super) fn joins_public_heads(ticket: &Ticket) -> bool {
    too_many(ticket.graph.public_heads())
}

const fn too_many(heads: &[NodeIndex]) -> bool {
    heads.len() > VERSION_HEADS_MAX / 2
}

/// The part of a command that joins heads.
const JOIN_ORDINAL: u32 = 1_000;
