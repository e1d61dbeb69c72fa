//! The status machine: anything may become anything but `new`, and `closed` is final unless it stands in conflict.

use docket_schemas::{EventType, Kind, Status};

use super::{Intent, OBSERVED_AGE_MAX_MICROS, Refusal, Source};
use crate::graph::{Node, Past};
use crate::policy::{Action, Audience, Relation, Verdict, may};
use crate::resolver::{Outcome, Ranked, resolve};
use crate::ticket::Ticket;

/// How `closed` stands among a ticket's candidates, those of one principal folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// Not at all.
    Absent,
    /// Alone: final.
    Lone,
    /// Beside other values: may be settled.
    Disputed,
}

/// How `closed` stands now.
pub(super) fn closing(ticket: &Ticket) -> Closing {
    let Some(status) = resolve::<Status>(ticket, "status") else { return Closing::Absent };
    let closed = |value: &Status| *value == Status::Closed;
    match status.ranked.iter().filter(|one| closed(&one.value)).count() {
        0 => Closing::Absent,
        count if count == status.ranked.len() => Closing::Lone,
        _ => Closing::Disputed,
    }
}

/// Whether `status` may be written by somebody who has seen `seen`, of which the version given holds `given`.
pub(super) fn check_status(
    ticket: &Ticket,
    intent: &Intent,
    relation: Relation,
    status: Status,
    seen: &Past,
) -> Result<(), Refusal> {
    if intent.source == Source::Import {
        return Ok(());
    }
    let chat = ticket.facts().is_some_and(|facts| facts.kind == Kind::Chat);
    if status == Status::Snoozed && !chat {
        let message = "is a status of chats only".to_owned();
        return Err(Refusal::Invalid { field: "status", message, limit: None });
    }
    let role = intent.caller.role;
    let Some(outcome) = resolve::<Status>(ticket, "status") else { return Err(Refusal::NotFound) };
    // It shows `closed` and no conflict, to who has seen that it is merged.
    let merged = ticket.merges().merged();
    let merged = merged.is_some_and(|merged| ticket.graph.has_seen(seen, merged.command));
    if !merged && settles(ticket, &outcome, intent, seen) && status != Status::New {
        return match may(role, relation, Action::SettleClosed) {
            Verdict::Allow => Ok(()),
            _ => Err(Refusal::Closed),
        };
    }
    match may(role, relation, Action::SetStatus(status)) {
        Verdict::Allow => {}
        Verdict::Forbid => return Err(Refusal::forbidden(&format!("set status `{status}`"))),
        Verdict::Hide => return Err(Refusal::NotFound),
    }
    let closed_seen = outcome
        .survivors
        .iter()
        .any(|one| one.value == Status::Closed && ticket.graph.has_seen(seen, one.node.command_id));
    if merged || closed_seen { Err(Refusal::Closed) } else { Ok(()) }
}

/// A standing conflict that holds `closed`, with every candidate in the version that the caller named.
fn settles(ticket: &Ticket, outcome: &Outcome<'_, Status>, intent: &Intent, seen: &Past) -> bool {
    let has_seen = |one: &Ranked<'_, Status>| ticket.graph.has_seen(seen, one.node.command_id);
    let holds_closed = outcome.ranked.iter().any(|one| one.value == Status::Closed);
    let disputed = outcome.ranked.iter().any(|one| one.value != Status::Closed);
    let named = intent.observed.is_some() && outcome.survivors.iter().all(has_seen);
    holds_closed && disputed && named
}

/// Refuses a field write whose version lacks a change that its author may see and that is older than seven days.
pub(super) fn check_fresh(ticket: &Ticket, intent: &Intent, seen: &Past) -> Result<(), Refusal> {
    if intent.source == Source::Import || intent.observed.is_none() {
        return Ok(());
    }
    let visible = |node: &Node| {
        let shown = node.public && node.event_type != EventType::HeadsJoined;
        shown || Audience::of(intent.caller.role) == Audience::Staff
    };
    let oldest = intent.now.plus_micros(-OBSERVED_AGE_MAX_MICROS);
    let stale = ticket.graph.nodes().iter().any(|node| {
        node.position > 0 && node.recorded_at < oldest && visible(node) && !seen.holds(node)
    });
    if stale { Err(Refusal::Stale) } else { Ok(()) }
}
