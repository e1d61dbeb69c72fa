//! JSON Schema (draft 2020-12) of every event payload and its sealed text, as published in `schemas/json`.

use schemars::Schema;
use schemars::schema_for;

use crate::ticket::merge::{
    MergeAttached, MergeBegun, MergeDetached, MergeEnded, Merged, MessageForwarded, Unmerged,
};
use crate::ticket::payload::{
    Changed, Claimed, FollowUpOpened, Followed, MessageAdded, Opened, Released,
};
use crate::ticket::text::{MessageText, OpeningText, SubjectText};

/// The name of the schema of a published event of this type and schema version: what `ce-dataschema` says.
#[must_use]
pub fn message_schema_id(event_type: &str, schema: u16) -> String {
    format!("urn:docket:event:{event_type}:{schema}")
}

/// Every published schema with the file name that it is exported under.
#[must_use]
pub fn all() -> Vec<(&'static str, Schema)> {
    let tickets = [
        ("ticket.opened.1.json", schema_for!(Opened)),
        ("ticket.opened.text.1.json", schema_for!(OpeningText)),
        ("ticket.changed.1.json", schema_for!(Changed)),
        ("ticket.changed.text.1.json", schema_for!(SubjectText)),
        ("ticket.message_added.1.json", schema_for!(MessageAdded)),
        ("ticket.message_added.text.1.json", schema_for!(MessageText)),
        ("ticket.claimed.1.json", schema_for!(Claimed)),
        ("ticket.released.1.json", schema_for!(Released)),
        ("ticket.follower_added.1.json", schema_for!(Followed)),
        ("ticket.follower_removed.1.json", schema_for!(Followed)),
        ("ticket.follow_up_opened.1.json", schema_for!(FollowUpOpened)),
        ("ticket.heads_joined.1.json", schemars::json_schema!({"type": "object"})),
        ("ticket.merge_begun.1.json", schema_for!(MergeBegun)),
        ("ticket.merge_ended.1.json", schema_for!(MergeEnded)),
        ("ticket.merged.1.json", schema_for!(Merged)),
        ("ticket.unmerged.1.json", schema_for!(Unmerged)),
        ("ticket.merge_attached.1.json", schema_for!(MergeAttached)),
        ("ticket.merge_detached.1.json", schema_for!(MergeDetached)),
        ("ticket.message_forwarded.1.json", schema_for!(MessageForwarded)),
    ];
    tickets.into_iter().chain(crate::saga::payload::json_schemas()).collect()
}
