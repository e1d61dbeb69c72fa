//! What an exported event may hold: the limits of one request, for no door lets more in.
//!
//! A ticket may exceed them where concurrent writes merge, one event never.

use docket_schemas::{Changed, CustomFields, Kind, Opened, OpeningText, Payload, Scalar, Status};

use super::bad_row::Faults;
use super::cells;
use crate::field_limits::{CUSTOM_FIELDS_MAX, TAGS_MAX};

/// Whether an event is of a ticket or of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Ticket,
    Chat,
}

/// Checks a fact; what an opening opens it says itself.
pub(super) fn check_fact(fact: &Payload, of: Of, faults: &mut Faults) {
    match fact {
        Payload::Opened(opened) => check_opened(opened, faults),
        Payload::Changed(changed) => check_changed(changed, of, faults),
        Payload::MergeAttached(attached) => check_merged_tags(&attached.tags, faults),
        Payload::MergeDetached(detached) => check_merged_tags(&detached.tags, faults),
        _ => {}
    }
}

/// Checks an opening's text; a follow-up has no subject where that of the ticket before it was erased.
pub(super) fn check_opening_text(text: &OpeningText, opened: &Opened, faults: &mut Faults) {
    if !text.subject.is_empty() || opened.follow_up_of.is_none() {
        faults.take("text.subject", cells::subject(&text.subject));
    }
    faults.take("text.body", cells::body(&text.body));
    let Some(person) = &text.requester else { return };
    faults.take("text.requester.name", person.name.as_deref().map(cells::name).transpose());
    faults.take("text.requester.email", person.email.as_deref().map(cells::name).transpose());
}

fn check_opened(opened: &Opened, faults: &mut Faults) {
    let of = if opened.kind == Some(Kind::Chat) { Of::Chat } else { Of::Ticket };
    faults.take("data.status", status(opened.status, of));
    check_tags("data.tags", &opened.tags, faults);
    faults.take("data.group_id", opened.group_id.as_deref().map(cells::id).transpose());
    faults.take("data.external_id", opened.external_id.as_deref().map(cells::id).transpose());
    check_custom_fields(&opened.custom_fields, faults);
}

fn check_changed(changed: &Changed, of: Of, faults: &mut Faults) {
    faults.take("data.status", changed.status.map_or(Ok(()), |value| status(value, of)));
    let group = changed.group_id.as_ref().and_then(Option::as_deref);
    faults.take("data.group_id", group.map(cells::id).transpose());
    check_tags("data.add_tags", &changed.add_tags, faults);
    check_tags("data.remove_tags", &changed.remove_tags, faults);
    check_custom_fields(&changed.custom_fields, faults);
    if changed.sealed.iter().any(|field| field != "subject") {
        faults.take("data.sealed", Err::<(), _>("names another field than `subject`".to_owned()));
    }
}

fn status(status: Status, of: Of) -> Result<(), String> {
    match (status, of) {
        (Status::Snoozed, Of::Ticket) => Err("is a status of chats only".to_owned()),
        _ => Ok(()),
    }
}

fn check_tags(field: &str, tags: &[String], faults: &mut Faults) {
    if tags.len() > TAGS_MAX {
        faults.take(field, Err::<(), _>(format!("has more than {TAGS_MAX} tags")));
    }
    for (index, tag) in tags.iter().take(TAGS_MAX).enumerate() {
        faults.take(&format!("{field}[{index}]"), cells::check_tag(tag));
    }
}

/// As many as the source had, which merged writes may have given more than one write may.
fn check_merged_tags(tags: &[String], faults: &mut Faults) {
    for (index, tag) in tags.iter().enumerate() {
        faults.take(&format!("data.tags[{index}]"), cells::check_tag(tag));
    }
}

fn check_custom_fields(fields: &CustomFields, faults: &mut Faults) {
    faults.take("data.custom_fields", cells::check_count(fields));
    for (key, value) in fields.iter().take(CUSTOM_FIELDS_MAX) {
        // A key that is too long is not said in full.
        let shown: String = key.chars().take(KEY_CHARS_SHOWN).collect();
        let place = format!("data.custom_fields.{shown}");
        faults.take(&place, cells::key(key));
        if let Scalar::Text(text) = value {
            faults.take(&place, cells::custom(text));
        }
    }
}

/// How much of a key a fault shows.
const KEY_CHARS_SHOWN: usize = 64;
