//! The stories: what happened to each ticket of the demo, in English and Chinese, read from `stories.json`.

use docket_engine::command::{Command, FieldChange, NewMessage, Visibility};
use docket_schemas::{Channel, PersonId, Priority, Status, TicketType};
use serde::Deserialize;

/// One ticket and what happened to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    pub(super) requester: String,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) channel: Channel,
    pub(super) priority: Priority,
    #[serde(rename = "type")]
    pub(super) ticket_type: TicketType,
    pub(super) group: String,
    pub(super) tags: Vec<String>,
    pub(super) steps: Vec<Step>,
}

/// What somebody did.
#[derive(Deserialize)]
pub(super) struct Step {
    pub(super) by: String,
    #[serde(flatten)]
    pub(super) act: Act,
    /// Made on the version that this many steps had led to; none for the current one.
    #[serde(default)]
    pub(super) having_seen: Option<usize>,
}

/// What can happen in a story.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Act {
    Say(String),
    Note(String),
    Set(Status),
    Rank(Priority),
    Claim {},
}

impl Act {
    /// The command, for somebody who claims for themselves.
    pub(super) fn command(&self, person: PersonId) -> Command {
        let say = |body: &str, visibility| {
            Command::AddMessage(NewMessage { body: body.to_owned(), visibility, status: None })
        };
        let change = |change| Command::Change(Box::new(change));
        match self {
            Self::Say(body) => say(body, Visibility::Public),
            Self::Note(body) => say(body, Visibility::Internal),
            Self::Set(status) => {
                change(FieldChange { status: Some(*status), ..FieldChange::default() })
            }
            Self::Rank(priority) => {
                change(FieldChange { priority: Some(*priority), ..FieldChange::default() })
            }
            Self::Claim {} => Command::Claim(person),
        }
    }
}

/// Every story, oldest first.
pub(super) fn stories() -> Vec<Story> {
    serde_json::from_str(include_str!("stories.json")).expect("a file of this repository")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stories_can_be_read() {
        assert!(stories().len() >= 55);
    }
}
