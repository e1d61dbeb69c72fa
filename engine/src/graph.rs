//! The change graph: what every change of a ticket had seen, without loading the document.

use std::collections::HashMap;

use docket_schemas::{
    ActorId, ChangeHash, CommandId, Draft, EventId, EventType, MessageId, Observed, Position,
    Principal, Role, TicketEvent, Timestamp, derivation,
};
use serde::{Deserialize, Serialize};

/// A change's index in its graph, in the order in which this log accepted them.
pub type NodeIndex = usize;

/// What one change is, and what it had seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// The change's name.
    pub hash: ChangeHash,
    /// Index of its actor in the graph.
    actor: usize,
    /// Its number among the actor's changes, from 1.
    pub seq: u64,
    /// The op counter of its last op.
    pub max_op: u64,
    /// The event that it belongs to.
    pub event_id: EventId,
    /// The intent behind it.
    pub command_id: CommandId,
    /// The event's type.
    pub event_type: EventType,
    /// Who wrote it.
    pub principal: Principal,
    /// As what.
    pub role: Role,
    /// Whether a customer may see it.
    pub public: bool,
    /// Whether its version was given.
    pub observed: Observed,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When the log accepted it; the writer's own time until then.
    pub recorded_at: Timestamp,
    /// Its place in its partition; 0 until the log has accepted it.
    pub position: Position,
    /// Everything that it had seen, itself included.
    past: Past,
}

impl Node {
    /// Everything that it had seen, itself included.
    #[must_use]
    pub const fn everything_seen(&self) -> &Past {
        &self.past
    }

    /// The message that this change is, if it is one.
    #[must_use]
    pub fn message_id(&self) -> Option<MessageId> {
        match self.event_type {
            EventType::Ticket(TicketEvent::Opened | TicketEvent::MessageAdded) => {
                Some(derivation::message_of(self.command_id))
            }
            _ => None,
        }
    }
}

/// A causally closed set of changes, as a version vector: for each actor the last sequence number that is in it.
/// Every actor's changes are a chain, so the vector is exact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past(Vec<u64>);

impl Past {
    fn seq(&self, actor: usize) -> u64 {
        self.0.get(actor).copied().unwrap_or(0)
    }

    /// Adds everything that `other` has seen.
    pub fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// Whether a change is in the set.
    #[must_use]
    pub fn holds(&self, node: &Node) -> bool {
        self.seq(node.actor) >= node.seq
    }
}

/// A head that the graph does not have: a version of another ticket, or one never issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownHead;

/// Every change of one ticket, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ChangeGraph {
    actors: Vec<ActorId>,
    #[serde(skip)]
    actor_index: HashMap<ActorId, usize>,
    nodes: Vec<Node>,
    #[serde(skip)]
    by_hash: HashMap<[u8; HEAD_BYTES], NodeIndex>,
    #[serde(skip)]
    by_command: HashMap<CommandId, NodeIndex>,
    /// Further changes of commands that cut-off regions accepted too.
    twins: HashMap<CommandId, Vec<NodeIndex>>,
    last_of_actor: Vec<NodeIndex>,
    heads: Vec<NodeIndex>,
    public_heads: Vec<NodeIndex>,
    max_op: u64,
}

/// Bytes of a hash that name a head in a version.
pub const HEAD_BYTES: usize = 16;

/// The part of a hash that names a head in a version.
#[must_use]
pub fn head_name(hash: &ChangeHash) -> [u8; HEAD_BYTES] {
    let mut name = [0; HEAD_BYTES];
    name.copy_from_slice(&hash.0[..HEAD_BYTES]);
    name
}

impl ChangeGraph {
    /// Adds a change whose causes are all here (or which has the genesis alone). A change known already is left.
    ///
    /// # Errors
    /// When a cause is missing or its sequence number does not follow: the log is damaged.
    pub fn add(
        &mut self,
        draft: &Draft,
        position: Position,
        recorded_at: Timestamp,
    ) -> Result<(), UnknownHead> {
        let Some(change) = &draft.change else { return Err(UnknownHead) };
        if self.by_hash.contains_key(&head_name(&change.hash)) {
            return Ok(());
        }
        let mut past = Past::default();
        for dep in &change.deps {
            match self.by_hash.get(&head_name(dep)) {
                Some(&index) => past.join(&self.nodes[index].past),
                // The genesis is the only cause that is no event, and only an opening names it.
                None if draft.event_type == TicketEvent::Opened && change.deps.len() == 1 => {}
                None => return Err(UnknownHead),
            }
        }
        let actor = self.actor(change.actor);
        if past.seq(actor) + 1 != change.seq {
            return Err(UnknownHead);
        }
        if past.0.len() <= actor {
            past.0.resize(actor + 1, 0);
        }
        past.0[actor] = change.seq;
        let index = self.nodes.len();
        self.heads.retain(|&head| !past.holds(&self.nodes[head]));
        self.heads.push(index);
        if draft.public {
            self.public_heads.retain(|&head| !past.holds(&self.nodes[head]));
            self.public_heads.push(index);
        }
        self.max_op = self.max_op.max(change.max_op);
        self.last_of_actor[actor] = index;
        self.by_hash.insert(head_name(&change.hash), index);
        if *self.by_command.entry(draft.command_id).or_insert(index) != index {
            self.twins.entry(draft.command_id).or_default().push(index);
        }
        self.nodes.push(Node {
            hash: change.hash,
            actor,
            seq: change.seq,
            max_op: change.max_op,
            event_id: draft.event_id,
            command_id: draft.command_id,
            event_type: draft.event_type,
            principal: draft.principal.clone(),
            role: draft.role,
            public: draft.public,
            observed: draft.observed,
            occurred_at: draft.occurred_at,
            recorded_at,
            position,
            past,
        });
        Ok(())
    }

    /// Builds the look-ups again, which a snapshot leaves out.
    pub(crate) fn reindex(&mut self) {
        self.actor_index = self.actors.iter().copied().zip(0..).collect();
        for (index, node) in self.nodes.iter().enumerate() {
            self.by_hash.insert(head_name(&node.hash), index);
            self.by_command.entry(node.command_id).or_insert(index);
        }
    }

    /// Says where the log put a change that was added before it was durable.
    pub fn confirm(&mut self, hash: &ChangeHash, position: Position, recorded_at: Timestamp) {
        if let Some(&index) = self.by_hash.get(&head_name(hash)) {
            self.nodes[index].position = position;
            self.nodes[index].recorded_at = recorded_at;
        }
    }

    fn actor(&mut self, actor: ActorId) -> usize {
        *self.actor_index.entry(actor).or_insert_with(|| {
            self.actors.push(actor);
            self.last_of_actor.push(usize::MAX);
            self.actors.len() - 1
        })
    }

    /// Every change, oldest first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The changes that no other has seen.
    #[must_use]
    pub fn heads(&self) -> &[NodeIndex] {
        &self.heads
    }

    /// The same among the changes that a customer may see.
    #[must_use]
    pub fn public_heads(&self) -> &[NodeIndex] {
        &self.public_heads
    }

    /// The highest op counter.
    #[must_use]
    pub const fn max_op(&self) -> u64 {
        self.max_op
    }

    /// Every change of a command: cut-off regions may each have accepted it.
    pub fn copies_of(&self, command: CommandId) -> impl Iterator<Item = &Node> {
        let twins = self.twins.get(&command).into_iter().flatten();
        self.by_command.get(&command).into_iter().chain(twins).map(|&index| &self.nodes[index])
    }

    /// The one of a command's changes that stands for all of them, the same in every region.
    #[must_use]
    pub fn named_by(&self, command: CommandId) -> Option<&Node> {
        self.copies_of(command).min_by_key(|node| node.event_id)
    }

    /// Whether any change of a command is in `past`.
    #[must_use]
    pub fn has_seen(&self, past: &Past, command: CommandId) -> bool {
        self.copies_of(command).any(|node| past.holds(node))
    }

    /// The change of a command that this log accepted first.
    #[must_use]
    pub fn of_command(&self, command: CommandId) -> Option<&Node> {
        self.by_command.get(&command).map(|&index| &self.nodes[index])
    }

    /// The change with this name.
    #[must_use]
    pub fn index_of(&self, name: &[u8; HEAD_BYTES]) -> Option<NodeIndex> {
        self.by_hash.get(name).copied()
    }

    /// The last change of an actor.
    #[must_use]
    pub fn last_of(&self, actor: &ActorId) -> Option<NodeIndex> {
        self.actor_index.get(actor).map(|&index| self.last_of_actor[index])
    }

    /// Everything that these changes had seen, themselves included.
    #[must_use]
    pub fn past_of(&self, indexes: &[NodeIndex]) -> Past {
        let mut past = Past::default();
        for &index in indexes {
            past.join(&self.nodes[index].past);
        }
        past
    }

    /// What one change had seen, itself included.
    #[must_use]
    pub fn past(&self, index: NodeIndex) -> &Past {
        &self.nodes[index].past
    }

    /// Those of `indexes` that no other of them had seen.
    #[must_use]
    pub fn minimal(&self, indexes: &[NodeIndex]) -> Vec<NodeIndex> {
        let mut minimal: Vec<NodeIndex> = Vec::with_capacity(indexes.len());
        for &index in indexes {
            let seen = |by: &NodeIndex, of: NodeIndex| self.nodes[*by].past.holds(&self.nodes[of]);
            if minimal.iter().any(|kept| seen(kept, index)) {
                continue;
            }
            minimal.retain(|&kept| !seen(&index, kept));
            minimal.push(index);
        }
        minimal
    }

    /// Actors whose changes are in `past` beyond what `known` holds.
    pub fn actors_beyond<'a>(
        &'a self,
        past: &'a Past,
        known: &'a Past,
    ) -> impl Iterator<Item = &'a ActorId> {
        past.0
            .iter()
            .enumerate()
            .filter(|&(actor, &seq)| seq > known.seq(actor))
            .map(|(actor, _)| &self.actors[actor])
    }

    /// A set as a version vector, by actor.
    pub fn vector<'a>(&'a self, past: &'a Past) -> impl Iterator<Item = (&'a ActorId, u64)> {
        past.0
            .iter()
            .enumerate()
            .filter(|(_, seq)| **seq > 0)
            .map(|(actor, seq)| (&self.actors[actor], *seq))
    }

    /// The actor of a change.
    #[must_use]
    pub fn actor_of(&self, node: &Node) -> &ActorId {
        &self.actors[node.actor]
    }
}
