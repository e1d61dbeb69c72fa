//! `PATCH /v1/tickets/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::{Command, FieldChange};
use docket_engine::desk::Answer;
use docket_engine::policy::{Action, Relation, Verdict, may};
use docket_schemas::{
    Changed as Fields, CommandId, CustomFields, Priority, Status, TicketId, TicketType,
};
use serde::{Deserialize, Serialize};

use super::answer::written;
use super::enter::{Entered, Envelope, Head, check_status, enter};
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
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Option::is_none")]
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
    let subject = body.subject.clone().flatten();
    let changed = fields(app, token, &body).await?;
    let change = FieldChange { subject, ..FieldChange::from(&changed) };
    let command = Command::Change(Box::new(change));
    let intent = envelope.intent(app, &entered, &body, body.observed(), command).await?;
    let command = intent.command_id;
    match app.desk.execute(intent).await {
        Ok(answer) => Ok(Changed { entered, answer, command }),
        Err(error) => Err(explained(app, &entered, error).await),
    }
}

/// What a body writes, once it is known to be good, without what is sealed.
async fn fields(app: &App, token: &Token, body: &PatchTicket) -> Result<Fields, Problem> {
    admit(token, body)?;
    check(body)?;
    let assignee_id = match &body.assignee_id {
        None => None,
        Some(None) => Some(None),
        Some(Some(id)) => {
            let person = app.keyring().person(&token.tenant, id).await;
            Some(Some(person.map_err(|error| problem(error.into()))?.id))
        }
    };
    Ok(Fields {
        status: body.status.flatten(),
        priority: body.priority.flatten(),
        ticket_type: body.ticket_type,
        group_id: body.group_id.clone(),
        assignee_id,
        add_tags: unique(body.add_tags.clone()),
        remove_tags: unique(body.remove_tags.clone()),
        custom_fields: body.custom_fields.clone(),
        sealed: Vec::new(),
        source_row: None,
    })
}

/// What the `set` of a job writes to its tickets.
pub(in crate::http) async fn bulk_change(
    app: &App,
    token: &Token,
    set: &PatchTicket,
) -> Result<Fields, Problem> {
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
    fields(app, token, set).await.map_err(|problem| problem.within("set"))
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
    Ok(())
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
