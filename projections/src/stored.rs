//! A resolved ticket as the text that its row keeps: all that an answer shows, the subject as sealed as in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use docket_engine::ticket::{
    Conflict, ConflictCandidate, MergeMark, Resolved, SealedSubject, UnseenMessage,
};
use docket_engine::version::Version;
use docket_schemas::{
    Channel, EventId, KeyId, Kind, MessageId, Observed, PersonId, Principal, Priority, Role,
    Scalar, Sealed, Status, TicketId, TicketType, Timestamp,
};
use serde::{Deserialize, Serialize};

/// A text that no row of this release holds: it was changed by hand, or written by another release.
#[derive(Debug, thiserror::Error)]
#[error("the row of ticket {ticket} cannot be read")]
pub struct UnreadableRow {
    /// Which row.
    pub ticket: TicketId,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The text for a ticket.
#[must_use]
pub fn write(ticket: &Resolved) -> String {
    serde_json::to_string(&Stored::of(ticket)).unwrap_or_default()
}

/// The ticket of a text that [`write()`] made.
///
/// # Errors
/// When it is none.
pub fn read(ticket: TicketId, text: &str) -> Result<Resolved, UnreadableRow> {
    let unreadable = |source| UnreadableRow { ticket, source };
    let stored: Stored = serde_json::from_str(text).map_err(|error| unreadable(error.into()))?;
    stored.resolved(ticket).map_err(unreadable)
}

/// Short names: there is one of these for every ticket.
#[derive(Serialize, Deserialize)]
struct Stored {
    kind: Kind,
    status: Status,
    priority: Priority,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    ticket_type: Option<TicketType>,
    subject: EventId,
    subjects: Vec<Subject>,
    requester: PersonId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignee: Option<PersonId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    followers: Vec<PersonId>,
    #[serde(default, rename = "custom", skip_serializing_if = "BTreeMap::is_empty")]
    custom_fields: BTreeMap<String, Scalar>,
    channel: Channel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(rename = "created")]
    created_at: i64,
    /// For staff, and for customers.
    #[serde(rename = "updated")]
    updated_at: (i64, i64),
    messages: (u64, u64),
    version: (String, String),
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<Disagreement>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unseen: Vec<(MessageId, Principal, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    follow_up_of: Option<TicketId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<MergeMark>,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    event: EventId,
    schema: u16,
    key: KeyId,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
struct Disagreement {
    field: String,
    candidates: Vec<(serde_json::Value, Role, Principal, EventId, Observed)>,
}

impl Stored {
    fn of(ticket: &Resolved) -> Self {
        // Named one by one, so that a further part of a ticket cannot be forgotten here.
        let Resolved {
            id: _,
            kind,
            status,
            priority,
            ticket_type,
            subject,
            subjects,
            requester,
            assignee,
            group,
            tags,
            followers,
            custom_fields,
            channel,
            external_id,
            created_at,
            updated_at,
            public_updated_at,
            message_count,
            public_message_count,
            version,
            public_version,
            conflicts,
            unseen_messages,
            follow_up_of,
            merge,
        } = ticket;
        let unseen = |one: &UnseenMessage| (one.id, one.author.clone(), one.created_at.micros());
        Self {
            kind: *kind,
            status: *status,
            priority: *priority,
            ticket_type: *ticket_type,
            subject: *subject,
            subjects: subjects.iter().map(|(event, sealed)| Subject::of(*event, sealed)).collect(),
            requester: *requester,
            assignee: *assignee,
            group: group.clone(),
            tags: tags.clone(),
            followers: followers.clone(),
            custom_fields: custom_fields.clone(),
            channel: *channel,
            external_id: external_id.clone(),
            created_at: created_at.micros(),
            updated_at: (updated_at.micros(), public_updated_at.micros()),
            messages: (*message_count, *public_message_count),
            version: (version.to_string(), public_version.to_string()),
            conflicts: conflicts.iter().map(Disagreement::of).collect(),
            unseen: unseen_messages.iter().map(unseen).collect(),
            follow_up_of: *follow_up_of,
            merge: merge.clone(),
        }
    }

    fn resolved(self, id: TicketId) -> Result<Resolved, Box<dyn std::error::Error + Send + Sync>> {
        let subjects = self.subjects.into_iter().map(Subject::sealed).collect::<Result<_, _>>()?;
        let time = Timestamp::from_micros;
        let unseen = |(id, author, at)| UnseenMessage { id, author, created_at: time(at) };
        Ok(Resolved {
            id,
            kind: self.kind,
            status: self.status,
            priority: self.priority,
            ticket_type: self.ticket_type,
            subject: self.subject,
            subjects,
            requester: self.requester,
            assignee: self.assignee,
            group: self.group,
            tags: self.tags,
            followers: self.followers,
            custom_fields: self.custom_fields,
            channel: self.channel,
            external_id: self.external_id,
            created_at: time(self.created_at),
            updated_at: time(self.updated_at.0),
            public_updated_at: time(self.updated_at.1),
            message_count: self.messages.0,
            public_message_count: self.messages.1,
            version: self.version.0.parse::<Version>()?,
            public_version: self.version.1.parse::<Version>()?,
            conflicts: self.conflicts.into_iter().map(Disagreement::conflict).collect(),
            unseen_messages: self.unseen.into_iter().map(unseen).collect(),
            follow_up_of: self.follow_up_of,
            merge: self.merge,
        })
    }
}

impl Subject {
    fn of(event: EventId, subject: &SealedSubject) -> Self {
        let SealedSubject { schema, sealed: Sealed { key_id, bytes } } = subject;
        Self { event, schema: *schema, key: *key_id, sealed: STANDARD_NO_PAD.encode(bytes) }
    }

    fn sealed(self) -> Result<(EventId, Arc<SealedSubject>), base64::DecodeError> {
        let bytes = STANDARD_NO_PAD.decode(&self.sealed)?;
        let sealed = Sealed { key_id: self.key, bytes };
        Ok((self.event, Arc::new(SealedSubject { schema: self.schema, sealed })))
    }
}

impl Disagreement {
    fn of(conflict: &Conflict) -> Self {
        let candidates = conflict.candidates.iter().map(|candidate| {
            let ConflictCandidate { value, role, principal, event_id, observed } = candidate;
            (value.clone(), *role, principal.clone(), *event_id, *observed)
        });
        Self { field: conflict.field.clone(), candidates: candidates.collect() }
    }

    fn conflict(self) -> Conflict {
        let candidates = self.candidates.into_iter();
        let candidates = candidates.map(|(value, role, principal, event_id, observed)| {
            ConflictCandidate { value, role, principal, event_id, observed }
        });
        Conflict { field: self.field, candidates: candidates.collect() }
    }
}
