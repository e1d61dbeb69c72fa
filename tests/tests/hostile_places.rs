//! Hostile places: versions, cursors, times, page sizes, methods, paths that are wrong or somebody else's.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use docket_tests::{Answer, Client, Node, Site, on_both_backends};
use hyper::Method;
use serde_json::{Value, json};

/// Sixteen bytes that no change of any ticket begins with.
const NEVER_ISSUED: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Cursors of an incarnation that has not begun, of positions beyond the log, of another region.
const FOREIGN_CURSORS: [&str; 3] = [
    "AQdsb2NhbC45AAAAAAAAAAAAAAAAAAAAAA",
    "AQdsb2NhbC4xf39_f39_f39_f39_f39_fw",
    "AQRldS4xAAAAAAAAAAAAAAAAAAAAAA",
];

/// What no version and no cursor looks like.
const MALFORMED: [&str; 6] = ["x", "AAAA", "not!base64", "AAAAAAAAAAAAAAAAAAAAAA==", "😀", " "];

fn client(site: &Site, node: &Node, role: &str, subject: &str) -> Client {
    node.client(&site.token(role, subject))
}

async fn open(client: &Client, requester: &str) -> Value {
    let body = json!({"subject": "S", "body": "B", "requester": {"id": requester}});
    client.post("/v1/tickets").json(&body).send().await.expect_status(201).json()["ticket"].clone()
}

fn path(ticket: &Value) -> String {
    format!("/v1/tickets/{}", ticket["id"].as_str().unwrap())
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[track_caller]
fn check_named(answer: Answer, field: &str) {
    let problem = answer.expect_problem(422, "invalid").json();
    assert_eq!(problem["errors"][0]["field"], field, "{problem}");
}

#[tokio::test]
async fn a_version_is_of_this_ticket_or_refused() {
    on_both_backends(async |site, node| {
        let ann = client(site, node, "agent", "ann");
        let (ticket, other) = (open(&ann, "cus_1").await, open(&ann, "cus_1").await);
        let path = path(&ticket);
        let foreign = other["version"].as_str().unwrap();
        let messages = format!("{path}/messages");
        for (version, status, code) in
            [(foreign, 409, "version_unknown"), (NEVER_ISSUED, 409, "version_unknown")]
                .into_iter()
                .chain(MALFORMED.map(|version| (version, 400, "version_malformed")))
                .chain([("", 400, "version_malformed")])
        {
            let body = json!({"priority": "high", "observed": version});
            let _ = ann.patch(&path).json(&body).send().await.expect_problem(status, code);
            let body = json!({"body": "B", "observed": version});
            let _ = ann.post(&messages).json(&body).send().await.expect_problem(status, code);
            let at = format!("{path}?at={}", encoded(version));
            let _ = ann.get(&at).send().await.expect_problem(status, code);
        }
        let priority = json!({"priority": "high"});
        for version in [foreign, NEVER_ISSUED, "x"] {
            let tag = format!("\"{version}\"");
            let answer = ann.patch(&path).header("If-Match", &tag).json(&priority).send().await;
            let problem = answer.expect_problem(412, "precondition_failed").json();
            assert_eq!(problem["current"]["version"], ticket["version"]);
        }
        for wrong in ["x", "\"a", "*, \"a\"", "", &vec!["\"a\""; 17].join(",")] {
            let answer = ann.patch(&path).header("If-Match", wrong).json(&priority).send().await;
            check_named(answer, "If-Match");
        }
        for wrong in ["", "a\tb", &"k".repeat(256)] {
            let answer = ann.patch(&path).header("Idempotency-Key", wrong).json(&priority);
            check_named(answer.send().await, "Idempotency-Key");
        }
        let now = ann.get(&path).send().await.expect_status(200).json();
        assert_eq!(now["ticket"], ticket);
    })
    .await;
}

#[tokio::test]
async fn cursors_page_sizes_and_times_are_checked() {
    on_both_backends(async |site, node| {
        let ann = client(site, node, "agent", "ann");
        let path = path(&open(&ann, "cus_1").await);
        for wrong in MALFORMED.iter().chain(&FOREIGN_CURSORS) {
            let wrong = encoded(wrong);
            for place in [
                format!("/v1/events?after={wrong}"),
                format!("{path}/events?after={wrong}"),
                format!("{path}/messages?page%5Bafter%5D={wrong}"),
            ] {
                let _ = ann.get(&place).send().await.expect_problem(400, "cursor_malformed");
            }
        }
        for wrong in ["0", "-1", "+5", "", "1e2", "5.0", "101", "18446744073709551617", "%D9%A5"] {
            let answer = ann.get(&format!("{path}/messages?page[size]={wrong}")).send().await;
            check_named(answer, "page[size]");
            let wrong = if wrong == "101" { "1001" } else { wrong };
            for place in ["/v1/events".to_owned(), format!("{path}/events")] {
                check_named(ann.get(&format!("{place}?limit={wrong}")).send().await, "limit");
            }
        }
        for wrong in
            ["now:", "2026-13-01T00:00:00Z", "2026-11-21T00:00:00", "12:00", "2026-11-21T25:00:00Z"]
        {
            check_named(ann.get(&format!("{path}?at={wrong}")).send().await, "at");
        }
        let before = ann.get(&format!("{path}?at=1970-01-01T00:00:00Z")).send().await;
        let _ = before.expect_problem(404, "not_found");
        let _ = ann
            .get(&format!("{path}?at=2100-01-01T00:00:00%2B01:00"))
            .send()
            .await
            .expect_status(200);
        for (place, field) in [
            (format!("{path}?At=1"), "At"),
            (format!("{path}?at=1&at=2"), "at"),
            (format!("{path}/messages?limit=1"), "limit"),
            ("/v1/tickets?external_id=".to_owned(), "external_id"),
        ] {
            check_named(ann.get(&place).send().await, field);
        }
    })
    .await;
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_and_says_which_it_takes() {
    on_both_backends(async |site, node| {
        let ann = client(site, node, "agent", "ann");
        let ticket = path(&open(&ann, "cus_1").await);
        let paths = [
            ("/v1/tickets".to_owned(), "GET,HEAD,POST"),
            (ticket.clone(), "GET,HEAD,PATCH"),
            (format!("{ticket}/messages"), "GET,HEAD,POST"),
            (format!("{ticket}/claim"), "DELETE,POST"),
            (format!("{ticket}/followers/cus_2"), "DELETE,PUT"),
            (format!("{ticket}/events"), "GET,HEAD"),
            ("/v1/events".to_owned(), "GET,HEAD"),
            ("/healthz".to_owned(), "GET,HEAD"),
            ("/docs".to_owned(), "GET,HEAD"),
        ];
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];
        for (path, taken) in &paths {
            for method in
                methods.iter().filter(|method| !taken.split(',').any(|one| one == **method))
            {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let answer = ann.request(method, path).send().await;
                let answer = answer.expect_problem(405, "method_not_allowed");
                let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
                allowed.sort_unstable();
                assert_eq!(allowed.join(","), *taken, "{path}");
            }
        }
    })
    .await;
}

/// All that a caller could compare: the answer without what names this one request.
fn comparable(answer: &Answer) -> String {
    let named = |name: &str| ["x-request-id", "date"].contains(&name);
    let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !named(name.as_str())).collect();
    format!("{} {headers:?} {:?}", answer.status, answer.body)
}

#[tokio::test]
async fn somebody_elses_ticket_is_answered_like_one_that_is_not_there() {
    on_both_backends(async |site, node| {
        let ann = client(site, node, "agent", "ann");
        let mia = client(site, node, "customer", "mia");
        let stranger = node.client(&site.sign(&docket_tests::Token {
            role: "admin",
            subject: "root",
            tenant: Some("other"),
            device: None,
            ttl: None,
        }));
        let theirs = path(&open(&ann, "tom").await);
        let nowhere = "/v1/tickets/0199aaaa-0000-7000-8000-000000000000";
        let requests = [
            (Method::GET, "", None),
            (Method::GET, "?at=x", None),
            (Method::GET, "/messages", None),
            (Method::GET, "/messages?page[size]=0", None),
            (Method::GET, "/events", None),
            (Method::PATCH, "", Some(json!({"status": "solved"}))),
            (Method::PATCH, "", Some(json!({"priority": 7}))),
            (Method::PATCH, "", Some(json!({"status": "closed", "observed": NEVER_ISSUED}))),
            (Method::POST, "/messages", Some(json!({"body": "B"}))),
            (Method::POST, "/messages", Some(json!({"body": "B", "public": false}))),
            (Method::POST, "/claim", None),
            (Method::DELETE, "/claim", None),
            (Method::PUT, "/followers/mia", None),
        ];
        for (method, rest, body) in &requests {
            for caller in [&mia, &stranger] {
                let ask = async |ticket: &str| {
                    let request = caller.request(method.clone(), &format!("{ticket}{rest}"));
                    let request =
                        request.header("If-Match", "\"x\"").header("Idempotency-Key", "k");
                    match body {
                        Some(body) => request.json(body).send().await,
                        None => request.send().await,
                    }
                };
                let (hidden, absent) = (ask(&theirs).await, ask(nowhere).await);
                assert_eq!(comparable(&hidden), comparable(&absent), "{method} {rest}");
                let _ = hidden.expect_problem(404, "not_found");
            }
        }
    })
    .await;
}
