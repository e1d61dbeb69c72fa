//! `PATCH /v1/tickets/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::{Command, FieldChange};
use docket_engine::desk::Answer;
use docket_engine::policy::{Action, Relation, Verdict, may};
use docket_schemas::{
    Changed as Fields, CommandId, CustomFields, PersonId, Priority, Status, TicketId, TicketType,
};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::answer::written;
use super::enter::{Entered, Envelope, Head, check_status, enter, parse_version};
use super::fields::{Checks, named};
use super::open::unique;
use super::refusal::{explained, forbidden, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::http::path::TicketPath;
use crate::problem::{Code, Problem};

/// The body. Left out and null say different things, also to the code that tells a retry from a reused key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PatchTicket {
    #[serde(default, deserialize_with = "named_status", skip_serializing_if = "Option::is_none")]
    status: Option<Option<Status>>,
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    priority: Option<Option<Priority>>,
    #[serde(
        default,
        rename = "type",
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    ticket_type: Option<Option<TicketType>>,
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    subject: Option<Option<String>>,
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    group_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    assignee_id: Option<Option<String>>,
    #[serde(default)]
    add_tags: Vec<String>,
    #[serde(default)]
    remove_tags: Vec<String>,
    #[serde(default)]
    custom_fields: CustomFields,
    #[serde(default)]
    observed: Option<String>,
}

impl PatchTicket {
    /// The same, made on a version.
    #[must_use]
    pub(in crate::http) fn observing(self, observed: Option<String>) -> Self {
        Self { observed, ..self }
    }

    /// The version that the body names.
    pub(in crate::http) fn observed(&self) -> Option<&str> {
        self.observed.as_deref()
    }

    /// The person to whom it gives the ticket.
    fn assignee(&self) -> Option<&str> {
        self.assignee_id.as_ref().and_then(Option::as_deref)
    }
}

/// The statuses that a ticket can be given: it begins as `new`, and chats alone are `snoozed`.
const STATUSES: &[&str] = &["open", "pending", "hold", "solved", "closed"];

/// As [`named`]; a refusal lists no status that would be refused.
fn named_status<'de, D>(deserializer: D) -> Result<Option<Option<Status>>, D::Error>
where
    D: Deserializer<'de>,
{
    let Some(name) = Option::<String>::deserialize(deserializer)? else { return Ok(Some(None)) };
    let status = name.parse().map_err(|_| de::Error::unknown_variant(&name, STATUSES))?;
    Ok(Some(Some(status)))
}

/// Writes fields.
#[tracing::instrument(name = "http.ticket.patch", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn patch(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    let changed = change(&app, &token, ticket.0, &head, || payload.parse()).await?;
    written(&app, &changed.entered, StatusCode::OK, changed.answer, None).await
}

/// A change that is durable.
pub(in crate::http) struct Changed {
    entered: Entered,
    pub(in crate::http) answer: Answer,
    pub(in crate::http) command: CommandId,
}

/// Writes fields, from whichever door they come. `parse` is asked once the caller is admitted.
pub(in crate::http) async fn change(
    app: &App,
    token: &Token,
    ticket: TicketId,
    head: &Head,
    parse: impl FnOnce() -> Result<PatchTicket, Problem> + Send,
) -> Result<Changed, Problem> {
    let entered = enter(app, token, ticket, Action::SetStatus(Status::Open)).await?;
    let envelope = Envelope::read(head)?;
    let body = parse()?;
    admit(token, &body)?;
    check(&body)?;
    let assignee = match body.assignee() {
        Some(id) => Some(envelope.person(app, &entered, id).await?),
        None => None,
    };
    let subject = body.subject.clone().flatten();
    let changed = fields(&body, assignee);
    let change = FieldChange { subject, ..FieldChange::from(&changed) };
    let command = Command::Change(Box::new(change));
    let intent = envelope.intent(app, &entered, &body, body.observed(), command).await?;
    let command = intent.command_id;
    match app.desk.execute(intent).await {
        Ok(answer) => Ok(Changed { entered, answer, command }),
        Err(error) => Err(explained(app, &entered, error).await),
    }
}

/// What a body writes, without what is sealed.
fn fields(body: &PatchTicket, assignee: Option<PersonId>) -> Fields {
    Fields {
        status: body.status.flatten(),
        priority: body.priority.flatten(),
        ticket_type: body.ticket_type,
        group_id: body.group_id.clone(),
        assignee_id: body.assignee_id.as_ref().map(|_| assignee),
        add_tags: unique(body.add_tags.clone()),
        remove_tags: unique(body.remove_tags.clone()),
        custom_fields: body.custom_fields.clone(),
        sealed: Vec::new(),
        source_row: None,
    }
}

/// Refuses a `set` that no job of this caller's may write.
pub(in crate::http) fn check_bulk(token: &Token, set: &PatchTicket) -> Result<(), Problem> {
    let refused = |field, why| Err(Problem::invalid(field, why));
    if set.subject.is_some() {
        return refused("set.subject", "is not changed in bulk");
    }
    if set.observed.is_some() {
        return refused("set.observed", "is one ticket's version, and not for many");
    }
    // Each ticket would refuse it, one by one.
    if set.status == Some(Some(Status::Snoozed)) {
        return refused("set.status", "is a status of chats only");
    }
    if names_nothing(set) {
        return refused("set", "names no field to write");
    }
    admit(token, set).and_then(|()| check(set)).map_err(|problem| problem.within("set"))
}

/// What a `set` that [`check_bulk`] has passed writes to its tickets. Asked last: it makes an assignee whom nobody has named.
pub(in crate::http) async fn bulk_change(
    app: &App,
    token: &Token,
    set: &PatchTicket,
) -> Result<Fields, Problem> {
    let assignee = match set.assignee() {
        Some(id) => {
            let person = app.keyring().person(&token.tenant, id).await;
            Some(person.map_err(|error| problem(error.into()))?.id)
        }
        None => None,
    };
    Ok(fields(set, assignee))
}

/// Refuses fields that the role never writes.
fn admit(token: &Token, body: &PatchTicket) -> Result<(), Problem> {
    let allows = |action| may(token.role, Relation::Own, action) == Verdict::Allow;
    if names_more_than_status(body) && !allows(Action::ChangeFields) {
        return Err(forbidden("write other fields than `status`"));
    }
    if let Some(Some(status)) = body.status {
        check_status(token, status)?;
    }
    if body.assignee_id.is_some() && !allows(Action::Claim) {
        return Err(forbidden("set `assignee_id`"));
    }
    Ok(())
}

fn check(body: &PatchTicket) -> Result<(), Problem> {
    let mut checks = Checks::default();
    for (field, is_null) in [
        ("status", body.status == Some(None)),
        ("priority", body.priority == Some(None)),
        ("subject", body.subject == Some(None)),
    ] {
        if is_null {
            checks.wrong(field, "cannot be cleared");
        }
    }
    if let Some(Some(subject)) = &body.subject {
        checks.subject(subject);
    }
    if let Some(Some(group)) = &body.group_id {
        checks.id("group_id", group);
    }
    if let Some(Some(assignee)) = &body.assignee_id {
        checks.id("assignee_id", assignee);
    }
    checks.tags("add_tags", &body.add_tags);
    checks.tags("remove_tags", &body.remove_tags);
    if body.add_tags.iter().any(|tag| body.remove_tags.contains(tag)) {
        checks.wrong("remove_tags", "names a tag that `add_tags` names too");
    }
    checks.custom_fields(&body.custom_fields);
    checks.finish()?;
    if names_nothing(body) {
        return Err(Problem::new(Code::Invalid).detail("the body names no field to write"));
    }
    body.observed().map_or(Ok(()), |version| parse_version(version).map(drop))
}

fn names_nothing(body: &PatchTicket) -> bool {
    body.status.is_none() && !names_more_than_status(body)
}

fn names_more_than_status(body: &PatchTicket) -> bool {
    body.priority.is_some()
        || body.ticket_type.is_some()
        || body.subject.is_some()
        || body.group_id.is_some()
        || body.assignee_id.is_some()
        || !body.add_tags.is_empty()
        || !body.remove_tags.is_empty()
        || !body.custom_fields.is_empty()
}
