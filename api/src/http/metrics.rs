//! `GET /metrics`: counters and durations in the OpenMetrics text format.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::operations::Operations;

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of this process.
pub(super) async fn get(State(operations): State<Arc<Operations>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], operations.metrics.encode())
}
