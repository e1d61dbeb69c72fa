//! One row of an incident event log, read whole: a row with one bad field is a bad row.

use docket_schemas::{Channel, Priority, Status, Timestamp};

use crate::import::bad_row::BadRow;
use crate::import::cells;
use crate::import::records::Record;

/// What stands for a value that is not known.
const UNKNOWN: &str = "?";

/// The columns that become custom fields of the same name.
pub(super) const CUSTOM_COLUMNS: [&str; 5] =
    ["category", "subcategory", "impact", "urgency", CONTACT_TYPE];

const CONTACT_TYPE: &str = "contact_type";

/// The other columns that are read.
const COLUMNS: [&str; 8] = [
    "number",
    "incident_state",
    "priority",
    "caller_id",
    "assignment_group",
    "assigned_to",
    "opened_at",
    "sys_updated_at",
];

/// What is kept of a row; none is unknown.
#[derive(Debug, Clone)]
pub(super) struct IncidentRow {
    pub(super) status: Option<Status>,
    pub(super) priority: Option<Priority>,
    pub(super) caller: Option<String>,
    pub(super) group: Option<String>,
    pub(super) assignee: Option<String>,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
    /// In the order of [`CUSTOM_COLUMNS`].
    pub(super) custom: [Option<String>; 5],
    /// `{number}: {category}, {subcategory}`.
    pub(super) summary: String,
}

impl IncidentRow {
    /// The values that stand after this row, when those of `before` stood before it.
    pub(super) fn after(self, before: &Self) -> Self {
        Self {
            status: self.status.or(before.status),
            priority: self.priority.or(before.priority),
            caller: self.caller.or_else(|| before.caller.clone()),
            ..self
        }
    }

    /// The way in which the incident came.
    pub(super) fn channel(&self) -> Channel {
        match self.custom[CUSTOM_COLUMNS.len() - 1].as_deref() {
            Some("Phone" | "IVR") => Channel::Phone,
            Some("Email") => Channel::Email,
            Some("Self service") => Channel::Web,
            _ => Channel::Api,
        }
    }
}

/// Says which columns a header lacks.
pub(super) fn check_columns(names: &[String]) -> Result<(), String> {
    let wanted = COLUMNS.into_iter().chain(CUSTOM_COLUMNS);
    let missing: Vec<&str> =
        wanted.filter(|column| !names.iter().any(|name| name == column)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("is no incident event log: it has no column {}", missing.join(", ")))
}

/// A cell's value, when it is known.
pub(super) fn known(cell: &str) -> Option<&str> {
    match cell.trim() {
        "" | UNKNOWN => None,
        value => Some(value),
    }
}

/// Reads a row, or says everything that is wrong with it.
pub(super) fn read(record: Record) -> Result<IncidentRow, BadRow> {
    let cell = |column: &str| known(record.get(column));
    let number = record.get("number").trim();
    let text = |column| record.get(column).trim();
    let summary = format!("{number}: {}, {}", text("category"), text("subcategory"));
    let mut faults = crate::import::bad_row::Faults(record.faults.0.clone());
    if !faults.0.is_empty() {
        return faults.finish(record.line, None);
    }
    let status = faults.take("incident_state", optional(cell("incident_state"), state));
    let priority = faults.take("priority", optional(cell("priority"), priority));
    let caller = faults.take("caller_id", optional(cell("caller_id"), cells::id));
    let group = faults.take("assignment_group", optional(cell("assignment_group"), cells::id));
    let assignee = faults.take("assigned_to", optional(cell("assigned_to"), cells::id));
    let opened_at = faults.take("opened_at", optional(cell("opened_at"), cells::day_first_time));
    let updated_at = cell("sys_updated_at").ok_or_else(|| "is unknown".to_owned());
    let updated_at = faults.take("sys_updated_at", updated_at.and_then(cells::day_first_time));
    let custom = CUSTOM_COLUMNS
        .map(|column| faults.take(column, optional(cell(column), cells::custom)).flatten());
    let row = updated_at.map(|updated_at| IncidentRow {
        status: status.flatten(),
        priority: priority.flatten(),
        caller: caller.flatten(),
        group: group.flatten(),
        assignee: assignee.flatten(),
        opened_at: opened_at.flatten(),
        updated_at,
        custom,
        summary,
    });
    faults.finish(record.line, row)
}

fn optional<T>(
    cell: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    cell.map(read).transpose()
}

fn state(name: &str) -> Result<Status, String> {
    Ok(match name {
        "New" => Status::New,
        "Active" => Status::Open,
        "Awaiting User Info" => Status::Pending,
        "Resolved" => Status::Solved,
        "Closed" => Status::Closed,
        other if other.starts_with("Awaiting ") => Status::Hold,
        _ => return Err("is not New, Active, Awaiting …, Resolved or Closed".to_owned()),
    })
}

/// `1 - Critical` to `4 - Low`; the name is not looked at.
fn priority(text: &str) -> Result<Priority, String> {
    let number = text.split_once(" - ").map_or(text, |(number, _)| number);
    Ok(match number.trim() {
        "1" => Priority::Urgent,
        "2" => Priority::High,
        "3" => Priority::Normal,
        "4" => Priority::Low,
        _ => return Err("is not 1 to 4, as in 3 - Moderate".to_owned()),
    })
}
