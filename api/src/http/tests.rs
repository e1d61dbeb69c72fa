//! The door as a caller meets it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::metrics::Metrics;
use crate::operations::{Operations, Readiness};
use crate::problem::Problem;

fn operations() -> Arc<Operations> {
    let readiness = Readiness::new(Box::new(|| Box::pin(async { Ok(()) })));
    Arc::new(Operations { metrics: Metrics::default(), readiness })
}

async fn panics(State(()): State<()>) -> Result<(), Problem> {
    panic!("a bug")
}

async fn call(
    operations: &Arc<Operations>,
    method: &str,
    path: &str,
) -> (StatusCode, HeaderMap, String) {
    let routes = Routes::new().on(Method::GET, "/panics/{id}", panics);
    let router = router(routes, (), Arc::clone(operations));
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response: Response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[track_caller]
fn check_problem(answer: &(StatusCode, HeaderMap, String), code: &str) {
    let (status, headers, body) = answer;
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], code);
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn every_answer_is_guarded_and_named() {
    let (_, headers, _) = call(&operations(), "GET", "/healthz").await;
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-request-id"].len(), 32);
}

#[tokio::test]
async fn what_is_not_served_is_a_problem() {
    let operations = operations();
    check_problem(&call(&operations, "GET", "/nothing").await, "not_found");
    let answer = call(&operations, "DELETE", "/healthz").await;
    check_problem(&answer, "method_not_allowed");
    assert_eq!(answer.1["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_panic_is_a_500_that_is_counted_under_its_route() {
    let operations = operations();
    check_problem(&call(&operations, "GET", "/panics/7").await, "internal");
    let (_, _, text) = call(&operations, "GET", "/metrics").await;
    let line = "docket_http_requests_total{route=\"/panics/{id}\",method=\"GET\",status=\"5xx\"} 1";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn a_draining_server_is_alive_but_not_ready() {
    let operations = operations();
    assert_eq!(call(&operations, "GET", "/readyz").await.0, StatusCode::OK);
    operations.readiness.drain();
    check_problem(&call(&operations, "GET", "/readyz").await, "unavailable");
    assert_eq!(call(&operations, "GET", "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_page_runs_only_its_own_script() {
    let (status, headers, body) = call(&operations(), "GET", "/docs").await;
    assert_eq!(status, StatusCode::OK);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert_eq!(body.matches("<script").count(), 1);
    assert!(!body.contains("http://") && !body.contains("https://"), "loads from elsewhere");
}

#[test]
fn the_document_describes_every_route_and_no_other() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let callers = documented(&document, |path| path.starts_with("/v1/"));
    assert_eq!(callers, served(caller_routes().table()));
    let operators = documented(&document, |path| !path.starts_with("/v1/"));
    assert_eq!(operators, served(operator_routes().table()));
}

fn served<'a>(table: &[(Method, &'a str)]) -> BTreeSet<(String, &'a str)> {
    table.iter().map(|(method, path)| (method.as_str().to_lowercase(), *path)).collect()
}

/// The operations of the document whose paths `choose` takes.
fn documented(document: &Value, choose: fn(&str) -> bool) -> BTreeSet<(String, &str)> {
    let paths = document["paths"].as_object().unwrap();
    let chosen = paths.iter().filter(|(path, _)| choose(path));
    let operations = chosen.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
        methods.map(|method| (method.clone(), path.as_str()))
    });
    operations.collect()
}
