//! A ticket as JSON: all of it for staff, the public part for a customer.

use std::collections::BTreeMap;

use docket_engine::desk::DeskError;
use docket_engine::policy::Audience;
use docket_engine::ticket::{Conflict, MergeMark, MergeState, Resolved};
use docket_schemas::{
    Channel, EventId, MessageId, Observed, Priority, Role, Scalar, Status, SubjectText, TicketId,
    TicketType, Timestamp,
};
use serde::Serialize;
use serde_json::Value;

use super::Names;

/// The member `ticket` of an answer.
#[derive(Debug, Serialize)]
pub struct TicketView {
    /// Which ticket.
    pub id: TicketId,
    subject: Option<String>,
    status: Status,
    priority: Priority,
    #[serde(rename = "type")]
    ticket_type: Option<TicketType>,
    requester_id: String,
    assignee_id: Option<String>,
    #[serde(flatten)]
    staff: Option<StaffPart>,
    channel: Channel,
    created_at: Timestamp,
    updated_at: Timestamp,
    message_count: u64,
    /// The token, also as `ETag`.
    pub version: String,
    merge: Option<MergeView>,
    conflicts: Vec<ConflictView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen_messages: Option<Vec<UnseenView>>,
}

impl TicketView {
    /// The subject line; none once its key was destroyed.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

/// What a customer never gets.
#[derive(Debug, Serialize)]
struct StaffPart {
    group_id: Option<String>,
    tags: Vec<String>,
    custom_fields: BTreeMap<String, Scalar>,
    external_id: Option<String>,
}

/// What a ticket has to do with a merge.
#[derive(Debug, Serialize)]
struct MergeView {
    state: &'static str,
    into: Option<TicketId>,
    from: Vec<TicketId>,
    saga_id: Option<uuid::Uuid>,
}

impl From<MergeMark> for MergeView {
    fn from(mark: MergeMark) -> Self {
        let state = match mark.state {
            MergeState::Merging => "merging",
            MergeState::Merged => "merged",
            MergeState::Unmerging => "unmerging",
        };
        Self { state, into: mark.into, from: mark.from, saga_id: mark.saga_id }
    }
}

#[derive(Debug, Serialize)]
struct ConflictView {
    field: String,
    effective: Value,
    candidates: Vec<CandidateView>,
}

#[derive(Debug, Serialize)]
struct CandidateView {
    value: Value,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    event_id: EventId,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct UnseenView {
    id: MessageId,
    author_id: String,
    created_at: Timestamp,
}

/// Fields whose conflicts a customer sees.
const PUBLIC_FIELDS: [&str; 4] = ["status", "priority", "type", "subject"];

/// A resolved ticket for one audience.
///
/// # Errors
/// When the key store fails.
pub async fn present(
    names: Names<'_>,
    ticket: Resolved,
    audience: Audience,
) -> Result<TicketView, DeskError> {
    let staff = audience == Audience::Staff;
    let subjects = subjects(names, &ticket).await?;
    let mut conflicts = Vec::with_capacity(ticket.conflicts.len());
    for conflict in &ticket.conflicts {
        conflicts.extend(present_conflict(names, conflict, audience, &subjects).await?);
    }
    let assignee_id = match ticket.assignee {
        Some(assignee) => Some(names.person(assignee).await?),
        None => None,
    };
    let unseen_messages = if staff { Some(unseen(names, &ticket).await?) } else { None };
    Ok(TicketView {
        id: ticket.id,
        subject: subjects.get(&ticket.subject).cloned().flatten(),
        status: audience.status(ticket.status),
        priority: ticket.priority,
        ticket_type: ticket.ticket_type,
        requester_id: names.person(ticket.requester).await?,
        assignee_id,
        channel: ticket.channel,
        created_at: ticket.created_at,
        updated_at: if staff { ticket.updated_at } else { ticket.public_updated_at },
        message_count: if staff { ticket.message_count } else { ticket.public_message_count },
        version: if staff { ticket.version } else { ticket.public_version }.to_string(),
        merge: ticket.merge.map(MergeView::from),
        conflicts,
        unseen_messages,
        staff: staff.then_some(StaffPart {
            group_id: ticket.group,
            tags: ticket.tags,
            custom_fields: ticket.custom_fields,
            external_id: ticket.external_id,
        }),
    })
}

type Subjects = BTreeMap<EventId, Option<String>>;

async fn subjects(names: Names<'_>, ticket: &Resolved) -> Result<Subjects, DeskError> {
    let mut opened = BTreeMap::new();
    for (event, subject) in &ticket.subjects {
        let text: Option<SubjectText> = names.open(*event, subject.schema, &subject.sealed).await?;
        opened.insert(*event, text.map(|text| text.subject));
    }
    Ok(opened)
}

async fn unseen(names: Names<'_>, ticket: &Resolved) -> Result<Vec<UnseenView>, DeskError> {
    let mut messages = Vec::with_capacity(ticket.unseen_messages.len());
    for message in &ticket.unseen_messages {
        let author_id = names.principal(&message.author).await?;
        messages.push(UnseenView { id: message.id, author_id, created_at: message.created_at });
    }
    Ok(messages)
}

/// None where the audience does not see the field, or sees no disagreement.
async fn present_conflict(
    names: Names<'_>,
    conflict: &Conflict,
    audience: Audience,
    subjects: &Subjects,
) -> Result<Option<ConflictView>, DeskError> {
    let staff = audience == Audience::Staff;
    if !staff && !PUBLIC_FIELDS.contains(&conflict.field.as_str()) {
        return Ok(None);
    }
    let mut candidates = Vec::with_capacity(conflict.candidates.len());
    for candidate in &conflict.candidates {
        let shown = staff || candidate.role == Role::Customer;
        let principal =
            if shown { Some(names.principal(&candidate.principal).await?) } else { None };
        candidates.push(CandidateView {
            value: masked(&conflict.field, &candidate.value, audience, subjects),
            role: candidate.role,
            principal,
            event_id: candidate.event_id,
            observed: (candidate.observed == Observed::Assumed)
                .then_some(Observed::Assumed.as_str()),
        });
    }
    let disagree = candidates.windows(2).any(|pair| pair[0].value != pair[1].value);
    let effective = candidates.first().map(|best| best.value.clone()).unwrap_or_default();
    Ok(disagree.then(|| ConflictView { field: conflict.field.clone(), effective, candidates }))
}

fn masked(field: &str, value: &Value, audience: Audience, subjects: &Subjects) -> Value {
    match field {
        "status" => match serde_json::from_value::<Status>(value.clone()) {
            Ok(status) => Value::String(audience.status(status).as_str().to_owned()),
            Err(_) => value.clone(),
        },
        "subject" => {
            let event = value.as_str().and_then(|text| text.parse::<EventId>().ok());
            let text = event.and_then(|event| subjects.get(&event).cloned().flatten());
            text.map_or(Value::Null, Value::String)
        }
        _ => value.clone(),
    }
}
