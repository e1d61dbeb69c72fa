//! `GET /docs`: the OpenAPI document as one page to read, which loads nothing from elsewhere.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docket_schemas::canonical;

const PAGE: &str = include_str!("docs.html");

/// The page may run its own script and style, fetch the document beside it, and nothing else.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        source_hash("script"),
        source_hash("style"),
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The page.
pub(super) async fn get() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone()),
    ];
    (headers, PAGE)
}

/// The one inline element of this name, as Content Security Policy names it.
fn source_hash(element: &str) -> String {
    let (_, rest) = PAGE.split_once(&format!("<{element}>")).unwrap_or_default();
    let (content, _) = rest.split_once(&format!("</{element}>")).unwrap_or_default();
    format!("sha256-{}", STANDARD.encode(canonical::sha256(content.as_bytes())))
}
