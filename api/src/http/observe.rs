//! The one layer around every route: counts, logs, names and guards each request.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::answers;
use super::body::unread;
use super::head;
use super::request_id::RequestIds;
use super::wait;
use crate::clock;
use crate::metrics::RequestMetrics;
use crate::problem::{Code, Problem};

/// Names a request in answers and logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers that took longer are logged as a warning. The time for which a request asked to wait comes on top of it.
const SLOW: Duration = Duration::from_secs(5);

/// Makes [`Observe`]; cheap to clone.
#[derive(Clone)]
pub(super) struct ObserveLayer(Arc<Shared>);

struct Shared {
    metrics: RequestMetrics,
    ids: RequestIds,
}

impl ObserveLayer {
    pub(super) fn new(metrics: RequestMetrics) -> Self {
        Self(Arc::new(Shared { metrics, ids: RequestIds::new() }))
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, shared: Arc::clone(&self.0) }
    }
}

/// A service whose every request is observed.
#[derive(Clone)]
pub(super) struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request> for Observe<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let started = clock::monotonic();
        let method = request.method().clone();
        let slow = SLOW + wait::asked(request.uri().query());
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let shared = Arc::clone(&self.shared);
        let checked = head::check(&request);
        let (request, unread) = unread::lend(request);
        let answer = checked.map(|()| AssertUnwindSafe(self.inner.call(request)).catch_unwind());
        Box::pin(async move {
            let mut response = match answer {
                Ok(answer) => match answer.await {
                    Ok(answered) => answered?,
                    // The panic hook has logged what and where.
                    Err(_) => Problem::new(Code::Internal).into_response(),
                },
                Err(problem) => problem.into_response(),
            };
            response = answers::count(&method, response).await;
            let took = started.elapsed();
            let path = matched.as_ref().map(MatchedPath::as_str);
            let metrics = shared.metrics.find(path, &method);
            metrics.observe(response.status().as_u16(), took.as_secs_f64());
            let id = shared.ids.next();
            log(&method, metrics.route, response.status(), (took, slow), &id);
            complete(response.headers_mut(), id);
            if let Some(unread) = unread {
                unread.settle(&mut response).await;
            }
            Ok(response)
        })
    }
}

/// Never anything of the request but its method and route: paths, queries, headers and bodies may be personal.
fn log(
    method: &Method,
    route: &str,
    status: StatusCode,
    (took, slow): (Duration, Duration),
    id: &HeaderValue,
) {
    let took_ms = took.as_secs_f64() * 1e3;
    let (status, id) = (status.as_u16(), id.to_str().unwrap_or_default());
    if status >= 500 {
        tracing::error!(target: "docket::request", %method, route, status, took_ms, request.id = id, "failed");
    } else if took >= slow {
        tracing::warn!(target: "docket::request", %method, route, status, took_ms, request.id = id, "slow");
    } else {
        tracing::debug!(target: "docket::request", %method, route, status, took_ms, request.id = id, "answered");
    }
}

/// What every answer carries: nothing here is for caches, frames or guesses.
fn complete(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
