//! A ticket as it is shown: effective values, what stands in conflict, and what nobody has answered to.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_schemas::{
    Channel, EventId, Kind, MessageId, Observed, PersonId, Principal, Priority, Role, Scalar,
    Status, TicketId, TicketType, Timestamp,
};

use super::{FoldError, MergeMark, SealedSubject, Ticket};
use crate::layout::Container;
use crate::resolver::{Outcome, resolve, unseen};
use crate::version::Version;

/// A message that nobody who wrote the effective status had seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenMessage {
    /// Which.
    pub id: MessageId,
    /// By whom.
    pub author: Principal,
    /// When, by its author.
    pub created_at: Timestamp,
}

/// One of several concurrent values.
#[derive(Debug, Clone, PartialEq)]
pub struct ConflictCandidate {
    /// The value as JSON; for the subject, the event that holds the sealed text.
    pub value: serde_json::Value,
    /// As what it was written.
    pub role: Role,
    /// By whom.
    pub principal: Principal,
    /// In which event.
    pub event_id: EventId,
    /// Whether its version was given.
    pub observed: Observed,
}

/// A field whose concurrent values disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// `status`, `priority`, `type`, `group_id`, `subject` or `custom_fields.<key>`.
    pub field: String,
    /// Every value, best first; the first is the effective one.
    pub candidates: Vec<ConflictCandidate>,
}

/// A ticket as this log had it, for staff. Persons are as the log knows them; the subject is sealed.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Which ticket.
    pub id: TicketId,
    /// Ticket or chat.
    pub kind: Kind,
    /// As shown: `closed` while it is merged, `open` where a solved or pending ticket has an unseen message.
    pub status: Status,
    /// How urgent.
    pub priority: Priority,
    /// What about.
    pub ticket_type: Option<TicketType>,
    /// The event with the effective subject.
    pub subject: EventId,
    /// The sealed texts of the effective subject and of its candidates.
    pub subjects: BTreeMap<EventId, Arc<SealedSubject>>,
    /// Whose ticket it is.
    pub requester: PersonId,
    /// Who holds it.
    pub assignee: Option<PersonId>,
    /// The team.
    pub group: Option<String>,
    /// Sorted.
    pub tags: Vec<String>,
    /// Sorted.
    pub followers: Vec<PersonId>,
    /// By key; cleared ones are left out.
    pub custom_fields: BTreeMap<String, Scalar>,
    /// The way in which it came.
    pub channel: Channel,
    /// Its id in another system.
    pub external_id: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The latest time at which one of its events happened.
    pub updated_at: Timestamp,
    /// The same among what a customer may see.
    pub public_updated_at: Timestamp,
    /// Messages, the opening's among them.
    pub message_count: u64,
    /// The public ones.
    pub public_message_count: u64,
    /// Its heads.
    pub version: Version,
    /// The heads among what a customer may see.
    pub public_version: Version,
    /// By field; none while it is merged.
    pub conflicts: Vec<Conflict>,
    /// Oldest first; none while it is merged.
    pub unseen_messages: Vec<UnseenMessage>,
    /// The closed ticket that it follows up.
    pub follow_up_of: Option<TicketId>,
    /// What it has to do with a merge.
    pub merge: Option<MergeMark>,
}

impl Resolved {
    /// A merged ticket shows `closed`; what its registers hold comes back when it is unmerged.
    fn merged(self) -> Self {
        let (conflicts, unseen_messages) = (Vec::new(), Vec::new());
        Self { status: Status::Closed, conflicts, unseen_messages, ..self }
    }
}

impl Ticket {
    /// The ticket as it is shown.
    ///
    /// # Errors
    /// When the log is damaged: no opening, or a value that this release does not know.
    pub fn resolve(&mut self) -> Result<Resolved, FoldError> {
        self.registers()?;
        let first = self.graph.nodes().first().map(|node| node.event_id);
        let missing = FoldError::Causes(first.unwrap_or(EventId::new(uuid::Uuid::nil())));
        let Some(facts) = self.facts.clone() else { return Err(missing) };
        let status = resolve::<Status>(self, "status");
        let priority = resolve::<Priority>(self, "priority");
        let ticket_type = resolve::<Option<TicketType>>(self, "type");
        let group = resolve::<Option<String>>(self, "group");
        let subject = resolve::<EventId>(self, "subject");
        let (Some(status), Some(priority), Some(subject)) = (status, priority, subject) else {
            return Err(missing);
        };
        let unseen_messages = unseen(self, &status);
        let mut conflicts: Vec<Conflict> = [
            status.conflict("status"),
            priority.conflict("priority"),
            ticket_type.as_ref().and_then(|outcome| outcome.conflict("type")),
            group.as_ref().and_then(|outcome| outcome.conflict("group_id")),
            subject.conflict("subject"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let custom_fields = self.custom_fields(&mut conflicts);
        let shown = if unseen_messages.is_empty() { status.effective } else { Status::Open };
        let subjects = self.subjects_of(&subject);
        let (message_count, public_message_count) = self.message_counts();
        let resolved = Resolved {
            id: self.id,
            kind: facts.kind,
            status: shown,
            priority: priority.effective,
            ticket_type: ticket_type.and_then(|outcome| outcome.effective),
            subject: subject.effective,
            subjects,
            requester: facts.requester,
            assignee: self.holder.map(|holder| holder.person),
            group: group.and_then(|outcome| outcome.effective),
            tags: self.registers.keys(Container::Tags).map(str::to_owned).collect(),
            followers: self
                .registers
                .keys(Container::Followers)
                .filter_map(|id| id.parse().ok())
                .collect(),
            custom_fields,
            channel: facts.channel,
            external_id: facts.external_id,
            created_at: facts.created_at,
            updated_at: self.updated.all,
            public_updated_at: self.updated.public,
            message_count,
            public_message_count,
            version: Version::of(&self.graph, self.graph.heads()),
            public_version: Version::of(&self.graph, self.graph.public_heads()),
            conflicts,
            unseen_messages,
            follow_up_of: facts.follow_up_of,
            merge: self.merges.mark(self.id),
        };
        Ok(if self.merges.merged().is_some() { resolved.merged() } else { resolved })
    }

    fn custom_fields(&self, conflicts: &mut Vec<Conflict>) -> BTreeMap<String, Scalar> {
        let mut fields = BTreeMap::new();
        let keys = self.registers.fields().filter_map(|(key, _)| key.strip_prefix("custom."));
        for key in keys {
            let Some(outcome) = resolve::<Scalar>(self, &crate::layout::custom_key(key)) else {
                continue;
            };
            conflicts.extend(outcome.conflict(&format!("custom_fields.{key}")));
            if outcome.effective != Scalar::Null {
                fields.insert(key.to_owned(), outcome.effective);
            }
        }
        fields
    }

    fn subjects_of(&self, subject: &Outcome<EventId>) -> BTreeMap<EventId, Arc<SealedSubject>> {
        subject
            .ranked
            .iter()
            .filter_map(|ranked| {
                Some((ranked.value, Arc::clone(self.subjects.get(&ranked.value)?)))
            })
            .collect()
    }

    /// The registers as last read; call [`Ticket::registers`] first.
    pub(crate) const fn settled(&self) -> &super::Registers {
        &self.registers
    }
}
