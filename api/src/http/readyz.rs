//! `GET /readyz`: whether the next write would succeed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::operations::Operations;
use crate::problem::{Code, Problem};

/// 200, or 503 while draining or when the log takes no writes.
pub(super) async fn get(State(operations): State<Arc<Operations>>) -> Result<Json<Value>, Problem> {
    match operations.readiness.check().await {
        Ok(()) => Ok(Json(json!({"status": "ready"}))),
        Err(reason) => Err(Problem::new(Code::Unavailable).detail(reason)),
    }
}
