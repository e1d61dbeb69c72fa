//! The document's layout: four maps under the root, registers unique by their command.
//!
//! A contract: any stock Automerge reads a ticket by it (`docs/architecture.md`, *The document*).

use docket_schemas::{CommandId, Draft, Payload, PersonId};
use smol_str::{SmolStr, format_smolstr};

/// A map under the root. Its number is the op counter with which the genesis makes it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Container {
    /// Registers: `status`, `priority`, `type`, `group`, `assignee`, `subject`, `custom.<key>`.
    Fields,
    /// Tag to the command that added it; add-wins.
    Tags,
    /// Person to the command that added them; add-wins.
    Followers,
    /// `<message id>.<flag>`.
    Flags,
}

impl Container {
    /// In the order in which the genesis makes them.
    pub const ALL: [Self; 4] = [Self::Fields, Self::Tags, Self::Followers, Self::Flags];

    /// The key under the root.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Tags => "tags",
            Self::Followers => "followers",
            Self::Flags => "flags",
        }
    }

    /// The op counter of the genesis op that makes it.
    #[must_use]
    pub const fn counter(self) -> u64 {
        match self {
            Self::Fields => 1,
            Self::Tags => 2,
            Self::Followers => 3,
            Self::Flags => 4,
        }
    }
}

/// What a write does to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Puts this scalar string.
    Put(String),
    /// Deletes what is visible; nothing where nothing is.
    Delete,
}

/// One key that a change writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// In which map.
    pub container: Container,
    /// Under which key.
    pub key: SmolStr,
    /// What.
    pub action: Action,
}

/// A register's value: `<value>|<command id>`, so that no two writes are equal.
#[must_use]
pub fn register(value: &str, command: CommandId) -> String {
    format!("{value}|{command}")
}

/// Splits a register's value into value and command.
#[must_use]
pub fn read_register(text: &str) -> Option<(&str, CommandId)> {
    let (value, command) = text.rsplit_once('|')?;
    Some((value, command.parse().ok()?))
}

/// The writes of an event, in the order of its change's ops. Messages and claims affirmed without effect have none.
#[must_use]
pub fn writes_of(draft: &Draft, payload: &Payload) -> Vec<Write> {
    let mut writes = Writes { command: draft.command_id, list: Vec::new() };
    match payload {
        Payload::Opened(opened) => {
            writes.json("status", &opened.status);
            writes.json("priority", &opened.priority);
            writes.put("subject", &draft.event_id.to_string());
            if let Some(value) = opened.ticket_type {
                writes.json("type", &value);
            }
            if let Some(value) = &opened.group_id {
                writes.json("group", value);
            }
            if let Some(value) = opened.assignee_id {
                writes.json("assignee", &value);
            }
            writes.custom(&opened.custom_fields);
            writes.tags(&opened.tags, &[]);
        }
        Payload::Changed(changed) => {
            if let Some(value) = changed.status {
                writes.json("status", &value);
            }
            if let Some(value) = changed.priority {
                writes.json("priority", &value);
            }
            if let Some(value) = changed.ticket_type {
                writes.json("type", &value);
            }
            if let Some(value) = &changed.group_id {
                writes.json("group", value);
            }
            if let Some(value) = changed.assignee_id {
                writes.json("assignee", &value);
            }
            if changed.sealed.iter().any(|field| field == "subject") {
                writes.put("subject", &draft.event_id.to_string());
            }
            writes.custom(&changed.custom_fields);
            writes.tags(&changed.add_tags, &changed.remove_tags);
        }
        Payload::Claimed(claimed) => writes.json("assignee", &claimed.assignee_id),
        Payload::Released(_) => writes.json("assignee", &None::<()>),
        Payload::FollowerAdded(followed) => {
            writes.mark(Container::Followers, &followed.person_id.to_string());
        }
        Payload::FollowerRemoved(followed) => {
            writes.delete(Container::Followers, &followed.person_id.to_string());
        }
        Payload::MergeAttached(attached) => {
            writes.tags(&attached.tags, &[]);
            writes.followers(&attached.followers, Writes::mark);
        }
        Payload::MergeDetached(detached) => {
            writes.tags(&[], &detached.tags);
            writes.followers(&detached.followers, Writes::delete);
        }
        Payload::MessageAdded(_)
        | Payload::FollowUpOpened(_)
        | Payload::HeadsJoined
        | Payload::MergeBegun(_)
        | Payload::MergeEnded(_)
        | Payload::Merged(_)
        | Payload::Unmerged(_)
        | Payload::MessageForwarded(_) => {}
    }
    writes.list
}

struct Writes {
    command: CommandId,
    list: Vec<Write>,
}

impl Writes {
    fn json<T: serde::Serialize>(&mut self, key: &str, value: &T) {
        self.put(key, &docket_schemas::canonical::json(value));
    }

    fn put(&mut self, key: &str, value: &str) {
        let action = Action::Put(register(value, self.command));
        self.list.push(Write { container: Container::Fields, key: key.into(), action });
    }

    fn custom(&mut self, fields: &docket_schemas::CustomFields) {
        for (key, value) in fields {
            self.json(&custom_key(key), value);
        }
    }

    fn tags(&mut self, add: &[String], remove: &[String]) {
        for tag in add {
            self.mark(Container::Tags, tag);
        }
        for tag in remove {
            self.delete(Container::Tags, tag);
        }
    }

    fn followers(&mut self, persons: &[PersonId], write: fn(&mut Self, Container, &str)) {
        for person in persons {
            write(self, Container::Followers, &person.to_string());
        }
    }

    fn mark(&mut self, container: Container, key: &str) {
        let action = Action::Put(self.command.to_string());
        self.list.push(Write { container, key: key.into(), action });
    }

    fn delete(&mut self, container: Container, key: &str) {
        self.list.push(Write { container, key: key.into(), action: Action::Delete });
    }
}

/// The register of a custom field.
#[must_use]
pub fn custom_key(key: &str) -> SmolStr {
    format_smolstr!("custom.{key}")
}
