//! The server as a connection meets it.

use std::sync::Arc;

use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::http::body::{BODY_BYTES_MAX, Payload};
use crate::http::{Routes, router};
use crate::metrics::Metrics;
use crate::operations::{Operations, Readiness};
use crate::problem::Problem;

struct Running {
    address: SocketAddr,
    drain: watch::Sender<bool>,
    served: tokio::task::JoinHandle<Drained>,
}

async fn echo(payload: Payload) -> Result<String, Problem> {
    payload.parse::<String>()
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(300)).await;
    "done"
}

fn operations() -> Arc<Operations> {
    let readiness = Readiness::new(Box::new(|| Box::pin(async { Ok(()) })));
    Arc::new(Operations { metrics: Metrics::default(), readiness })
}

fn start() -> Running {
    let operations = operations();
    let routes = Routes::new().on(Method::POST, "/echo", echo).on(Method::GET, "/slow", slow);
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let address = server.address().unwrap();
    let (drain, draining) = watch::channel(false);
    let served = tokio::spawn(server.serve(router(routes, (), operations), draining));
    Running { address, drain, served }
}

/// Sends `bytes` and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn check(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    assert!(answer.contains("\r\nx-request-id: "), "{answer}");
}

#[tokio::test]
async fn too_many_or_too_large_header_fields_get_431_with_a_problem() {
    let running = start();
    let many = "x: y\r\n".repeat(10_000);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    check(&exchange(running.address, request.as_bytes()).await, 431, "headers_too_large");
    let large = "y".repeat(100_000);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {large}\r\n\r\n");
    check(&exchange(running.address, request.as_bytes()).await, 431, "headers_too_large");
}

#[tokio::test]
async fn an_address_that_is_too_long_gets_414_with_a_problem() {
    let running = start();
    for length in [66_000, 200_000] {
        let request = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "y".repeat(length));
        check(&exchange(running.address, request.as_bytes()).await, 414, "uri_too_long");
    }
}

#[tokio::test]
async fn a_length_that_nobody_can_count_gets_413() {
    let running = start();
    for length in ["18446744073709551614", "18446744073709551615", "1000000000000000"] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        let request = request.replace("host: a", "host: a\r\ncontent-type: application/json");
        check(&exchange(running.address, request.as_bytes()).await, 413, "too_large");
    }
}

#[tokio::test]
async fn the_next_request_is_answered_after_a_body_that_was_too_large() {
    let running = start();
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let body = "x".repeat(2 * BODY_BYTES_MAX);
    let large = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let next = format!("{head}connection: close\r\ncontent-length: 4\r\n\r\n\"ab\"");
    let answers = exchange(running.address, (large + &next).as_bytes()).await;
    check(&answers, 413, "too_large");
    let (_, second) = answers.split_once("}HTTP/1.1 200 OK\r\n").unwrap();
    assert!(second.ends_with("\r\n\r\nab"), "{second}");
}

#[tokio::test]
async fn what_is_no_http_gets_400_with_a_problem() {
    let running = start();
    check(&exchange(running.address, b"hello\r\n\r\n").await, 400, "malformed_request");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_while_it_is_still_being_sent() {
    let running = start();
    let body = "x".repeat(8 * BODY_BYTES_MAX);
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(running.address, request.as_bytes()).await;
    check(&answer, 413, "too_large");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

/// What HTTP/2 answers to a request that a field and a body make large.
async fn answer_over_http2(field_bytes: usize, body_bytes: usize) -> (StatusCode, String) {
    let operations = operations();
    let routes = Routes::new().on(Method::POST, "/echo", echo);
    let (_drain, draining) = watch::channel(false);
    let shared = connection::Shared {
        service: router(routes, (), operations),
        tls: None,
        http1: connection::http1(),
        drain: draining,
    };
    let (client, server) = tokio::io::duplex(BODY_BYTES_MAX);
    tokio::spawn(connection::run_http2(server, shared));
    let client = TokioIo::new(client);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), client);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://a/echo").header("x", "y".repeat(field_bytes));
    let request = request.header("content-type", "application/json");
    let body = axum::body::Body::from("x".repeat(body_bytes));
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http2_has_the_limits_of_http1() {
    for (field_bytes, body_bytes, status, code) in [
        (60_000, 5, 400, "malformed_json"),
        (66_000, 5, 431, "headers_too_large"),
        (100_000, 5, 431, "headers_too_large"),
        (1, 2 * BODY_BYTES_MAX, 413, "too_large"),
        (1, 16 * BODY_BYTES_MAX, 413, "too_large"),
    ] {
        let (answered, body) = answer_over_http2(field_bytes, body_bytes).await;
        assert_eq!(answered, status, "{body}");
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{body}");
    }
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight() {
    let running = start();
    let request = b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n";
    let slow = tokio::spawn(exchange(running.address, request));
    let idle = TcpStream::connect(running.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.drain.send_replace(true);
    assert!(slow.await.unwrap().ends_with("done"));
    assert_eq!(running.served.await.unwrap(), Drained::Whole);
    drop(idle);
    assert!(TcpStream::connect(running.address).await.is_err());
}
