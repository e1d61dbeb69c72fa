//! `GET /healthz`: the process is alive, whatever it depends on.

use axum::Json;
use serde_json::{Value, json};

/// Always 200.
pub(super) async fn get() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
