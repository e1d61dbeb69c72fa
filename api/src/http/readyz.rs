//! `GET /readyz`: whether the next write would succeed.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::operations::Operations;
use crate::problem::{Code, Problem};

/// How soon to ask again: readiness is looked at once a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// 200, or 503 while draining or when the log takes no writes.
pub(super) async fn get(State(operations): State<Arc<Operations>>) -> Result<Json<Value>, Problem> {
    match operations.readiness.check().await {
        Ok(()) => Ok(Json(json!({"status": "ready"}))),
        Err(reason) => Err(Problem::new(Code::Unavailable).detail(reason).retry_after(RETRY_AFTER)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;
    use axum::response::IntoResponse as _;

    use super::*;
    use crate::metrics::Metrics;
    use crate::operations::Readiness;

    #[tokio::test]
    async fn whoever_is_sent_away_is_told_when_to_come_back() {
        let readiness = Readiness::new(Box::new(|| Box::pin(async { Ok(()) })));
        readiness.drain();
        let operations = Operations { metrics: Metrics::default(), readiness };
        let answer = get(State(Arc::new(operations))).await.unwrap_err().into_response();
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
    }
}
