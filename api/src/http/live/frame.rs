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

/// What a frame may ask.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Auth,
    Subscribe,
    Unsubscribe,
    Message,
    Patch,
    Typing,
    Presence,
    Ping,
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

/// Reads the frame that has to bring the token. Of any other its `op` alone is looked at.
pub(super) fn read_first(text: &[u8]) -> Result<Auth, Refused> {
    let mut fields = Object::parse(text).map_err(|problem| Refused { id: None, problem })?;
    let id = fields.text("id").map(str::to_owned);
    let auth = op(&mut fields).and_then(|op| match op {
        Op::Auth => fields.typed(),
        _ => Err(Problem::unauthenticated("send `auth` with a token first")),
    });
    auth.map_err(|problem| Refused { id, problem })
}

fn op(fields: &mut Object<'_>) -> Result<Op, Problem> {
    #[derive(Deserialize)]
    struct Named {
        op: Op,
    }
    fields.take(&["op"]).typed().map(|Named { op }| op)
}

fn frame(mut fields: Object<'_>) -> Result<Frame, Problem> {
    Ok(match op(&mut fields)? {
        Op::Auth => Frame::Auth(fields.typed()?),
        Op::Subscribe => Frame::Subscribe(checked(fields.typed()?, |frame: &Subscribe| &frame.id)?),
        Op::Unsubscribe => Frame::Unsubscribe(checked(fields.typed()?, |frame: &Id| &frame.id)?),
        Op::Ping => Frame::Ping(checked(fields.typed()?, |frame: &Id| &frame.id)?),
        Op::Message => Frame::Message(message(fields)?),
        Op::Patch => Frame::Patch(patch(fields)?),
        Op::Typing => Frame::Typing(fields.typed()?),
        Op::Presence => Frame::Presence(fields.typed()?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T>(read: Result<T, Refused>, id: Option<&str>, field: &str, message: &str) {
        let Err(refused) = read else { panic!("it is read") };
        assert_eq!(refused.id.as_deref(), id);
        let [error] = refused.problem.field_errors() else { panic!("{:?}", refused.problem) };
        assert_eq!((error.field.as_str(), &*error.message), (field, message));
    }

    #[test]
    fn an_op_that_is_not_known_is_refused_with_those_that_are() {
        let all = "auth, subscribe, unsubscribe, message, patch, typing, presence, ping";
        check(read(br#"{"op":"foo"}"#), None, "op", &format!("is not one of {all}"));
        check(
            read(br#"{"op":7,"id":"a"}"#),
            Some("a"),
            "op",
            &format!("is a number, expected one of {all}"),
        );
        check(read(br#"{"id":"a"}"#), Some("a"), "op", "is required");
    }

    #[test]
    fn what_is_wrong_with_the_first_frame_is_told_without_the_token() {
        assert!(read_first(br#"{"op":"auth","token":"x"}"#).is_ok_and(|auth| auth.token == "x"));
        check(read_first(br#"{"op":"auth"}"#), None, "token", "is required");
        let number = read_first(br#"{"op":"auth","token":5}"#);
        check(number, None, "token", "is a number, expected a string");
        let more = read_first(br#"{"op":"auth","token":"secret","foo":1}"#);
        check(more, None, "foo", "is not a known field");
        for (frame, id, code) in [
            (r#"{"op":"auth","token":"secret""#, None, Code::MalformedJson),
            (r#"{"op":"auth","token":"secret","token":"secret"}"#, None, Code::Invalid),
            (r#"["secret"]"#, None, Code::Invalid),
            (r#"{"op":"secret","id":"a"}"#, Some("a"), Code::Invalid),
            (r#"{"op":"subscribe","id":"a"}"#, Some("a"), Code::Unauthenticated),
        ] {
            let Err(refused) = read_first(frame.as_bytes()) else { panic!("{frame} is read") };
            assert_eq!((refused.id.as_deref(), refused.problem.code()), (id, code), "{frame}");
            let told = serde_json::to_string(&refused.problem).unwrap();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
