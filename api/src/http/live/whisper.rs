//! Typing and presence: said to those who look at the same ticket, never written down.

use docket_engine::policy::{Action, Audience};
use docket_engine::ports::ephemeral::Whisper;
use docket_schemas::{PersonId, Role, TicketId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::frame::State;
use crate::app::App;
use crate::auth::Token;
use crate::http::tickets::enter::enter;
use crate::http::tickets::problem;
use crate::present::Names;
use crate::problem::{Code, Problem};

/// What travels between nodes: persons by the ids that the log has for them.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// The socket that said it, which does not hear itself.
    socket: Uuid,
    person: PersonId,
    role: Role,
    what: What,
}

/// What somebody does just now.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    /// Typing, or no more.
    Typing(bool),
    /// Looking at the ticket, or no more.
    Presence(State),
}

/// Refuses who may not say such a thing about a ticket.
pub(super) async fn admit(
    app: &App,
    token: &Token,
    ticket: TicketId,
    what: What,
) -> Result<PersonId, Problem> {
    let entered = enter(app, token, ticket, Action::AddPublicMessage).await?;
    if matches!(what, What::Presence(_)) && entered.audience == Audience::Customer {
        return Err(Problem::new(Code::Forbidden).detail("this role may not announce its presence"));
    }
    let person = app.keyring().person(&token.tenant, &token.subject).await;
    person.map(|person| person.id).map_err(|error| problem(error.into()))
}

/// Says it.
pub(super) fn say(
    app: &App,
    token: &Token,
    ticket: TicketId,
    person: PersonId,
    (socket, what): (Uuid, What),
) {
    let said = Said { socket, person, role: token.role, what };
    if let Ok(bytes) = serde_json::to_vec(&said) {
        app.live.whispers.publish(&token.tenant, ticket, &bytes);
    }
}

/// The frame in which an audience hears it; none where it is not for them. Customers hear that somebody types, not who;
/// only staff see staff.
pub(super) async fn hear(
    app: &App,
    whisper: &Whisper,
    audience: Audience,
    own: Uuid,
) -> Option<Value> {
    let said: Said = serde_json::from_slice(&whisper.bytes).ok()?;
    if said.socket == own {
        return None;
    }
    let mut frame = match said.what {
        What::Typing(on) => json!({"op": "typing", "ticket": whisper.ticket, "on": on}),
        What::Presence(_) if audience == Audience::Customer => return None,
        What::Presence(state) => {
            json!({"op": "presence", "ticket": whisper.ticket, "state": state})
        }
    };
    match audience {
        Audience::Staff => {
            let names = Names { desk: &app.desk, tenant: &whisper.tenant };
            frame["principal"] = json!(names.person(said.person).await.ok()?);
            frame["role"] = json!(said.role);
        }
        Audience::Customer => {
            let customer = said.role == Role::Customer;
            frame["role"] = json!(if customer { Role::Customer } else { Role::Agent });
        }
    }
    Some(frame)
}
