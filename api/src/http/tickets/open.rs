//! `POST /v1/tickets`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use docket_engine::command::Opening;
use docket_engine::policy::{Action, Audience, Relation, Verdict, may};
use docket_schemas::{
    Channel, CustomFields, Opened, OpeningText, PersonText, Priority, Role, Status, TicketType,
};
use serde::{Deserialize, Serialize};

use super::answer::written;
use super::enter::{Entered, Envelope, Head};
use super::fields::Checks;
use super::refusal::{forbidden, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::body::Payload;
use crate::problem::Problem;

/// The body.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenTicket {
    subject: String,
    body: String,
    #[serde(default)]
    requester: Option<Requester>,
    #[serde(default)]
    priority: Option<Priority>,
    #[serde(default, rename = "type")]
    ticket_type: Option<TicketType>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    group_id: Option<String>,
    #[serde(default)]
    custom_fields: CustomFields,
    #[serde(default)]
    channel: Option<Channel>,
    #[serde(default)]
    external_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Requester {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// Opens a ticket.
pub(super) async fn post(
    State(app): State<App>,
    token: Token,
    head: Head,
    payload: Payload,
) -> Result<Response, Problem> {
    if may(token.role, Relation::Other, Action::OpenOwn) != Verdict::Allow {
        return Err(forbidden("open tickets"));
    }
    let envelope = Envelope::read_of_new(&head)?;
    let body: OpenTicket = payload.parse()?;
    check(&body, &token)?;
    let (caller, person) = app.caller(&token).await.map_err(problem)?;
    let requester = match &body.requester {
        Some(named) if named.id != *token.subject => {
            let found = app.keyring().person(&token.tenant, &named.id).await;
            found.map_err(|error| problem(error.into()))?
        }
        _ => person,
    };
    let key =
        requester.key.clone().ok_or_else(|| Problem::invalid("requester.id", "has been erased"))?;
    let command_id = envelope.command_id(&app, &caller, None);
    let opening = Opening {
        command_id,
        request_mac: envelope.mac(&app, &body),
        occurred_at: app.now(),
        text: OpeningText {
            subject: body.subject,
            body: body.body,
            requester: body.requester.and_then(person_text),
        },
        opened: Opened {
            requester_id: requester.id,
            kind: None,
            status: Status::New,
            priority: body.priority.unwrap_or(Priority::Normal),
            ticket_type: body.ticket_type,
            tags: unique(body.tags),
            group_id: body.group_id,
            assignee_id: None,
            custom_fields: without_nulls(body.custom_fields),
            channel: body.channel.unwrap_or(Channel::Api),
            external_id: body.external_id,
            follow_up_of: None,
            source_row: None,
        },
        key,
        causation_id: None,
        caller: caller.clone(),
    };
    let ticket = opening.ticket();
    // What was asked need not wait for the log, which is where most requests are most of the time.
    drop((payload, head));
    let answer = app.desk.open(opening).await.map_err(problem)?;
    let audience = Audience::of(token.role);
    let entered = Entered { caller, ticket, requester: requester.id, audience };
    written(&app, &entered, StatusCode::CREATED, answer, None).await
}

fn check(body: &OpenTicket, token: &Token) -> Result<(), Problem> {
    let plain = body.priority.is_none()
        && body.tags.is_empty()
        && body.group_id.is_none()
        && body.custom_fields.is_empty()
        && body.channel.is_none()
        && body.external_id.is_none()
        && body.requester.as_ref().is_none_or(|named| named.id == *token.subject);
    if !plain && may(token.role, Relation::Other, Action::OpenForAnybody) != Verdict::Allow {
        return Err(forbidden(
            "open tickets with more than `subject`, `body` and `type`, or for others",
        ));
    }
    let mut checks = Checks::default();
    checks.subject(&body.subject);
    checks.body(&body.body);
    match &body.requester {
        Some(requester) => {
            checks.id("requester.id", &requester.id);
            checks.name("requester.name", requester.name.as_deref());
            checks.name("requester.email", requester.email.as_deref());
        }
        None if token.role == Role::Customer => {}
        None => checks.wrong("requester", "is missing"),
    }
    checks.tags("tags", &body.tags);
    checks.custom_fields(&body.custom_fields);
    if let Some(group) = &body.group_id {
        checks.id("group_id", group);
    }
    if let Some(external) = &body.external_id {
        checks.id("external_id", external);
    }
    checks.finish()
}

fn person_text(requester: Requester) -> Option<PersonText> {
    let text = PersonText { name: requester.name, email: requester.email };
    (text != PersonText::default()).then_some(text)
}

/// A tag given twice is one tag.
pub(super) fn unique(mut tags: Vec<String>) -> Vec<String> {
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn without_nulls(mut fields: CustomFields) -> CustomFields {
    fields.retain(|_, value| *value != docket_schemas::Scalar::Null);
    fields
}
