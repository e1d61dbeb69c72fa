//! Hostile bytes on the wire: heads and bodies that are too many, too long, too slow or no HTTP at all.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::net::SocketAddr;
use std::time::Duration;

use docket_tests::{is_long, on_both_backends};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer than the server waits for a head or a body.
const PATIENCE: Duration = Duration::from_secs(45);

/// So long the server may take to begin with what was sent.
const ARRIVES_WITHIN: Duration = Duration::from_millis(500);

/// Sends bytes and gives all that comes back until the server closes; what it does not read is not sent.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let bytes = bytes.to_vec();
    let sending = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut answer = Vec::new();
    // A reset after the answer is an end, too.
    let _ = tokio::time::timeout(PATIENCE, read.read_to_end(&mut answer)).await.expect("an end");
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn check_refused(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    assert!(answer.contains("\r\nx-request-id: "), "{answer}");
}

#[tokio::test]
async fn a_head_beyond_its_limits_is_refused_with_a_problem() {
    on_both_backends(async |_, node| {
        let many = (0..10_000).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>();
        let few_and_long = format!("x-long: {}\r\n", "x".repeat(1 << 20));
        for headers in [many, few_and_long] {
            let head = format!("GET /healthz HTTP/1.1\r\nhost: d\r\n{headers}\r\n");
            let answer = exchange(node.address(), head.as_bytes()).await;
            check_refused(&answer, 431, "headers_too_large");
        }
        for length in [66_000, 1 << 20] {
            let endless = format!("GET /{} HTTP/1.1\r\nhost: d\r\n\r\n", "x".repeat(length));
            let answer = exchange(node.address(), endless.as_bytes()).await;
            check_refused(&answer, 414, "uri_too_long");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_or_dropped() {
    on_both_backends(async |_, node| {
        for bytes in [
            b"\0\0\0\0\r\n\r\n".as_slice(),
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: d\r\nbad header\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: d\r\nx: \0\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: d\r\nhost: e\r\nconnection: close\r\n\r\n",
            b"POST /v1/tickets HTTP/1.1\r\nhost: d\r\ncontent-length: -1\r\n\r\n",
            b"POST /v1/tickets HTTP/1.1\r\nhost: d\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ] {
            let answer = exchange(node.address(), bytes).await;
            check_refused(&answer, 400, "malformed_request");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_or_lies_about_its_length_harms_nobody() {
    on_both_backends(async |site, node| {
        let token = site.token("agent", "ann");
        let head = |rest: &str| {
            format!(
                "POST /v1/tickets HTTP/1.1\r\nhost: d\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\n{rest}\r\n"
            )
        };
        let huge = head("content-length: 1000000000000000\r\n");
        check_refused(&exchange(node.address(), huge.as_bytes()).await, 413, "too_large");
        let absurd = head("content-length: 18446744073709551615\r\n");
        check_refused(&exchange(node.address(), absurd.as_bytes()).await, 413, "too_large");
        let long = head("content-length: 2000000\r\n") + &" ".repeat(2_000_000);
        check_refused(&exchange(node.address(), long.as_bytes()).await, 413, "too_large");
        let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
        let chunked = head("transfer-encoding: chunked\r\n") + &chunk + "1\r\n \r\n0\r\n\r\n";
        check_refused(&exchange(node.address(), chunked.as_bytes()).await, 413, "too_large");
        for _ in 0..50 {
            let mut stream = TcpStream::connect(node.address()).await.unwrap();
            let half = head("content-length: 100\r\n") + "{\"subject\":";
            stream.write_all(half.as_bytes()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_that_are_announced_and_do_not_come_keep_nobody_out() {
    on_both_backends(async |site, node| {
        let tokens = ["ida", "ian", "ike", "ivy"].map(|name| site.token("agent", name));
        let mut idle = Vec::new();
        // More than all bodies together may have, if what they announce counted.
        for number in 0..300 {
            let token = &tokens[number % tokens.len()];
            let head = format!(
                "POST /v1/tickets HTTP/1.1\r\nhost: d\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: 1048576\r\n\r\n{{"
            );
            let mut stream = TcpStream::connect(node.address()).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            idle.push(stream);
        }
        tokio::time::sleep(ARRIVES_WITHIN).await;
        let ann = node.client(&site.token("agent", "ann"));
        let ticket = json!({"subject": "S", "body": "B", "requester": {"id": "mia"}});
        let _ = ann.post("/v1/tickets").json(&ticket).send().await.expect_status(201);
    })
    .await;
}

#[tokio::test]
async fn a_connection_goes_on_after_a_body_that_nobody_wanted() {
    on_both_backends(async |site, node| {
        let token = site.token("agent", "ann");
        let refused = [
            (
                format!("authorization: Bearer {token}\r\ncontent-type: application/json"),
                2_000_000,
                413,
            ),
            (format!("authorization: Bearer {token}\r\ncontent-type: text/plain"), 300_000, 415),
            ("content-type: application/json".to_owned(), 300_000, 401),
        ];
        let next = "GET /healthz HTTP/1.1\r\nhost: d\r\nconnection: close\r\n\r\n";
        for (fields, length, status) in refused {
            let head = format!("POST /v1/tickets HTTP/1.1\r\nhost: d\r\n{fields}\r\n");
            let head = format!("{head}content-length: {length}\r\n\r\n");
            let bytes = head + &" ".repeat(length) + next;
            let answers = exchange(node.address(), bytes.as_bytes()).await;
            assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
            assert!(answers.contains("}HTTP/1.1 200 OK\r\n"), "{answers}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_head_and_a_slow_body_are_408() {
    if !is_long() {
        return;
    }
    on_both_backends(async |site, node| {
        let token = site.token("agent", "ann");
        let body = format!(
            "POST /v1/tickets HTTP/1.1\r\nhost: d\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        );
        let head = "GET /healthz HTTP/1.1\r\nhost: d\r\n";
        let (head, body) = tokio::join!(
            exchange(node.address(), head.as_bytes()),
            exchange(node.address(), body.as_bytes())
        );
        check_refused(&head, 408, "timeout");
        check_refused(&body, 408, "timeout");
        assert!(body.contains("\r\nconnection: close\r\n"), "{body}");
    })
    .await;
}
