//! A refusal as the caller sees it: `application/problem+json`, RFC 9457.

mod code;

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

pub use code::Code;

/// The media type of every problem.
pub const PROBLEM_MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Most characters of a message, or of a field's path, that may repeat what the caller sent.
const MESSAGE_CHARS_MAX: usize = 300;
/// Most fields that one answer names; the others are still wrong.
pub const FIELD_ERRORS_MAX: usize = 20;

/// How soon a caller may try again after an overload.
const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One field, parameter or header that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its path, such as `requester.email` or `tags[3]`; a header by its name. Cut off where it is long.
    pub field: String,
    /// What is wrong with it.
    pub message: Cow<'static, str>,
    /// The limit that it exceeds, in the unit that the message names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl FieldError {
    /// A field that is wrong in a way that has no number.
    pub fn new(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        let field = shortened(Cow::Owned(field.into())).into_owned();
        Self { field, message: shortened(message.into()), limit: None }
    }

    /// A field that exceeds `limit`.
    pub fn beyond(
        field: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
        limit: usize,
    ) -> Self {
        Self { limit: u64::try_from(limit).ok(), ..Self::new(field, message) }
    }
}

/// A refusal or failure, ready to be sent. One pointer wide, so that results stay small.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem that its code says all about.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts {
            code,
            detail: None,
            errors: Vec::new(),
            members: Vec::new(),
            headers: Vec::new(),
        }))
    }

    /// A field, parameter or header that is not valid.
    pub fn invalid(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid).error(FieldError::new(field, message))
    }

    /// Nothing there, or nothing that the caller may see: both look alike.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound)
    }

    /// No valid token; `detail` says what was wrong with the one given.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthenticated)
            .detail(detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// More work than the server takes on; the caller may try again soon.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::new(Code::Overloaded).retry_after(OVERLOAD_RETRY_AFTER)
    }

    /// What happened this time, and what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(shortened(detail.into()));
        self
    }

    /// Adds a field that is not valid, up to [`FIELD_ERRORS_MAX`].
    #[must_use]
    pub fn error(self, error: FieldError) -> Self {
        self.errors([error])
    }

    /// Adds fields that are not valid, up to [`FIELD_ERRORS_MAX`].
    #[must_use]
    pub fn errors(mut self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        let left = FIELD_ERRORS_MAX.saturating_sub(self.0.errors.len());
        self.0.errors.extend(errors.into_iter().take(left));
        self
    }

    /// The same of a part of what was sent: each field is named by its place within the part's. What names the part itself
    /// stays as it is.
    #[must_use]
    pub fn within(mut self, part: &str) -> Self {
        for error in self.0.errors.iter_mut().filter(|error| error.field != part) {
            let place = format!("{part}.{}", error.field);
            error.field = shortened(Cow::Owned(place)).into_owned();
        }
        self
    }

    /// Adds an extension member, such as `holder`, `current` or `after_cursor`.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// Sets a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.retain(|(earlier, _)| *earlier != name);
        self.0.headers.push((name, value));
        self
    }

    /// Sets `Retry-After`, in seconds rounded up, at least 1.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, seconds.max(1).into())
    }

    /// What went wrong, for programs.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The fields that are not valid.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts { code, detail, errors, members, .. } = &*self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", code.uri())?;
        map.serialize_entry("title", code.title())?;
        map.serialize_entry("status", &code.status().as_u16())?;
        map.serialize_entry("code", code.as_str())?;
        if let Some(detail) = detail {
            map.serialize_entry("detail", detail)?;
        }
        if !errors.is_empty() {
            map.serialize_entry("errors", errors)?;
        }
        for (name, value) in members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.code.status();
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_MEDIA_TYPE);
        response.headers_mut().extend(self.0.headers);
        response
    }
}

/// Keeps a message that repeats input from growing with it.
fn shortened(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_its_code_errors_and_members() {
        let problem = Problem::new(Code::AlreadyClaimed)
            .detail("ann holds it")
            .error(FieldError::beyond("tags", "at most 100 tags", 100))
            .member("holder", "ann");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/docs#already_claimed", "title": "Somebody else holds the ticket",
                "status": 409, "code": "already_claimed", "detail": "ann holds it",
                "errors": [{"field": "tags", "message": "at most 100 tags", "limit": 100}],
                "holder": "ann",
            })
        );
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (millis, seconds) in [(0, "1"), (999, "1"), (1_000, "1"), (1_001, "2")] {
            let problem = Problem::overloaded().retry_after(Duration::from_millis(millis));
            let response = problem.into_response();
            let waits: Vec<_> = response.headers().get_all(header::RETRY_AFTER).iter().collect();
            assert_eq!(waits, [seconds], "{millis} ms");
        }
    }

    #[test]
    fn a_field_of_a_part_is_named_by_its_place() {
        let problem =
            Problem::invalid("status", "is unknown").error(FieldError::new("set", "is empty"));
        let problem = problem.within("set");
        let named: Vec<_> = problem.field_errors().iter().map(|e| e.field.as_str()).collect();
        assert_eq!(named, ["set.status", "set"]);
    }

    #[test]
    fn a_message_does_not_grow_with_the_input() {
        let error = FieldError::new("subject", "é".repeat(5_000));
        assert_eq!(error.message.chars().count(), MESSAGE_CHARS_MAX + 1);
    }

    #[test]
    fn a_problem_does_not_grow_with_the_names_that_it_repeats() {
        let error = FieldError::new("\u{1}".repeat(500_000), "is not a known field");
        let many = std::iter::repeat_n(error.clone(), 10_000);
        let problem = Problem::new(Code::Invalid).errors(many).error(error);
        assert_eq!(problem.field_errors().len(), FIELD_ERRORS_MAX);
        assert!(serde_json::to_vec(&problem).unwrap().len() < 64 * 1024);
    }
}
