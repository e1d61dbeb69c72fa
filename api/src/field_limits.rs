//! The limits of fields, the same at every door.

/// Longest subject, in Unicode scalars.
pub(crate) const SUBJECT_CHARS_MAX: usize = 255;
/// Longest message, in bytes of UTF-8.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest tag, in Unicode scalars.
pub(crate) const TAG_CHARS_MAX: usize = 64;
/// Most tags of one request.
pub(crate) const TAGS_MAX: usize = 100;
/// Longest id from outside, in bytes of UTF-8.
pub(crate) const ID_BYTES_MAX: usize = 255;
/// Longest reason of an operator's act, in Unicode scalars.
pub(crate) const REASON_CHARS_MAX: usize = 1_000;
/// Longest text of a custom field, in bytes of UTF-8.
pub(crate) const CUSTOM_TEXT_BYTES_MAX: usize = 1024;
/// Most custom fields of one request.
pub(crate) const CUSTOM_FIELDS_MAX: usize = 100;
