//! The query of a request, in which every parameter is known and given once.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::problem::{Code, FIELD_ERRORS_MAX, FieldError, Problem};

/// A query as it came. Extracting it never fails; its content is looked at by [`Query::params`].
#[derive(Debug, Clone)]
pub struct Query(String);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    /// A query as it stands behind the `?`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The values of the parameters with these names, in this order: `let [at, limit] = query.params(["at", "limit"])?`.
    ///
    /// # Errors
    /// 422 naming the parameters that are unknown, given twice, or not UTF-8 without NUL, the first
    /// [`FIELD_ERRORS_MAX`] of them.
    pub fn params<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<Cow<'_, str>>; N], Problem> {
        let mut values = [const { None }; N];
        let mut errors = Vec::new();
        for pair in self.0.split('&').filter(|pair| !pair.is_empty()) {
            if let Err(error) = take(pair, names, &mut values) {
                errors.push(error);
                if errors.len() == FIELD_ERRORS_MAX {
                    break;
                }
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(Problem::new(Code::Invalid).errors(errors)) }
    }
}

fn take<'a, const N: usize>(
    pair: &'a str,
    names: [&str; N],
    values: &mut [Option<Cow<'a, str>>; N],
) -> Result<(), FieldError> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = decoded(name).ok_or_else(|| FieldError::new(name, "is not UTF-8"))?;
    let Some(index) = names.iter().position(|known| *known == name) else {
        return Err(FieldError::new(name, "is not a known parameter"));
    };
    if values[index].is_some() {
        return Err(FieldError::new(name, "is given twice"));
    }
    match decoded(value) {
        None => Err(FieldError::new(name, "is not UTF-8")),
        Some(value) if value.contains('\0') => {
            Err(FieldError::new(name, "contains a NUL character"))
        }
        Some(value) => {
            values[index] = Some(value);
            Ok(())
        }
    }
}

/// `application/x-www-form-urlencoded`; none when the bytes are not UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(text)
    }

    #[track_caller]
    fn check_refused(text: &str, fields: &[&str]) {
        let problem = query(text).params(["at", "page[size]"]).unwrap_err();
        let named: Vec<_> = problem.field_errors().iter().map(|e| e.field.as_str()).collect();
        assert_eq!((problem.code(), named.as_slice()), (Code::Invalid, fields), "{text}");
    }

    #[test]
    fn parameters_are_found_by_name_and_decoded() {
        let query = query("page%5Bsize%5D=10&&at=a+b%C3%A9%zz%");
        let [at, size, none] = query.params(["at", "page[size]", "none"]).unwrap();
        assert_eq!((at.as_deref(), size.as_deref(), none), (Some("a bé%zz%"), Some("10"), None));
    }

    #[test]
    fn unknown_repeated_and_broken_parameters_are_named() {
        check_refused("at=1&at=1", &["at"]);
        check_refused("at=1&limit=2&x", &["limit", "x"]);
        check_refused("at=%ff", &["at"]);
        check_refused("at=%00", &["at"]);
        check_refused("%ff=1", &["%ff"]);
    }

    #[test]
    fn a_refusal_names_no_more_than_a_page_of_parameters() {
        let names: Vec<_> = (0..10_000).map(|n| format!("x{n}")).collect();
        let named: Vec<_> = names.iter().take(FIELD_ERRORS_MAX).map(String::as_str).collect();
        check_refused(&names.join("&"), &named);
    }
}
