//! How a ticket stands to merges, folded from its own events alone.
//!
//! An attach states what its source showed, so a target is resolved without reading another ticket; only the texts of
//! a source's messages are read from the source's own stream.

use docket_schemas::{
    CommandId, MergeAttached, MergeBegun, MergeDetached, MergeGoal, MessageId, PersonId, SlotOp,
    TicketId, TicketPayload, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Counted;
use crate::graph::{ChangeGraph, Past};

/// Where a merged source went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedInto {
    /// The target.
    pub into: TicketId,
    /// The command of the `ticket.merged`.
    pub command: CommandId,
}

/// A saga that merges or unmerges a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Underway {
    /// What it is to come to.
    pub goal: MergeGoal,
    /// The ticket that goes into the other, or comes out of it.
    pub source: TicketId,
    /// The other.
    pub into: TicketId,
    /// The saga.
    pub saga_id: Uuid,
}

/// The message by which a source that waited for an answer counts as unseen on its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// Which.
    pub message: MessageId,
    /// Whose.
    pub person: PersonId,
    /// When, by its author.
    pub created_at: Timestamp,
}

/// A source that came into a ticket, and may have left it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The source.
    pub source: TicketId,
    /// The command of its `ticket.merged`: what is in its past is shown.
    pub merged: CommandId,
    /// The command of the `ticket.merge_attached`.
    pub command: CommandId,
    /// Tags that it brought.
    pub tags: Vec<String>,
    /// Followers whom it brought.
    pub followers: Vec<PersonId>,
    /// Set when the source was waiting for an answer.
    pub unanswered: Option<Unanswered>,
    messages: Counted,
    sources: u64,
    detached: Option<Detachment>,
}

/// What left a ticket with a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Detachment {
    /// The command of the `ticket.merge_detached`.
    command: CommandId,
    tags: Vec<String>,
    followers: Vec<PersonId>,
}

/// How far a merge of a ticket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeState {
    /// A saga merges it.
    Merging,
    /// It is merged, as source or target, and nothing is under way.
    Merged,
    /// A saga unmerges it.
    Unmerging,
}

/// The mark that a ticket carries in every answer while it has to do with a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeMark {
    /// How far.
    pub state: MergeState,
    /// Where it went, or is going; none for a target.
    pub into: Option<TicketId>,
    /// What came into it, or is coming; sorted.
    pub from: Vec<TicketId>,
    /// The saga under way, or else the newest; none where only an import told of it.
    pub saga_id: Option<Uuid>,
}

/// How a ticket stands to merges.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Merges {
    merged: Option<MergedInto>,
    attachments: Vec<Attachment>,
    underway: Option<Underway>,
    newest_saga: Option<Uuid>,
    holds_slot: bool,
}

impl Merges {
    /// Where the ticket went, while it is merged.
    #[must_use]
    pub const fn merged(&self) -> Option<MergedInto> {
        self.merged
    }

    /// The saga that has to do with it now.
    #[must_use]
    pub const fn underway(&self) -> Option<Underway> {
        self.underway
    }

    /// Whether its merge slot is held.
    #[must_use]
    pub const fn holds_slot(&self) -> bool {
        self.holds_slot
    }

    /// The sources that it shows, in the order in which they came.
    pub fn attached(&self) -> impl Iterator<Item = &Attachment> {
        self.attachments.iter().filter(|one| one.detached.is_none())
    }

    /// How many tickets it shows besides itself: its sources, and those that they show.
    #[must_use]
    pub fn sources_shown(&self) -> u64 {
        self.attached().map(|one| 1_u64.saturating_add(one.sources)).fold(0, u64::saturating_add)
    }

    /// The sources that it showed in a state of its past.
    pub fn attached_in<'a>(
        &'a self,
        graph: &'a ChangeGraph,
        past: &'a Past,
    ) -> impl Iterator<Item = &'a Attachment> {
        self.attachments.iter().filter(move |one| {
            graph.has_seen(past, one.command)
                && !one.detached.as_ref().is_some_and(|by| graph.has_seen(past, by.command))
        })
    }

    /// The commands of every attach, those undone among them.
    pub(crate) fn attaches(&self, command: CommandId) -> bool {
        self.attachments.iter().any(|one| one.command == command)
    }

    /// The last time that a source left.
    pub(super) fn last_left(&self, source: TicketId) -> Option<&Attachment> {
        let mut all = self.attachments.iter().rev();
        all.find(|one| one.source == source && one.detached.is_some())
    }

    /// What the attached sources add to the messages: all of them, and the public ones.
    pub(super) fn message_counts(&self) -> (u64, u64) {
        self.attached().fold((0, 0), |(all, public), one| {
            (all.saturating_add(one.messages.all), public.saturating_add(one.messages.public))
        })
    }

    /// The mark to show; none while it has nothing to do with a merge.
    #[must_use]
    pub fn mark(&self, own: TicketId) -> Option<MergeMark> {
        let state = match self.underway.map(|underway| underway.goal) {
            Some(MergeGoal::Merge) => MergeState::Merging,
            Some(MergeGoal::Unmerge) => MergeState::Unmerging,
            None if self.merged.is_some() || self.attached().next().is_some() => MergeState::Merged,
            None => return None,
        };
        let leaves = self.underway.filter(|underway| underway.source == own);
        let into = self.merged.map(|merged| merged.into);
        let into = into.or_else(|| leaves.map(|underway| underway.into));
        let comes = self.underway.filter(|underway| underway.into == own);
        let mut from: Vec<TicketId> = self.attached().map(|one| one.source).collect();
        from.extend(comes.map(|underway| underway.source));
        from.sort_unstable();
        from.dedup();
        Some(MergeMark { state, into, from, saga_id: self.newest_saga })
    }

    pub(super) fn fold(&mut self, command: CommandId, payload: &TicketPayload) {
        match payload {
            TicketPayload::MergeBegun(begun) => {
                let MergeBegun { goal, source, into, saga_id } = *begun;
                self.underway = Some(Underway { goal, source, into, saga_id });
                self.newest_saga = Some(saga_id);
            }
            TicketPayload::MergeEnded(ended) => {
                self.underway = self.underway.filter(|underway| underway.saga_id != ended.saga_id);
            }
            TicketPayload::Merged(merged) => {
                self.merged = Some(MergedInto { into: merged.into, command });
            }
            TicketPayload::Unmerged(_) => self.merged = None,
            TicketPayload::MergeAttached(attached) => self.attach(command, attached),
            TicketPayload::MergeDetached(detached) => self.detach(command, detached),
            _ => {}
        }
    }

    pub(super) fn fold_slot(&mut self, op: &SlotOp) {
        self.holds_slot = matches!(op, SlotOp::Take(_));
    }

    fn attach(&mut self, command: CommandId, attached: &MergeAttached) {
        if self.attaches(command) {
            return;
        }
        self.attachments.push(Attachment {
            source: attached.source,
            merged: attached.merged,
            command,
            tags: attached.tags.clone(),
            followers: attached.followers.clone(),
            unanswered: attached.unanswered.as_ref().map(|message| Unanswered {
                message: message.message_id,
                person: message.person_id,
                created_at: message.created_at,
            }),
            messages: Counted {
                all: attached.message_count,
                public: attached.public_message_count,
            },
            sources: attached.source_count,
            detached: None,
        });
    }

    fn detach(&mut self, command: CommandId, detached: &MergeDetached) {
        let same =
            |one: &&mut Attachment| one.source == detached.source && one.merged == detached.merged;
        if let Some(one) = self.attachments.iter_mut().find(same) {
            let MergeDetached { tags, followers, .. } = detached.clone();
            one.detached.get_or_insert(Detachment { command, tags, followers });
        }
    }
}

impl Attachment {
    /// Whether a tag that it brought left with it.
    pub(super) fn took_tag(&self, tag: &String) -> bool {
        self.detached.as_ref().is_some_and(|left| left.tags.contains(tag))
    }

    /// Whether a follower whom it brought left with it.
    pub(super) fn took_follower(&self, person: &PersonId) -> bool {
        self.detached.as_ref().is_some_and(|left| left.followers.contains(person))
    }
}

impl super::Ticket {
    /// How it stands to merges.
    #[must_use]
    pub const fn merges(&self) -> &Merges {
        &self.merges
    }
}
