//! The cells of a row: their texts read as values, within the limits that hold at every door.

use docket_schemas::{CustomFields, Timestamp};

use crate::auth::DEVICE_BYTES_MAX;
use crate::field_limits::{
    BODY_BYTES_MAX, CUSTOM_FIELDS_MAX, CUSTOM_TEXT_BYTES_MAX, ID_BYTES_MAX, SUBJECT_CHARS_MAX,
    TAG_CHARS_MAX, TAGS_MAX,
};

/// An id of another system.
pub(super) fn id(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("is empty".to_owned()),
        1..=ID_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("has more than {ID_BYTES_MAX} bytes")),
    }
}

/// The key of a custom field.
pub(super) fn key(text: &str) -> Result<String, String> {
    match text.contains('\0') {
        true => Err("holds a NUL character".to_owned()),
        false => id(text),
    }
}

/// The device on which somebody wrote.
pub(super) fn device(text: &str) -> Result<String, String> {
    at_most(text, text.len(), DEVICE_BYTES_MAX, "bytes")
}

/// A subject line.
pub(super) fn subject(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("is empty".to_owned()),
        _ => at_most(text, text.chars().count(), SUBJECT_CHARS_MAX, "characters"),
    }
}

/// A message.
pub(super) fn body(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("is empty".to_owned()),
        _ => at_most(text, text.len(), BODY_BYTES_MAX, "bytes"),
    }
}

/// A person's name or address.
pub(super) fn name(text: &str) -> Result<String, String> {
    at_most(text, text.chars().count(), ID_BYTES_MAX, "characters")
}

/// A custom field's text.
pub(super) fn custom(text: &str) -> Result<String, String> {
    at_most(text, text.len(), CUSTOM_TEXT_BYTES_MAX, "bytes")
}

/// Checks how many custom fields one row writes.
pub(super) fn check_count(fields: &CustomFields) -> Result<(), String> {
    match fields.len() {
        0..=CUSTOM_FIELDS_MAX => Ok(()),
        _ => Err(format!("has more than {CUSTOM_FIELDS_MAX} fields")),
    }
}

/// Checks one tag.
pub(super) fn check_tag(tag: &str) -> Result<(), String> {
    match tag.chars().count() {
        _ if tag.trim().is_empty() => Err("is empty".to_owned()),
        0..=TAG_CHARS_MAX => Ok(()),
        _ => Err(format!("has more than {TAG_CHARS_MAX} characters")),
    }
}

/// Tags with `;` between them, or spaces where there is no `;`. Sorted; one given twice is one.
pub(super) fn tags(text: &str) -> Result<Vec<String>, String> {
    let separator = |c: char| if text.contains(';') { c == ';' } else { c.is_whitespace() };
    let given = text.split(separator).map(str::trim).filter(|tag| !tag.is_empty());
    let mut tags: Vec<String> = given.map(str::to_owned).collect();
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > TAGS_MAX {
        return Err(format!("has more than {TAGS_MAX} tags"));
    }
    match tags.iter().find_map(|tag| check_tag(tag).err()) {
        Some(what) => Err(format!("has a tag that {what}")),
        None => Ok(tags),
    }
}

/// `DD-MM-YYYY hh:mm` in UTC.
pub(super) fn day_first_time(text: &str) -> Result<Timestamp, String> {
    let refusal = || "is no time of the form DD-MM-YYYY hh:mm".to_owned();
    let digits_and = |index: usize, byte: u8| match index {
        2 | 5 => byte == b'-',
        10 => byte == b' ',
        13 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 16 || !text.bytes().enumerate().all(|(index, byte)| digits_and(index, byte)) {
        return Err(refusal());
    }
    let (day, month, year, time) = (&text[..2], &text[3..5], &text[6..10], &text[11..]);
    format!("{year}-{month}-{day}T{time}:00Z").parse().map_err(|_| refusal())
}

fn at_most(text: &str, length: usize, limit: usize, unit: &str) -> Result<String, String> {
    if length > limit { Err(format!("has more than {limit} {unit}")) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_day_month_year_in_utc() {
        let read = |text: &str| day_first_time(text).map(|time| time.to_string());
        assert_eq!(read("29-02-2016 01:16"), Ok("2016-02-29T01:16:00.000000Z".to_owned()));
        let wrong = [
            "",
            "29-02-2015 01:16",
            "2016-02-29 01:16",
            "01-13-2016 00:00",
            "1-1-2016 01:16",
            "29-02-2016 24:00",
            "29-02-2016 01:60",
            "29-02-2016T01:16",
            "２9-02-2016 1:16",
        ];
        for text in wrong {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tags_are_parted_by_semicolons_or_else_by_spaces() {
        assert_eq!(tags(" vip  fire vip"), Ok(vec!["fire".to_owned(), "vip".to_owned()]));
        assert_eq!(tags("on fire; vip;"), Ok(vec!["on fire".to_owned(), "vip".to_owned()]));
        assert!(tags(&"x".repeat(65)).is_err());
    }
}
