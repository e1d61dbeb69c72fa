//! `GET /openapi.json`: the description of every route, OpenAPI 3.1.

use axum::http::header;
use axum::response::IntoResponse;

/// The document, as it is served.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// The document.
pub(super) async fn get() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
