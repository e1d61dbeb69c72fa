//! The extractor of [`Token`]: a verified bearer token within its share of requests.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::Token;
use crate::clock;
use crate::gate::Gate;
use crate::problem::Problem;

const SCHEME: &str = "bearer ";

/// The text of the one bearer token of a request (RFC 6750, in the header only).
///
/// # Errors
/// 401 when there is no `Authorization` header, several, or one of another scheme.
pub fn bearer_text(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let field = fields
        .next()
        .ok_or_else(|| Problem::unauthenticated("send `Authorization: Bearer <token>`"))?;
    if fields.next().is_some() {
        return Err(Problem::unauthenticated("more than one `Authorization` header"));
    }
    let field = field.to_str().unwrap_or_default();
    match field.split_at_checked(SCHEME.len()) {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(text.trim_start()),
        _ => Err(Problem::unauthenticated("`Authorization` is not of the form `Bearer <token>`")),
    }
}

impl<S> FromRequestParts<S> for Token
where
    S: Send + Sync,
    Arc<Gate>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = bearer_text(&parts.headers)?;
        let token = Arc::<Gate>::from_ref(state).admit(text, clock::now()).await?;
        // For whatever counts by caller.
        parts.extensions.insert(token.clone());
        Ok(token)
    }
}
