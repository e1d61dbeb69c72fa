//! What answers carry besides their bodies, and what operators are served.

use std::time::Duration;

use docket_tests::{Backend, eventually, on_both_backends};
use serde_json::json;

#[tokio::test]
async fn a_write_says_where_it_stands_and_what_it_made() {
    on_both_backends(async |site, node| {
        let agent = node.client(&site.token("agent", "ann"));
        let body = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
        let open = async || {
            let request = agent.post("/v1/tickets").header("Idempotency-Key", "one").json(&body);
            request.send().await.expect_status(201)
        };
        let (first, again) = (open().await, open().await);
        let ticket = first.json()["ticket"].clone();
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
        let etag = format!("\"{}\"", ticket["version"].as_str().unwrap());
        for answer in [&first, &again] {
            assert_eq!(answer.header("location"), Some(path.as_str()));
            assert_eq!(answer.header("etag"), Some(etag.as_str()));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("docket-position"), first.header("docket-position"));
        }
        assert!(first.header("docket-position").is_some_and(|position| !position.is_empty()));
        assert_eq!(first.header("idempotency-replayed"), None);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(first.body, again.body);

        let read = agent.get(&path).send().await.expect_status(200);
        assert_eq!(read.header("etag"), Some(etag.as_str()));
        let said = agent.post(&format!("{path}/messages")).json(&json!({"body": "B"})).send().await;
        let said = said.expect_status(201);
        assert_eq!(said.json()["message"]["ticket_id"], ticket["id"]);
        assert_ne!(said.header("docket-position"), first.header("docket-position"));
        // A place that a write names is a place to read on from.
        let after = first.header("docket-position").unwrap();
        let rest =
            agent.get(&format!("{path}/events?after={after}")).send().await.expect_status(200);
        assert_eq!(rest.json()["events"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn beyond_the_rate_a_caller_is_told_when_to_come_back() {
    let site = docket_tests::Site::embedded().with("rate-limit", "5/s");
    let node = site.serve().await;
    let agent = node.client(&site.token("agent", "ann"));
    let mut refused = None;
    for _ in 0..50 {
        let answer = agent.get("/v1/events").send().await;
        if answer.status == 429 {
            refused = Some(answer.expect_problem(429, "rate_limited"));
            break;
        }
    }
    let refused = refused.expect("fifty requests at once are more than five a second");
    let number = |name: &str| refused.header(name).and_then(|text| text.parse::<u64>().ok());
    assert!(number("retry-after").is_some_and(|seconds| seconds >= 1));
    assert_eq!(number("ratelimit-limit"), Some(5));
    assert_eq!(number("ratelimit-remaining"), Some(0));
    assert!(number("ratelimit-reset").is_some());
    let other = node.client(&site.token("agent", "bob"));
    let _ = other.get("/v1/events").send().await.expect_status(200);
}

#[tokio::test]
async fn metrics_are_lines_of_a_name_labels_and_a_number() {
    on_both_backends(async |site, node| {
        let agent = node.client(&site.token("agent", "ann"));
        let body = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
        let _ = agent.post("/v1/tickets").json(&body).send().await.expect_status(201);
        let answer = node.anonymous().get("/metrics").send().await.expect_status(200);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("docket_") || name.starts_with("process_"), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(text.ends_with("# EOF\n"));
        let opened =
            r#"docket_http_requests_total{route="/v1/tickets",method="POST",status="2xx"} 1"#;
        assert!(text.contains(opened), "{text}");
        assert!(text.contains("docket_append_seconds"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_node_whose_database_is_gone_is_alive_but_not_ready() {
    let backend = Backend::postgres().await;
    let node = backend.site.serve().await;
    let probe = node.anonymous();
    let agent = node.client(&backend.site.token("agent", "ann"));
    backend.lock_out().await;
    let not_ready = eventually(Duration::from_secs(10), async || {
        let answer = probe.get("/readyz").send().await;
        (answer.status != 200).then_some(answer)
    });
    let not_ready = not_ready.await.expect("a probe that notices");
    let _ = not_ready.expect_problem(503, "unavailable");
    let _ = probe.get("/healthz").send().await.expect_status(200);
    let body = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let refused = agent.post("/v1/tickets").json(&body).send().await;
    let refused = refused.expect_problem(503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    assert!(!node.log().contains("panic"));
}
