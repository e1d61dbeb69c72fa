//! The resolver: the effective value of concurrent ones, by role and rank, never by clock.
//!
//! A pure function of the survivors and of what they had seen, so every replica computes the same; nothing of it is
//! ever written back.

use docket_schemas::canonical::{json, sha256};
use docket_schemas::{CommandId, EventId, Principal, Priority, Role, Scalar, Status, TicketType};
use serde::Serialize;

use crate::graph::{Node, Past};
use crate::ticket::{Candidate, Conflict, ConflictCandidate, Ticket, UnseenMessage};

/// A value that a register may hold.
pub trait RegisterValue: Clone + PartialEq + Serialize {
    /// Reads what stands before the `|`.
    fn read(text: &str) -> Option<Self>;

    /// Precedence among values of one role; higher wins.
    fn rank(&self) -> u8 {
        0
    }

    /// Whether it beats everything concurrent, whatever the role, and is never folded away.
    fn is_final(&self) -> bool {
        false
    }
}

impl RegisterValue for Status {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn rank(&self) -> u8 {
        *self as u8
    }

    fn is_final(&self) -> bool {
        *self == Self::Closed
    }
}

impl RegisterValue for Priority {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn rank(&self) -> u8 {
        *self as u8
    }
}

impl RegisterValue for Option<TicketType> {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl RegisterValue for Option<String> {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl RegisterValue for Scalar {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl RegisterValue for EventId {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A survivor with what ranks it.
#[derive(Debug, Clone)]
pub struct Ranked<'a, V> {
    /// The value.
    pub value: V,
    /// The change that wrote it.
    pub node: &'a Node,
    counter: u64,
    tie: [u8; 32],
}

/// What a register shows.
#[derive(Debug, Clone)]
pub struct Outcome<'a, V> {
    /// The effective value.
    pub effective: V,
    /// One candidate a principal (and every `closed`), best first.
    pub ranked: Vec<Ranked<'a, V>>,
    /// Every survivor, before a principal's were folded.
    pub survivors: Vec<Ranked<'a, V>>,
}

/// The effective value of a register; none where nobody ever wrote it.
#[must_use]
pub fn resolve<'a, V: RegisterValue>(ticket: &'a Ticket, key: &str) -> Option<Outcome<'a, V>> {
    let survivors: Vec<Ranked<'a, V>> = ticket
        .settled()
        .candidates(key)
        .iter()
        .filter_map(|candidate| ranked(ticket, candidate))
        .collect();
    let mut ranked = fold_principals(&survivors);
    ranked.sort_by(|a, b| precedence(b).cmp(&precedence(a)));
    let effective = ranked.first()?.value.clone();
    Some(Outcome { effective, ranked, survivors })
}

fn ranked<'a, V: RegisterValue>(
    ticket: &'a Ticket,
    candidate: &Candidate,
) -> Option<Ranked<'a, V>> {
    Some(Ranked {
        value: V::read(&candidate.value)?,
        node: ticket.graph.named_by(candidate.command)?,
        counter: candidate.counter,
        tie: sha256(candidate.command.as_bytes()),
    })
}

fn precedence<'r, V: RegisterValue>(
    ranked: &'r Ranked<'_, V>,
) -> (bool, u8, u8, u64, &'r [u8; 32]) {
    let role = ranked.node.role.rank();
    (ranked.value.is_final(), role, ranked.value.rank(), ranked.counter, &ranked.tie)
}

/// Of one principal only the newest value stands, by op counter and hash; a final one always stays.
fn fold_principals<'a, V: RegisterValue>(survivors: &[Ranked<'a, V>]) -> Vec<Ranked<'a, V>> {
    let newer = |a: &Ranked<'_, V>, b: &Ranked<'_, V>| (a.counter, a.tie) > (b.counter, b.tie);
    survivors
        .iter()
        .filter(|one| {
            let same = |other: &&Ranked<'_, V>| other.node.principal == one.node.principal;
            one.value.is_final() || !survivors.iter().filter(same).any(|other| newer(other, one))
        })
        .cloned()
        .collect()
}

impl<V: RegisterValue> Outcome<'_, V> {
    /// Whether the candidates disagree.
    #[must_use]
    pub fn disagrees(&self) -> bool {
        self.ranked.iter().any(|other| other.value != self.effective)
    }

    /// The conflict to show, when the candidates disagree.
    #[must_use]
    pub fn conflict(&self, field: &str) -> Option<Conflict> {
        self.disagrees().then(|| Conflict {
            field: field.to_owned(),
            candidates: self.ranked.iter().map(shown).collect(),
        })
    }
}

fn shown<V: RegisterValue>(ranked: &Ranked<'_, V>) -> ConflictCandidate {
    ConflictCandidate {
        value: serde_json::from_str(&json(&ranked.value)).unwrap_or_default(),
        role: ranked.node.role,
        principal: ranked.node.principal.clone(),
        event_id: ranked.node.event_id,
        observed: ranked.node.observed,
    }
}

impl Outcome<'_, Status> {
    /// The commands that wrote the effective status; none where it does not say that the customer has been answered.
    pub(crate) fn settled_by(&self) -> Option<Vec<CommandId>> {
        matches!(self.effective, Status::Solved | Status::Pending).then(|| {
            let survivors = self.survivors.iter().filter(|one| one.value == self.effective);
            survivors.map(|one| one.node.command_id).collect()
        })
    }
}

/// The customers' public messages that nobody who wrote the effective status had seen, when that status says that they
/// have been answered.
#[must_use]
pub fn unseen(ticket: &Ticket, status: &Outcome<'_, Status>) -> Vec<UnseenMessage> {
    status.settled_by().map_or_else(Vec::new, |writers| unseen_by(ticket, &writers))
}

/// The customers' public messages that none of these commands had seen, but for those of their own authors. Taking the
/// union of their pasts keeps this monotone.
pub(crate) fn unseen_by(ticket: &Ticket, writers: &[CommandId]) -> Vec<UnseenMessage> {
    let mut seen = Past::default();
    let mut solvers = Vec::with_capacity(writers.len());
    for copy in writers.iter().flat_map(|writer| ticket.graph.copies_of(*writer)) {
        seen.join(copy.everything_seen());
        solvers.push(&copy.principal);
    }
    let mut messages: Vec<UnseenMessage> = ticket
        .graph
        .nodes()
        .iter()
        .filter(|node| node.public && !seen.holds(node) && !solvers.contains(&&node.principal))
        .filter(|node| ticket.is_customer_of(node))
        .filter(|node| !ticket.graph.has_seen(&seen, node.command_id))
        .filter(|node| is_named(ticket, node))
        .filter_map(|node| {
            let (author, created_at) = (node.principal.clone(), node.occurred_at);
            Some(UnseenMessage { id: node.message_id()?, author, created_at })
        })
        .collect();
    messages.extend(unseen_sources(ticket, &seen));
    // Not in the order in which this log accepted them, which is another in every region.
    messages.sort_by_key(|message| (message.created_at, message.id));
    messages
}

/// Attached sources that waited for an answer: each counts as a message of its customer, whoever attached it.
fn unseen_sources(ticket: &Ticket, seen: &Past) -> impl Iterator<Item = UnseenMessage> {
    let sources =
        ticket.merges().attached().filter(|one| !ticket.graph.has_seen(seen, one.command));
    sources.filter_map(|one| one.unanswered).map(|unanswered| UnseenMessage {
        id: unanswered.message,
        author: Principal::Person(unanswered.person),
        created_at: unanswered.created_at,
    })
}

/// Whether a change stands for all that its command made in several regions.
fn is_named(ticket: &Ticket, node: &Node) -> bool {
    ticket.graph.named_by(node.command_id).is_some_and(|named| named.hash == node.hash)
}

impl Ticket {
    /// Whether a change was made by the requester or a follower, or by a customer who was one then. Who wrote by way of
    /// a merged ticket may be a customer of that one alone, and does not follow this one once it has left.
    pub(crate) fn is_customer_of(&self, node: &Node) -> bool {
        let Some(person) = node.principal.person() else { return false };
        node.role == Role::Customer
            || self.facts().is_some_and(|facts| facts.requester == person)
            || self.settled().holds(crate::layout::Container::Followers, &person.to_string())
    }
}
