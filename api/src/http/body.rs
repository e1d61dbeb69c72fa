//! The body of a request, read within its limits before anyone looks at its content.

mod share;
pub(super) mod unread;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use self::share::{Caller, Share};
use super::json;
use crate::auth::Token;
use crate::problem::{Code, Problem};

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest time from the head of a request to the last byte of its body.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Most bytes of bodies held at once, over all requests; beyond it callers get 503.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most bytes of one caller's large bodies held at once.
pub const CALLER_BODIES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A body as it came, or what was wrong with it.
///
/// Extracting it never fails, so that a handler may first answer what the caller may not see (404) or not do (403);
/// its content is looked at by [`Payload::parse`].
pub struct Payload {
    content: Result<Bytes, Problem>,
    media_type: Result<(), Problem>,
    _share: Option<Share>,
}

impl Payload {
    /// The content as JSON of the type `T`.
    ///
    /// # Errors
    /// 415 when it is not plain `application/json` in UTF-8, 413 when it is larger than [`BODY_BYTES_MAX`], 408 when it did not arrive
    /// in time, 503 when too much is being read already, 400 when it is not JSON, 422 when it is of another shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        self.media_type.clone()?;
        match &self.content {
            Ok(content) => json::parse(content),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// The same, but no body at all is `T`'s default.
    ///
    /// # Errors
    /// As [`Payload::parse`].
    pub fn parse_or_default<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Problem> {
        match &self.content {
            Ok(content) if content.is_empty() => Ok(T::default()),
            _ => self.parse(),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let media_type = media_type(&parts.headers);
        let token = parts.extensions.get::<Token>();
        let caller = token.map(|token| (token.tenant.clone(), Arc::clone(&token.subject)));
        // What has no use is not kept.
        let read = match (&media_type, body.size_hint().exact()) {
            (Err(problem), length) if length != Some(0) => Err(problem.clone()),
            (_, Some(length)) if length > BODY_BYTES_MAX as u64 => Err(too_large()),
            (_, length) => {
                let most = length.map_or(BODY_BYTES_MAX, |length| length as usize);
                read(Limited::new(body, BODY_BYTES_MAX), most, caller).await
            }
        };
        Ok(match read {
            Ok((content, share)) => Self { content: Ok(content), media_type, _share: Some(share) },
            Err(problem) => Self { content: Err(problem), media_type, _share: None },
        })
    }
}

/// The body and its share, read in time. `most` is how long it says that it is.
async fn read(
    body: Limited<Body>,
    most: usize,
    caller: Option<Caller>,
) -> Result<(Bytes, Share), Problem> {
    let share = Share::of(caller);
    timeout(BODY_TIME_MAX, gather(body, most, share)).await.unwrap_or_else(|_| {
        Err(Problem::new(Code::Timeout).detail("the body did not arrive within 30 seconds"))
    })
}

/// Takes a share for what has come and not for what was announced: a length costs its sender nothing, and a few hundred
/// that send no byte after it would keep everybody else out.
async fn gather(
    mut body: Limited<Body>,
    most: usize,
    mut share: Share,
) -> Result<(Bytes, Share), Problem> {
    let mut content = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&*error))?.into_data() else { continue };
        let length = content.len() + data.len();
        if length > content.capacity() {
            // Doubled, so that a body in many small pieces is not copied for each of them.
            let capacity = (2 * content.capacity()).min(most).max(length);
            if !share.grow(capacity) {
                return Err(Problem::overloaded());
            }
            content.reserve_exact(capacity - content.len());
        }
        content.extend_from_slice(&data);
    }
    Ok((content.into(), share))
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    // The connection broke: nobody reads the answer.
    Problem::new(Code::MalformedRequest).detail("the body broke off")
}

/// The refusal of a body beyond [`BODY_BYTES_MAX`].
pub(crate) fn too_large() -> Problem {
    Problem::new(Code::TooLarge)
        .detail("the body may have at most 1 MiB")
        .member("limit", BODY_BYTES_MAX)
}

fn media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refusal = |detail: &'static str| Problem::new(Code::UnsupportedMediaType).detail(detail);
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let field = fields.next().and_then(|field| field.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = field.split_once(';').unwrap_or((field, ""));
    if !essence.trim().eq_ignore_ascii_case("application/json") || fields.next().is_some() {
        return Err(refusal("send `Content-Type: application/json`"));
    }
    if !parameters.split(';').all(allows_utf8) {
        return Err(refusal("send the body in UTF-8"));
    }
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        // RFC 9110, 12.5.3: says that the coding was at fault.
        return Err(refusal("send the body without `Content-Encoding`")
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    Ok(())
}

/// Whether a parameter of the media type names no other charset than the one that JSON has.
fn allows_utf8(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let charset = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset")
        || ["utf-8", "utf8"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8))
}

#[cfg(test)]
mod tests;
