//! Docket's own header fields, and `If-Match`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::problem::{Code, Problem};

/// Makes a write safe to repeat.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is that of an earlier try.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Where a write stands in the log.
pub const DOCKET_POSITION: HeaderName = HeaderName::from_static("docket-position");

/// A place that the view has to have reached before it answers.
pub const DOCKET_AFTER: HeaderName = HeaderName::from_static("docket-after");

/// Longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Most entity tags in one `If-Match`.
const ENTITY_TAGS_MAX: usize = 16;

/// What `If-Match` asks of the ticket (RFC 9110, 13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: that there is one.
    Any,
    /// That its version is one of these. Weak tags never match and are left out, so the list may be empty.
    OneOf(Vec<String>),
}

/// The `Idempotency-Key` of a request, if it has one.
///
/// # Errors
/// 422 naming the header when it is not 1 to 255 printable ASCII characters, or given twice.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut fields = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let printable = field.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
    let fits = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&field.len());
    match field.to_str() {
        Ok(key) if printable && fits && fields.next().is_none() => Ok(Some(key)),
        _ => Err(Problem::invalid("Idempotency-Key", "is not 1 to 255 printable ASCII characters")),
    }
}

/// The `If-Match` of a request, if it has one.
///
/// # Errors
/// 422 naming the header when it is neither `*` nor a list of at most 16 quoted tags.
pub fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
    let mut fields = headers.get_all(header::IF_MATCH).iter().peekable();
    if fields.peek().is_none() {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for field in fields {
        let text = field.to_str().map_err(|_| not_a_match())?;
        if text.trim() == "*" && headers.get_all(header::IF_MATCH).iter().count() == 1 {
            return Ok(Some(IfMatch::Any));
        }
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let (opaque, weak) = match tag.strip_prefix("W/") {
                Some(opaque) => (opaque, true),
                None => (tag, false),
            };
            let opaque = opaque.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let opaque = opaque.filter(|tag| !tag.contains('"')).ok_or_else(not_a_match)?;
            tags.push((!weak).then(|| opaque.to_owned()));
        }
    }
    if (1..=ENTITY_TAGS_MAX).contains(&tags.len()) {
        Ok(Some(IfMatch::OneOf(tags.into_iter().flatten().collect())))
    } else {
        Err(not_a_match())
    }
}

fn not_a_match() -> Problem {
    Problem::invalid("If-Match", "is neither `*` nor a list of at most 16 quoted versions")
}

/// The `Docket-After` of a request, if it has one; an empty one asks for nothing.
///
/// # Errors
/// 400 when it is given twice, or is no text.
pub fn docket_after(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut fields = headers.get_all(&DOCKET_AFTER).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    match field.to_str() {
        Ok(after) if fields.next().is_none() => Ok(Some(after).filter(|after| !after.is_empty())),
        _ => Err(Problem::new(Code::CursorMalformed)),
    }
}

/// A version as `ETag`.
#[must_use]
pub fn etag(version: &str) -> HeaderValue {
    let mut quoted = String::with_capacity(version.len() + 2);
    quoted.push('"');
    quoted.push_str(version);
    quoted.push('"');
    HeaderValue::try_from(quoted).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let value = |value: &&str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
        values.iter().map(|text| (name.clone(), value(text))).collect()
    }

    #[test]
    fn an_idempotency_key_is_printable_and_given_once() {
        let parse = |values: &[&str]| {
            let headers = headers(IDEMPOTENCY_KEY, values);
            idempotency_key(&headers).map(|key| key.map(str::to_owned)).map_err(|_| ())
        };
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["a b~"]), Ok(Some("a b~".into())));
        assert_eq!(parse(&[&"k".repeat(255)]), Ok(Some("k".repeat(255))));
        for wrong in [&[""][..], &["é"], &["a\tb"], &["a", "a"], &[&"k".repeat(256)]] {
            assert_eq!(parse(wrong), Err(()), "{wrong:?}");
        }
    }

    #[test]
    fn if_match_is_a_star_or_quoted_versions() {
        let parse = |values: &[&str]| if_match(&headers(header::IF_MATCH, values)).map_err(|_| ());
        let one_of = |tags: &[&str]| {
            Ok(Some(IfMatch::OneOf(tags.iter().map(ToString::to_string).collect())))
        };
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["*"]), Ok(Some(IfMatch::Any)));
        assert_eq!(parse(&["\"a\", \"b\"", "\"c\""]), one_of(&["a", "b", "c"]));
        assert_eq!(parse(&["W/\"a\""]), one_of(&[]));
        for wrong in [&[""][..], &["a"], &["\"a"], &["\"a\"b\""], &["*", "\"a\""]] {
            assert_eq!(parse(wrong), Err(()), "{wrong:?}");
        }
    }
}
