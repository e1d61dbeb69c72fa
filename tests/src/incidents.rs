//! Incident event logs, and what a plain reading of one says of its tickets.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::{Site, real_incident_log};

/// Incidents of the made-up log.
const INCIDENTS: usize = 240;

const HEADER: &str = "number,incident_state,opened_at,sys_updated_at,caller_id,contact_type,category,subcategory,\
                      impact,urgency,priority,assignment_group,assigned_to";

/// One incident as it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The ticket's `external_id`.
    pub number: String,
    /// As the API spells it.
    pub status: &'static str,
    /// As the API spells it.
    pub priority: &'static str,
    /// Who called.
    pub requester: String,
    /// The team.
    pub group: Option<String>,
    /// Who has it.
    pub assignee: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// A log's incidents, in the order of their first rows.
#[derive(Debug, Clone)]
pub struct Incidents {
    /// Where the log lies.
    pub file: String,
    /// What it says.
    pub incidents: Vec<Incident>,
}

impl Incidents {
    /// The log that `DOCKET_TEST_INCIDENT_LOG` names, or one made up in the site's data directory.
    ///
    /// # Panics
    /// When it cannot be read or written.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let file = real_incident_log().unwrap_or_else(|| {
            let path = site.data().join("incidents.csv");
            std::fs::write(&path, made_up()).expect("the data directory can be written");
            path.display().to_string()
        });
        let text = std::fs::read_to_string(&file).expect("the incident log can be read");
        Self { file, incidents: read(&text) }
    }
}

fn made_up() -> String {
    let mut text = format!("{HEADER}\n");
    for number in 0..INCIDENTS {
        let states =
            ["New", "Active", "Awaiting User Info", "Awaiting Vendor", "Resolved", "Closed"];
        let last = number * 7 % states.len();
        for (row, state) in states.iter().enumerate().take(last + 1) {
            let (minute, hour) = (row * 9 + number % 6, number % 24);
            let group = ["?", "Desk", "Network", "Field"][(number + row) % 4];
            let assignee = ["?", "Ann", "Bob", "Cid", "Dee"][(number + row / 2) % 5];
            let priority = ["1 - Critical", "2 - High", "3 - Moderate", "4 - Low", "?"]
                [(number / 3 + row / 4) % 5];
            writeln!(
                text,
                "INC{number:05},{state},{day:02}-02-2016 {hour:02}:{number_minute:02},{day:02}-03-2016 {hour:02}:{minute:02},\
                 Caller {caller},Email,Net,VPN,2 - Medium,3 - Low,{priority},{group},{assignee}",
                day = number % 28 + 1,
                number_minute = number % 10,
                caller = number % 17,
            )
            .expect("a string takes everything");
        }
    }
    text
}

/// A row's cells by the names of their columns.
type Cells<'a> = HashMap<&'a str, &'a str>;

fn read(text: &str) -> Vec<Incident> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let mut incidents: Vec<Incident> = Vec::new();
    let mut before: HashMap<String, Cells<'_>> = HashMap::new();
    for line in lines {
        let cells: Cells<'_> = header.iter().copied().zip(line.split(',')).collect();
        let number = cells["number"].to_owned();
        match incidents.iter_mut().rfind(|one| one.number == number) {
            None => incidents.push(opened(&cells)),
            Some(incident) => changed(incident, &before[&number], &cells),
        }
        before.insert(number, cells);
    }
    incidents
}

fn opened(cells: &Cells<'_>) -> Incident {
    let at = time(cells["opened_at"]);
    Incident {
        number: cells["number"].to_owned(),
        status: status(cells["incident_state"]).unwrap_or("new"),
        priority: priority(cells["priority"]).unwrap_or("normal"),
        requester: known(cells["caller_id"]).unwrap_or_else(|| "unknown".to_owned()),
        group: known(cells["assignment_group"]),
        assignee: known(cells["assigned_to"]),
        created_at: at.clone(),
        updated_at: at,
    }
}

fn changed(incident: &mut Incident, before: &Cells<'_>, cells: &Cells<'_>) {
    let was = incident.clone();
    incident.status = status(cells["incident_state"]).unwrap_or(incident.status);
    incident.priority = priority(cells["priority"]).unwrap_or(incident.priority);
    incident.group = known(cells["assignment_group"]);
    incident.assignee = known(cells["assigned_to"]);
    let custom = ["category", "subcategory", "impact", "urgency", "contact_type"];
    let differs = custom.iter().any(|column| known(before[column]) != known(cells[column]));
    // A row that changes nothing is no event.
    if *incident != was || differs {
        incident.updated_at = was.updated_at.max(time(cells["sys_updated_at"]));
    }
}

fn known(cell: &str) -> Option<String> {
    let cell = cell.trim();
    (!cell.is_empty() && cell != "?").then(|| cell.to_owned())
}

fn status(state: &str) -> Option<&'static str> {
    Some(match state {
        "New" => "new",
        "Active" => "open",
        "Awaiting User Info" => "pending",
        "Resolved" => "solved",
        "Closed" => "closed",
        other if other.starts_with("Awaiting ") => "hold",
        _ => return None,
    })
}

fn priority(text: &str) -> Option<&'static str> {
    Some(match text.chars().next() {
        Some('1') => "urgent",
        Some('2') => "high",
        Some('3') => "normal",
        Some('4') => "low",
        _ => return None,
    })
}

/// `29-02-2016 01:23` as the API writes it.
fn time(text: &str) -> String {
    let (date, clock) = text.split_once(' ').expect("a date and a time");
    let parts: Vec<&str> = date.split('-').collect();
    format!("{}-{}-{}T{clock:0>5}:00.000000Z", parts[2], parts[1], parts[0])
}
