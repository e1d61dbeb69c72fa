//! `csv`: a sheet with a ticket a row.
//!
//! A ticket is known again by its external id. Where a row has none, by the row's own text, and by its turn among rows
//! of the same text: so rows may be added to a sheet anywhere, and only they are written by the next run.

use std::collections::HashMap;
use std::io;
use std::str::FromStr;

use docket_schemas::canonical::Fields;
use docket_schemas::{
    CustomFields, Opened, OpeningText, PersonText, Scalar, Status, Tenant, Timestamp, derivation,
};

use super::bad_row::{BadRow, Fault, Faults};
use super::cells;
use super::lines::Lines;
use super::mapping::{ColumnMapping, Field, resolve};
use super::records::{Record, Records};
use super::step::{Action, Author, NewTicket, Step, Uniqueness, command_of_key, plain_opening};
use super::{Row, Steps};

/// Reads a sheet.
pub(super) struct Sheet {
    records: Records,
    columns: Vec<ColumnMapping>,
    tenant: Tenant,
    /// By external id or text, hashed: the line and how often it came.
    seen: HashMap<[u8; 16], Seen>,
}

struct Seen {
    line: u64,
    times: u64,
}

impl Sheet {
    /// Reads the header, or says what it lacks.
    pub(super) fn open(
        lines: Lines,
        columns: &[ColumnMapping],
        tenant: Tenant,
    ) -> io::Result<Result<Self, String>> {
        let records = match Records::open(lines)? {
            Ok(records) => records,
            Err(what) => return Ok(Err(what)),
        };
        let columns = resolve(columns, records.names());
        Ok(columns.map(|columns| Self { records, columns, tenant, seen: HashMap::new() }))
    }

    fn step(&mut self, record: Record) -> Result<Step, BadRow> {
        let line = record.line;
        let (ticket, created_at) = self.read(&record)?;
        let key = self.key(&record, ticket.opened.external_id.as_deref())?;
        let command_id = command_of_key(&self.tenant, None, &key);
        Ok(Step {
            line,
            tenant: self.tenant.clone(),
            ticket: derivation::ticket_of(command_id),
            command_id,
            author: Author::import(),
            occurred_at: created_at,
            causation_id: None,
            action: Action::Open(Box::new(ticket)),
        })
    }

    /// The row's idempotency key.
    fn key(&mut self, record: &Record, external_id: Option<&str>) -> Result<String, BadRow> {
        let text = record.fields().iter().fold(Fields::new("docket/sheet-row/1"), Fields::field);
        let hash = match external_id {
            Some(id) => Fields::new("docket/sheet-id/1").field(id).finish(),
            None => text.finish(),
        };
        let name = hash.first_chunk().copied().unwrap_or_default();
        let seen = self.seen.entry(name).or_insert(Seen { line: record.line, times: 0 });
        seen.times += 1;
        match external_id {
            Some(_) if seen.times > 1 => {
                let what = format!("is that of line {} too", seen.line);
                Err(BadRow::new(record.line, Field::ExternalId.to_string(), what))
            }
            Some(id) => Ok(format!("csv:id:{id}")),
            None => Ok(format!("csv:row:{}:{}", hex::encode(hash), seen.times)),
        }
    }

    fn read(&self, record: &Record) -> Result<(NewTicket, Option<Timestamp>), BadRow> {
        let mut cells = Cells { record, columns: &self.columns, faults: Faults::default() };
        if let Some(fault) = record.faults.0.first() {
            return Err(BadRow { line: record.line, faults: vec![fault.clone()] });
        }
        let (requester, person) = cells.requester();
        let subject = cells.take(&Field::Subject, cells::subject);
        if subject.is_none() && cells.get(&Field::Subject).is_none() {
            cells.fault(&Field::Subject, "is empty");
        }
        let body = cells.take(&Field::Body, cells::body);
        let plain = plain_opening();
        let opened = Opened {
            status: cells.take(&Field::Status, status).unwrap_or(plain.status),
            priority: cells.take(&Field::Priority, vocabulary).unwrap_or(plain.priority),
            ticket_type: cells.take(&Field::Type, vocabulary),
            tags: cells.take(&Field::Tags, cells::tags).unwrap_or_default(),
            group_id: cells.take(&Field::GroupId, cells::id),
            custom_fields: cells.custom_fields(),
            channel: cells.take(&Field::Channel, vocabulary).unwrap_or(plain.channel),
            external_id: cells.take(&Field::ExternalId, cells::id),
            ..plain
        };
        let assignee = cells.take(&Field::AssigneeId, cells::id);
        let created_at = cells.take(&Field::CreatedAt, rfc_3339);
        let faults = cells.faults;
        let ticket = requester.zip(subject).map(|(requester, subject)| {
            let body = body.unwrap_or_else(|| subject.clone());
            let text = OpeningText { subject, body, requester: person };
            let external_id_is = Uniqueness::Free;
            (NewTicket { requester, assignee, external_id_is, opened, text }, created_at)
        });
        faults.finish(record.line, ticket)
    }
}

impl Steps for Sheet {
    fn next(&mut self) -> io::Result<Option<Row>> {
        let Some(record) = self.records.next()? else { return Ok(None) };
        Ok(Some(match self.step(record) {
            Ok(step) => Row::Step(Box::new(step)),
            Err(bad) => Row::Bad(bad),
        }))
    }

    fn bytes_read(&self) -> u64 {
        self.records.bytes_read()
    }
}

/// The cells of one row by field.
struct Cells<'a> {
    record: &'a Record,
    columns: &'a [ColumnMapping],
    faults: Faults,
}

impl Cells<'_> {
    /// The cell of a field; none where it is empty or there is no such column.
    fn get(&self, field: &Field) -> Option<&str> {
        let mapping = self.columns.iter().find(|mapping| mapping.field == *field)?;
        Some(self.record.get(&mapping.column)).filter(|cell| !cell.trim().is_empty())
    }

    fn take<T>(&mut self, field: &Field, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = matches!(field, Field::Subject | Field::Body);
        let value = self.get(field).map(|cell| read(if text { cell } else { cell.trim() }))?;
        self.faults.take(&field.to_string(), value)
    }

    fn fault(&mut self, field: &Field, what: &str) {
        self.faults.0.push(Fault::new(field.to_string(), what));
    }

    /// The requester's id, and what is said of them.
    fn requester(&mut self) -> (Option<String>, Option<PersonText>) {
        let name = self.take(&Field::RequesterName, cells::name);
        let named = self.get(&Field::Requester).is_some();
        let (id, email) = if named {
            let id = self.take(&Field::Requester, cells::id);
            (id, self.take(&Field::RequesterEmail, cells::name))
        } else {
            let email = self.take(&Field::RequesterEmail, cells::id);
            (email.clone(), email)
        };
        if !named && self.get(&Field::RequesterEmail).is_none() {
            self.fault(&Field::Requester, "is empty, and so is requester_email");
        }
        let person = PersonText { name, email };
        (id, (person != PersonText::default()).then_some(person))
    }

    fn custom_fields(&mut self) -> CustomFields {
        let mut fields = CustomFields::new();
        for mapping in self.columns {
            let Field::Custom(key) = &mapping.field else { continue };
            if let Some(text) = self.take(&mapping.field, cells::custom) {
                fields.insert(key.clone(), Scalar::Text(text));
            }
        }
        self.faults.take("custom_fields", cells::check_count(&fields));
        fields
    }
}

/// A ticket's status; only chats snooze.
fn status(name: &str) -> Result<Status, String> {
    match vocabulary(name)? {
        Status::Snoozed => Err("is a status of chats only".to_owned()),
        status => Ok(status),
    }
}

fn vocabulary<T: FromStr + Named>(name: &str) -> Result<T, String> {
    name.parse().map_err(|_| format!("is not one of {}", T::names()))
}

fn rfc_3339(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "is no RFC 3339 time such as 2026-11-20T12:00:00Z".to_owned())
}

/// A closed list of names.
trait Named {
    /// All of them, with commas between.
    fn names() -> String;
}

macro_rules! named {
    ($($list:ty),*) => {
        $(impl Named for $list {
            fn names() -> String {
                Self::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
            }
        })*
    };
}

named!(Status, docket_schemas::Priority, docket_schemas::TicketType, docket_schemas::Channel);
