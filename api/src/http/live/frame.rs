//! Frames as they come: an object with `op`, and no field that its `op` does not have.

use docket_schemas::TicketId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::header::IDEMPOTENCY_KEY_CHARS_MAX;
use crate::http::json::{self, Object};
use crate::http::tickets::add_message::AddMessage;
use crate::http::tickets::patch::PatchTicket;
use crate::problem::{Code, FieldError, Problem};

/// Longest id of a subscription or a ping, in bytes.
const ID_BYTES_MAX: usize = 255;

/// What a peer asks for.
pub(super) enum Frame {
    /// Another token for the same caller.
    Auth(Auth),
    /// Events from now on, or from a cursor on.
    Subscribe(Subscribe),
    /// No more of them.
    Unsubscribe(Id),
    /// `POST /v1/tickets/{id}/messages`
    Message(Write<AddMessage>),
    /// `PATCH /v1/tickets/{id}`
    Patch(Write<PatchTicket>),
    /// Whether the caller is typing.
    Typing(Typing),
    /// What the caller does with a ticket.
    Presence(Presence),
    /// Whether the server is there.
    Ping(Id),
}

impl Frame {
    /// The id by which its answer is told, where its `op` has one.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Subscribe(frame) => Some(&frame.id),
            Self::Unsubscribe(frame) | Self::Ping(frame) => Some(&frame.id),
            Self::Message(frame) => Some(&frame.id),
            Self::Patch(frame) => Some(&frame.id),
            Self::Auth(_) | Self::Typing(_) | Self::Presence(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    pub(super) id: String,
    #[serde(default)]
    pub(super) tickets: Option<Vec<TicketId>>,
    #[serde(default)]
    pub(super) all: bool,
    #[serde(default)]
    pub(super) after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    pub(super) id: String,
}

/// A write, with the body of the request that it stands for.
pub(super) struct Write<T> {
    pub(super) id: String,
    pub(super) ticket: TicketId,
    pub(super) body: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    pub(super) ticket: TicketId,
    pub(super) on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Presence {
    pub(super) ticket: TicketId,
    pub(super) state: State,
}

/// What somebody does with a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Viewing,
    Editing,
    Away,
}

/// What is wrong with a frame, and the id that it named.
pub(super) struct Refused {
    pub(super) id: Option<String>,
    pub(super) problem: Problem,
}

/// Reads a frame.
pub(super) fn read(text: &[u8]) -> Result<Frame, Refused> {
    let fields = Object::parse(text).map_err(|problem| Refused { id: None, problem })?;
    let id = fields.text("id").map(str::to_owned);
    frame(fields).map_err(|problem| Refused { id, problem })
}

fn frame(mut fields: Object<'_>) -> Result<Frame, Problem> {
    let op = fields.take(&["op"]);
    let Some(op) = op.text("op") else {
        let wrong = if op.has("op") { "is not a text" } else { "is missing" };
        return Err(Problem::invalid("op", wrong));
    };
    Ok(match op {
        "auth" => Frame::Auth(fields.typed()?),
        "subscribe" => Frame::Subscribe(checked(fields.typed()?, |frame: &Subscribe| &frame.id)?),
        "unsubscribe" => Frame::Unsubscribe(checked(fields.typed()?, |frame: &Id| &frame.id)?),
        "ping" => Frame::Ping(checked(fields.typed()?, |frame: &Id| &frame.id)?),
        "message" => Frame::Message(message(fields)?),
        "patch" => Frame::Patch(patch(fields)?),
        "typing" => Frame::Typing(fields.typed()?),
        "presence" => Frame::Presence(fields.typed()?),
        _ => return Err(Problem::invalid("op", "is not known")),
    })
}

fn message(mut fields: Object<'_>) -> Result<Write<AddMessage>, Problem> {
    let Addressed { id, ticket } = addressed(&mut fields)?;
    Ok(Write { id, ticket, body: fields.typed()? })
}

fn patch(mut fields: Object<'_>) -> Result<Write<PatchTicket>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rest {
        set: Map<String, Value>,
        #[serde(default)]
        observed: Option<String>,
    }
    let Addressed { id, ticket } = addressed(&mut fields)?;
    let rest: Rest = fields.typed()?;
    if rest.set.contains_key("observed") {
        return Err(Problem::invalid("set.observed", "stands beside `set`, not in it"));
    }
    // Read as the body that it is, so that errors name its fields as those of a request.
    let body: PatchTicket = json::parse(json!(rest.set).to_string().as_bytes())?;
    Ok(Write { id, ticket, body: body.observing(rest.observed) })
}

#[derive(Deserialize)]
struct Addressed {
    id: String,
    ticket: TicketId,
}

/// Takes out who a write is and what it is about; its id is an idempotency key.
fn addressed(fields: &mut Object<'_>) -> Result<Addressed, Problem> {
    let address: Addressed = fields.take(&["id", "ticket"]).typed()?;
    let printable = address.id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !printable || !(1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&address.id.len()) {
        return Err(Problem::invalid("id", "is not 1 to 255 printable ASCII characters"));
    }
    Ok(address)
}

fn checked<T>(frame: T, id: impl Fn(&T) -> &String) -> Result<T, Problem> {
    if (1..=ID_BYTES_MAX).contains(&id(&frame).len()) {
        return Ok(frame);
    }
    let error = FieldError::beyond("id", "is not 1 to 255 bytes long", ID_BYTES_MAX);
    Err(Problem::new(Code::Invalid).error(error))
}
