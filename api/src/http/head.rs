//! The limits of a request's head, whatever it asks for.

use axum::extract::Request;
use axum::http::{HeaderMap, header};

use crate::problem::{Code, Problem};

/// Largest head of a request, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header fields of a request. Over HTTP/1.1 it is hyper's own limit, over HTTP/2 nobody else's.
pub(crate) const HEAD_FIELDS_MAX: usize = 100;

/// The refusal of a head that is larger than [`HEAD_BYTES_MAX`]; the address is at fault where it is most of it.
pub(crate) fn too_large(address_bytes: usize) -> Problem {
    if address_bytes > HEAD_BYTES_MAX / 2 {
        Problem::new(Code::UriTooLong)
    } else {
        Problem::new(Code::HeadersTooLarge).detail("the head may have at most 64 KiB")
    }
}

/// The refusal of a head with more than [`HEAD_FIELDS_MAX`] fields.
pub(crate) fn too_many_fields() -> Problem {
    Problem::new(Code::HeadersTooLarge).detail("the head may have at most 100 fields")
}

/// What is wrong with the head of a request.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    let address_bytes = uri.path_and_query().map_or(0, |address| address.as_str().len());
    if address_bytes + fields_bytes(headers) > HEAD_BYTES_MAX {
        return Err(too_large(address_bytes));
    }
    if headers.len() > HEAD_FIELDS_MAX {
        return Err(too_many_fields());
    }
    // RFC 9112, 3.2: of two hosts, two parties may each believe another one.
    match headers.get_all(header::HOST).iter().nth(1) {
        None => Ok(()),
        Some(_) => Err(Problem::new(Code::MalformedRequest).detail("more than one `Host`")),
    }
}

fn fields_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn refused(path: &str, fields: &[(String, String)]) -> Option<Code> {
        let mut request = Request::builder().uri(path);
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let checked = check(&request.body(Body::empty()).unwrap());
        checked.err().map(|problem| problem.code())
    }

    fn fields(count: usize, bytes: usize) -> Vec<(String, String)> {
        (0..count).map(|n| (format!("x-{n}"), "y".repeat(bytes))).collect()
    }

    #[test]
    fn a_head_has_at_most_100_fields_and_64_kib() {
        assert_eq!(refused("/", &fields(100, 600)), None);
        assert_eq!(refused("/", &fields(101, 1)), Some(Code::HeadersTooLarge));
        assert_eq!(refused("/", &fields(10, 7_000)), Some(Code::HeadersTooLarge));
        let long = format!("/{}", "y".repeat(60_000));
        assert_eq!(refused(&long, &[]), None);
        assert_eq!(refused(&long, &fields(1, 6_000)), Some(Code::UriTooLong));
    }

    #[test]
    fn a_head_names_one_host() {
        let host = ("host".to_owned(), "a".to_owned());
        assert_eq!(refused("/", std::slice::from_ref(&host)), None);
        assert_eq!(refused("/", &[host.clone(), host]), Some(Code::MalformedRequest));
    }
}
