//! `ndjson`: the events that `docket export` prints, an event a line, each to be authored again.
//!
//! Command ids stay, and with them the ids of tickets and messages. Hashes do not: they cover sealed bytes, which are
//! others here. So what an event was made on is carried over by the commands behind its causes.

use std::collections::{HashMap, HashSet};
use std::io;

use docket_schemas::{
    ChangeHash, CommandId, EventType, Kind, MessageText, Observed, Opened, OpeningText, Payload,
    Role, StreamKind, SubjectText, Tenant, TicketId, derivation, upcast::upcast,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::admission::{self, Of};
use super::bad_row::{BadRow, Faults};
use super::cells;
use super::lines::Lines;
use super::step::{Action, Author, ForeignEvent, NewTicket, Step, Uniqueness, Who, nobody};
use super::{Row, Steps};
use crate::present::persons_in;

/// The names of Docket's own principals; they write as bots. Anybody else is a person.
const OWN_PRINCIPALS: [&str; 2] = ["import", "docket"];

/// Reads an export.
pub(super) struct Exported {
    lines: Lines,
    tenant: Tenant,
    /// The changes read so far, by the first half of their hashes there.
    changes: HashMap<[u8; 16], Known>,
    /// The tickets read so far that are chats.
    chats: HashSet<TicketId>,
}

/// What is known of a change that an event was made on.
#[derive(Debug, Clone, Copy)]
struct Known {
    command: CommandId,
    ticket: TicketId,
}

impl Exported {
    pub(super) fn new(lines: Lines, tenant: Tenant) -> Self {
        Self { lines, tenant, changes: HashMap::new(), chats: HashSet::new() }
    }

    fn step(&mut self, line: u64, text: &[u8]) -> Result<Step, BadRow> {
        let object: Map<String, Value> = serde_json::from_slice(text)
            .map_err(|error| BadRow::new(line, "event", format!("is no JSON object: {error}")))?;
        if let Some((name, _)) = object.iter().find(|(_, value)| holds_nul(value)) {
            return Err(BadRow::new(line, name, "holds a NUL character"));
        }
        let mut members = Members { object, faults: Faults::default() };
        let hash: Option<ChangeHash> = members.take("hash");
        let step = self.read(line, &mut members);
        let step = members.faults.finish(line, step)?;
        if let Some(hash) = hash {
            let change = Known { command: step.command_id, ticket: step.ticket };
            self.changes.insert(name(&hash), change);
        }
        if let Action::Open(new) = &step.action
            && new.opened.kind == Some(Kind::Chat)
        {
            self.chats.insert(step.ticket);
        }
        Ok(step)
    }

    fn read(&self, line: u64, members: &mut Members) -> Option<Step> {
        let command_id: Option<CommandId> = members.take("command_id");
        let stream: Option<StreamName> = members.take("stream");
        let payload = members.payload();
        let author = members.author();
        let occurred_at = members.take("occurred_at");
        let (command_id, stream, payload) = (command_id?, stream?, payload?);
        let ticket = TicketId::new(stream.id);
        if stream.kind != StreamKind::Ticket {
            return members.fault("stream", "is not a ticket's");
        }
        let opens = matches!(payload.fact, Payload::Opened(_));
        if opens && derivation::ticket_of(command_id) != ticket {
            return members.fault("stream", "is not the ticket that the command opens");
        }
        admission::check_fact(&payload.fact, self.kind(ticket), &mut members.faults);
        let action = match payload.fact {
            Payload::Opened(opened) => Action::Open(Box::new(NewTicket {
                requester: payload.requester?,
                assignee: payload.persons.into_iter().next(),
                external_id_is: Uniqueness::Free,
                text: members.opening_text(&opened)?,
                opened: *opened,
            })),
            fact => Action::Replay(Box::new(ForeignEvent {
                text: members.text(&fact)?,
                payload: fact,
                persons: payload.persons,
                observed: members.optional("observed")?.unwrap_or(Observed::Assumed),
                causes: self.causes(members, ticket)?,
            })),
        };
        Some(Step {
            line,
            tenant: self.tenant.clone(),
            ticket,
            command_id,
            author: author?,
            occurred_at: Some(occurred_at?),
            causation_id: members.optional("causation_id")?,
            action,
        })
    }

    fn kind(&self, ticket: TicketId) -> Of {
        if self.chats.contains(&ticket) { Of::Chat } else { Of::Ticket }
    }

    fn causes(&self, members: &mut Members, ticket: TicketId) -> Option<Vec<CommandId>> {
        let hashes: Vec<ChangeHash> = members.take("deps")?;
        let known = |hash| self.changes.get(&name(hash)).copied();
        match hashes.iter().map(known).collect::<Option<Vec<_>>>() {
            Some(causes) if causes.iter().any(|change| change.ticket != ticket) => {
                members.fault("deps", "names a change of another ticket")
            }
            Some(causes) if !causes.is_empty() => {
                Some(causes.iter().map(|change| change.command).collect())
            }
            _ => members.fault("deps", "names a change that no good line before this one holds"),
        }
    }
}

impl Steps for Exported {
    fn next(&mut self) -> io::Result<Option<Row>> {
        let line = loop {
            let Some(line) = self.lines.next()? else { return Ok(None) };
            if line.is_overlong() || !line.bytes.trim_ascii().is_empty() {
                break line;
            }
        };
        if line.is_overlong() {
            return Ok(Some(Row::Bad(BadRow::new(line.number, "event", "is longer than 2 MiB"))));
        }
        Ok(Some(match self.step(line.number, &line.bytes) {
            Ok(step) => Row::Step(Box::new(step)),
            Err(bad) => Row::Bad(bad),
        }))
    }

    fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }
}

/// Checks a text's shape and limits, and leaves what is not of it away.
fn sealed_as<T: Serialize + DeserializeOwned>(
    text: Value,
    check: impl FnOnce(&T) -> (&'static str, Result<String, String>),
) -> Result<Value, (&'static str, String)> {
    let shape = |error: serde_json::Error| ("text", error.to_string());
    let text: T = serde_json::from_value(text).map_err(shape)?;
    match check(&text) {
        (_, Ok(_)) => serde_json::to_value(text).map_err(shape),
        (field, Err(what)) => Err((field, what)),
    }
}

/// PostgreSQL holds no such text, and no other door takes it.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}

fn name(hash: &ChangeHash) -> [u8; 16] {
    hash.0.first_chunk().copied().unwrap_or_default()
}

#[derive(serde::Deserialize)]
struct StreamName {
    kind: StreamKind,
    id: Uuid,
}

/// A payload without its persons, who stand beside it as callers name them.
struct Facts {
    fact: Payload,
    requester: Option<String>,
    /// The others.
    persons: Vec<String>,
}

/// The members of one event.
struct Members {
    object: Map<String, Value>,
    faults: Faults,
}

impl Members {
    /// A member that must be there.
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.object.remove(name).ok_or_else(|| "is missing".to_owned());
        let read = value.and_then(|value| serde_json::from_value(value).map_err(|e| e.to_string()));
        self.faults.take(name, read)
    }

    /// A member that may be null or absent; the outer none is a fault.
    fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<Option<T>> {
        match self.object.remove(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => {
                self.faults.take(name, serde_json::from_value(value).map_err(|e| e.to_string()))
            }
        }
    }

    fn fault<T>(&mut self, name: &str, what: &str) -> Option<T> {
        self.faults.take(name, Err(what.to_owned()))
    }

    fn payload(&mut self) -> Option<Facts> {
        let kind: String = self.take("type")?;
        let kind = EventType::parse(&kind).ok_or_else(|| format!("`{kind}` is unknown"));
        let kind = self.faults.take("type", kind);
        let schema: Option<u16> = self.take("schema");
        let mut data: Value = self.take("data")?;
        let has_requester = data.get("requester_id").is_some_and(Value::is_string);
        let nobody = Value::String(nobody().to_string());
        let slots = persons_in(&mut data).into_iter();
        let taken = slots.map(|slot| std::mem::replace(slot, nobody.clone()));
        let mut persons: Vec<String> =
            taken.filter_map(|id| id.as_str().map(str::to_owned)).collect();
        for id in &persons {
            self.faults.take("data", cells::id(id));
        }
        let requester = has_requester.then(|| persons.remove(0));
        let (kind, schema) = (kind?, schema?);
        let fact = upcast(kind, schema, &data.to_string())
            .and_then(|data| Payload::read(kind, &data))
            .map_err(|error| match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            });
        Some(Facts { fact: self.faults.take("data", fact)?, requester, persons })
    }

    /// None and null where the text was erased: an empty text is not sealed.
    fn opening_text(&mut self, opened: &Opened) -> Option<OpeningText> {
        let Some(text) = self.optional("text")? else {
            return Some(OpeningText {
                subject: String::new(),
                body: String::new(),
                requester: None,
            });
        };
        admission::check_opening_text(&text, opened, &mut self.faults);
        Some(text)
    }

    /// The personal part of an event that opens nothing; null where it was erased or there is none.
    fn text(&mut self, fact: &Payload) -> Option<Option<Value>> {
        let Some(text) = self.optional::<Value>("text")? else { return Some(None) };
        let sealed = match fact {
            Payload::MessageAdded(_) => {
                sealed_as(text, |text: &MessageText| ("text.body", cells::body(&text.body)))
            }
            Payload::Changed(changed) if !changed.sealed.is_empty() => {
                sealed_as(text, |text: &SubjectText| {
                    ("text.subject", cells::subject(&text.subject))
                })
            }
            _ => Err(("text", "belongs to no event of this type".to_owned())),
        };
        match sealed {
            Ok(text) => Some(Some(text)),
            Err((field, what)) => self.fault(field, &what),
        }
    }

    fn author(&mut self) -> Option<Author> {
        let principal: Option<String> = self.take("principal");
        let role: Option<Role> = self.take("role");
        let device: Option<String> = self.take("device");
        let principal = self.faults.take("principal", cells::id(&principal?))?;
        let (role, device) = (role?, self.faults.take("device", cells::device(&device?))?);
        let own = role == Role::Bot && OWN_PRINCIPALS.contains(&principal.as_str());
        let who = if own { Who::Docket(principal.into()) } else { Who::Person(principal) };
        Some(Author { who, role, device: device.into() })
    }
}
