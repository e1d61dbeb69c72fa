//! Limits of what a ticket's fields take, each error naming its field.

use std::borrow::Cow;

use docket_schemas::{CustomFields, Scalar};

use crate::field_limits::{
    BODY_BYTES_MAX, CUSTOM_FIELDS_MAX, CUSTOM_TEXT_BYTES_MAX, ID_BYTES_MAX, SUBJECT_CHARS_MAX,
    TAG_CHARS_MAX, TAGS_MAX,
};
use crate::problem::{Code, FieldError, Problem};

/// Collects what is wrong with a request, so that one answer names all of it.
#[derive(Default)]
pub(super) struct Checks(Vec<FieldError>);

impl Checks {
    /// 422 with every error, if there is one.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::new(Code::Invalid).errors(self.0)) }
    }

    pub(super) fn wrong(&mut self, field: &str, message: impl Into<Cow<'static, str>>) {
        self.0.push(FieldError::new(field, message));
    }

    fn beyond(&mut self, field: &str, message: &'static str, limit: usize) {
        self.0.push(FieldError::beyond(field, message, limit));
    }

    pub(super) fn subject(&mut self, text: &str) {
        if text.trim().is_empty() {
            self.wrong("subject", "is empty");
        } else if text.chars().count() > SUBJECT_CHARS_MAX {
            self.beyond("subject", "has more than 255 characters", SUBJECT_CHARS_MAX);
        }
    }

    pub(super) fn body(&mut self, text: &str) {
        if text.trim().is_empty() {
            self.wrong("body", "is empty");
        } else if text.len() > BODY_BYTES_MAX {
            self.beyond("body", "has more than 65,536 bytes of UTF-8", BODY_BYTES_MAX);
        }
    }

    pub(super) fn id(&mut self, field: &str, text: &str) {
        if text.is_empty() {
            self.wrong(field, "is empty");
        } else if text.len() > ID_BYTES_MAX {
            self.beyond(field, "has more than 255 bytes", ID_BYTES_MAX);
        }
    }

    pub(super) fn name(&mut self, field: &str, text: Option<&str>) {
        if text.is_some_and(|text| text.chars().count() > ID_BYTES_MAX) {
            self.beyond(field, "has more than 255 characters", ID_BYTES_MAX);
        }
    }

    pub(super) fn tags(&mut self, field: &str, tags: &[String]) {
        if tags.len() > TAGS_MAX {
            self.beyond(field, "has more than 100 tags", TAGS_MAX);
        }
        for (index, tag) in tags.iter().enumerate() {
            self.tag(&format!("{field}[{index}]"), tag);
        }
    }

    pub(super) fn tag(&mut self, field: &str, tag: &str) {
        if tag.trim().is_empty() {
            self.wrong(field, "is empty");
        } else if tag.chars().count() > TAG_CHARS_MAX {
            self.beyond(field, "has more than 64 characters", TAG_CHARS_MAX);
        }
    }

    pub(super) fn custom_fields(&mut self, fields: &CustomFields) {
        if fields.len() > CUSTOM_FIELDS_MAX {
            self.beyond("custom_fields", "has more than 100 fields", CUSTOM_FIELDS_MAX);
        }
        for (key, value) in fields {
            let place = format!("custom_fields.{key}");
            self.id(&place, key);
            if let Scalar::Text(text) = value
                && text.len() > CUSTOM_TEXT_BYTES_MAX
            {
                self.beyond(&place, "has more than 1,024 bytes", CUSTOM_TEXT_BYTES_MAX);
            }
        }
    }
}

/// Tells a member that is null from one that is absent.
pub(super) fn named<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}
