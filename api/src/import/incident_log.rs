//! `servicenow-csv`: an incident event log, a row per update, each an event of what it changes against the row before.
//!
//! A ticket is opened by its incident's first good row, at `opened_at`; what a later row changes happened at its
//! `sys_updated_at`. The requester is the caller of the row that opened the ticket and stays it.

mod incident_row;

use std::collections::HashMap;
use std::io;

use docket_engine::command::FieldChange;
use docket_schemas::{CommandId, CustomFields, OpeningText, Scalar, Tenant, TicketId, derivation};

use self::incident_row::{CUSTOM_COLUMNS, IncidentRow, check_columns, known, read};
use super::bad_row::BadRow;
use super::cells;
use super::lines::Lines;
use super::records::{Record, Records};
use super::step::{
    Action, Author, NewTicket, NewValues, Step, Uniqueness, command_of_key, plain_opening,
};
use super::{Row, Steps};

/// The requester of an incident whose caller is unknown.
const UNKNOWN_CALLER: &str = "unknown";

/// Reads an incident event log.
pub(super) struct IncidentLog {
    records: Records,
    tenant: Tenant,
    incidents: HashMap<String, Incident>,
    next: Option<Row>,
}

/// What is known of an incident so far.
#[derive(Default)]
struct Incident {
    /// Bad ones too.
    rows: u32,
    /// The ticket, with the values that the last good row left.
    ticket: Option<(TicketId, IncidentRow)>,
}

impl IncidentLog {
    /// Reads the header, or says what it lacks.
    pub(super) fn open(lines: Lines, tenant: Tenant) -> io::Result<Result<Self, String>> {
        let records = match Records::open(lines)? {
            Ok(records) => records,
            Err(what) => return Ok(Err(what)),
        };
        let checked = check_columns(records.names());
        Ok(checked.map(|()| Self { records, tenant, incidents: HashMap::new(), next: None }))
    }

    fn row(&mut self, record: Record) -> Row {
        let number = match known(record.get("number").trim_matches('"')).map(cells::id) {
            Some(Ok(number)) => number,
            _ if !record.faults.0.is_empty() => {
                return Row::Bad(BadRow { line: record.line, faults: record.faults.0 });
            }
            Some(Err(what)) => return Row::Bad(BadRow::new(record.line, "number", what)),
            None => return Row::Bad(BadRow::new(record.line, "number", "is missing")),
        };
        let incident = self.incidents.entry(number.clone()).or_default();
        incident.rows += 1;
        let (line, index) = (record.line, incident.rows);
        let row = match read(record) {
            Ok(row) => row,
            Err(bad) => return Row::Bad(bad),
        };
        let place = Place { tenant: &self.tenant, number: &number, line, index };
        match incident.ticket.take() {
            None => match open(&place, &row) {
                Ok(step) => {
                    incident.ticket = Some((step.ticket, row));
                    Row::Step(Box::new(step))
                }
                Err(bad) => Row::Bad(bad),
            },
            Some((ticket, before)) => {
                let change = change(&place, ticket, &before, &row);
                if row.caller.is_some() && row.caller != before.caller {
                    self.next = Some(change);
                    let what = "is another than before; the ticket keeps its requester";
                    incident.ticket = Some((ticket, row.after(&before)));
                    return Row::Noted(BadRow::new(line, "caller_id", what));
                }
                incident.ticket = Some((ticket, row.after(&before)));
                change
            }
        }
    }
}

impl Steps for IncidentLog {
    fn next(&mut self) -> io::Result<Option<Row>> {
        if let Some(row) = self.next.take() {
            return Ok(Some(row));
        }
        Ok(self.records.next()?.map(|record| self.row(record)))
    }

    fn bytes_read(&self) -> u64 {
        self.records.bytes_read()
    }
}

/// Which row of which incident.
struct Place<'a> {
    tenant: &'a Tenant,
    number: &'a str,
    line: u64,
    /// From 1, bad ones too.
    index: u32,
}

impl Place<'_> {
    fn command(&self, ticket: Option<TicketId>) -> CommandId {
        let key = format!("servicenow:{}:{}", self.number, self.index);
        command_of_key(self.tenant, ticket, &key)
    }

    fn step(&self, command_id: CommandId, ticket: TicketId, action: Action) -> Step {
        Step {
            line: self.line,
            tenant: self.tenant.clone(),
            ticket,
            command_id,
            author: Author::import(),
            occurred_at: None,
            causation_id: None,
            action,
        }
    }
}

fn open(place: &Place<'_>, row: &IncidentRow) -> Result<Step, BadRow> {
    let Some(opened_at) = row.opened_at else {
        return Err(BadRow::new(place.line, "opened_at", "is unknown"));
    };
    let summary = cells::subject(&row.summary)
        .map_err(|what| BadRow::new(place.line, "subcategory", format!("the subject {what}")))?;
    let values = row.custom.iter().zip(CUSTOM_COLUMNS);
    let custom_fields: CustomFields = values
        .filter_map(|(value, key)| Some((key.to_owned(), Scalar::Text(value.clone()?))))
        .collect();
    let plain = plain_opening();
    let opened = docket_schemas::Opened {
        status: row.status.unwrap_or(plain.status),
        priority: row.priority.unwrap_or(plain.priority),
        group_id: row.group.clone(),
        custom_fields,
        channel: row.channel(),
        external_id: Some(place.number.to_owned()),
        source_row: Some(place.index),
        ..plain
    };
    let action = Action::Open(Box::new(NewTicket {
        requester: row.caller.clone().unwrap_or_else(|| UNKNOWN_CALLER.to_owned()),
        assignee: row.assignee.clone(),
        external_id_is: Uniqueness::Unique,
        opened,
        text: OpeningText { subject: summary.clone(), body: summary, requester: None },
    }));
    let command_id = place.command(None);
    let step = place.step(command_id, derivation::ticket_of(command_id), action);
    Ok(Step { occurred_at: Some(opened_at), ..step })
}

/// What a row changes against the row before; an unknown state or priority says nothing.
fn change(place: &Place<'_>, ticket: TicketId, before: &IncidentRow, row: &IncidentRow) -> Row {
    fn written<T: PartialEq + Clone>(before: &T, now: &T) -> Option<T> {
        (before != now).then(|| now.clone())
    }
    let values = before.custom.iter().zip(&row.custom).zip(CUSTOM_COLUMNS);
    let custom_fields: CustomFields = values
        .filter(|((before, now), _)| before != now)
        .map(|((_, now), key)| (key.to_owned(), now.clone().map_or(Scalar::Null, Scalar::Text)))
        .collect();
    let fields = FieldChange {
        status: written(&before.status, &row.status).flatten(),
        priority: written(&before.priority, &row.priority).flatten(),
        group_id: written(&before.group, &row.group),
        custom_fields,
        source_row: Some(place.index),
        ..FieldChange::default()
    };
    let assignee = written(&before.assignee, &row.assignee);
    let idle = fields.status.is_none()
        && fields.priority.is_none()
        && fields.group_id.is_none()
        && fields.custom_fields.is_empty()
        && assignee.is_none();
    if idle {
        return Row::Idle;
    }
    let action = Action::Change(Box::new(NewValues { assignee, fields }));
    let step = place.step(place.command(Some(ticket)), ticket, action);
    Row::Step(Box::new(Step { occurred_at: Some(row.updated_at), ..step }))
}
