//! Tags that a ticket had: which command last took each of them off, for whoever takes that back.

use std::collections::BTreeMap;

use docket_schemas::{CommandId, TicketPayload};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// By tag, the last command that took it off; none of a tag that was added again since.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Untagged(BTreeMap<SmolStr, CommandId>);

impl Untagged {
    /// Who last took a tag off, unless it was added again.
    pub(super) fn last(&self, tag: &str) -> Option<CommandId> {
        self.0.get(tag).copied()
    }

    pub(super) fn fold(&mut self, command: CommandId, payload: &TicketPayload) {
        let (added, removed): (&[String], &[String]) = match payload {
            TicketPayload::Changed(changed) => (&changed.add_tags, &changed.remove_tags),
            TicketPayload::MergeAttached(attached) => (&attached.tags, &[]),
            TicketPayload::MergeDetached(detached) => (&[], &detached.tags),
            _ => return,
        };
        for tag in removed {
            self.0.insert(tag.as_str().into(), command);
        }
        // A tag that is added and removed at once stays: add wins.
        for tag in added {
            self.0.remove(tag.as_str());
        }
    }
}
