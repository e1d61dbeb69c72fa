//! The messages of a ticket by what they are sorted by: its own, and what a target shows of it once it is merged.

use docket_schemas::{CommandId, MessageId, Position, TicketId, Timestamp};

use super::Ticket;
use crate::graph::{Node, Past};

/// A message as a ticket shows it, in the order in which tickets show them: by `created_at`, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShownMessage {
    /// When, by its author.
    pub created_at: Timestamp,
    /// Which.
    pub id: MessageId,
    /// A public reply, or else an internal note.
    pub public: bool,
    /// The ticket in whose stream it stands; another than the one that shows it, where that one came by a merge.
    pub stands_on: TicketId,
    /// Its place in that stream's partition.
    pub position: Position,
    /// The command that wrote it.
    pub command: CommandId,
}

/// What a target shows of a source: fixed by the source's `ticket.merged`, whatever is written to the source later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The source's own messages in that change's past, in no order.
    pub messages: Vec<ShownMessage>,
    /// The sources that it showed itself, each with the command of its own `ticket.merged`.
    pub attached: Vec<(TicketId, CommandId)>,
}

impl Ticket {
    /// The messages in its own stream, in no order.
    pub fn own_messages(&self) -> impl Iterator<Item = ShownMessage> {
        let named = |node: &&Node| {
            self.graph.named_by(node.command_id).is_some_and(|named| named.hash == node.hash)
        };
        self.graph.nodes().iter().filter(named).filter_map(|node| self.shown_message(node))
    }

    /// What a target shows of this ticket by the `ticket.merged` of a command; none where it has no such event.
    #[must_use]
    pub fn prefix(&self, merged: CommandId) -> Option<Prefix> {
        let past: &Past = self.graph.named_by(merged)?.everything_seen();
        let messages = self.own_messages();
        let seen = |one: &ShownMessage| self.graph.has_seen(past, one.command);
        let attached = self.merges().attached_in(&self.graph, past);
        Some(Prefix {
            messages: messages.filter(seen).collect(),
            attached: attached.map(|one| (one.source, one.merged)).collect(),
        })
    }

    fn shown_message(&self, node: &Node) -> Option<ShownMessage> {
        Some(ShownMessage {
            created_at: node.occurred_at,
            id: node.message_id()?,
            public: node.public,
            stands_on: self.id,
            position: node.position,
            command: node.command_id,
        })
    }
}
