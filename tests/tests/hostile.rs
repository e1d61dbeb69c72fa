//! Hostile input: what is wrong is refused by name, what is only strange comes back as it was sent.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use docket_tests::{Answer, Client, Node, Site, on_both_backends};
use serde_json::{Value, json};

const TICKETS: &str = "/v1/tickets";

/// Right to left, four bytes, joined, combining, marks of direction and order, no character at all.
const STRANGE: &str =
    "\u{feff}שלום \u{202e}abc\u{202c} 😀👩‍👩‍👧 𐍈 e\u{301} 东西 \u{fffd}\u{10ffff}\u{1}\u{7f}\u{85}";

fn agent(site: &Site, node: &Node) -> Client {
    node.client(&site.token("agent", "ann"))
}

fn opening() -> Value {
    json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}})
}

/// The opening with one member replaced.
fn opening_with(field: &str, value: Value) -> Value {
    let mut body = opening();
    body[field] = value;
    body
}

async fn open(client: &Client) -> Value {
    client.post(TICKETS).json(&opening()).send().await.expect_status(201).json()["ticket"].clone()
}

fn path(ticket: &Value) -> String {
    format!("{TICKETS}/{}", ticket["id"].as_str().unwrap())
}

async fn send(client: &Client, path: &str, body: impl Into<bytes::Bytes>) -> Answer {
    let request = client.post(path).header("Content-Type", "application/json");
    request.bytes(body.into()).send().await
}

#[track_caller]
fn check_named(answer: Answer, field: &str, limit: Option<u64>) {
    let problem = answer.expect_problem(422, "invalid").json();
    let errors = problem["errors"].as_array().unwrap();
    let error = errors.iter().find(|error| error["field"] == field);
    let Some(error) = error else { panic!("`{field}` is not named: {problem}") };
    assert_eq!(error["limit"].as_u64(), limit, "{problem}");
}

#[tokio::test]
async fn strange_texts_come_back_as_they_were_sent() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let body = json!({
            "subject": STRANGE, "body": STRANGE, "requester": {"id": STRANGE, "name": STRANGE},
            "tags": [STRANGE], "group_id": STRANGE, "external_id": STRANGE,
            "custom_fields": {STRANGE: STRANGE},
        });
        let ticket = send(&ann, TICKETS, body.to_string()).await.expect_status(201).json();
        let read = ann.get(&path(&ticket["ticket"])).send().await.expect_status(200).json();
        for shown in [&ticket["ticket"], &read["ticket"]] {
            for field in ["subject", "tags", "group_id", "external_id", "custom_fields"] {
                assert_eq!(shown[field], body[field], "{field}");
            }
            assert_eq!(shown["requester_id"], STRANGE);
        }
        let messages = format!("{}/messages", path(&read["ticket"]));
        let listed = ann.get(&messages).send().await.expect_status(200).json();
        assert_eq!(listed["messages"][0]["body"], STRANGE);
        let encoded: String = STRANGE.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = ann.get(&format!("{TICKETS}?external_id={encoded}")).send().await;
        assert_eq!(found.expect_status(200).json()["tickets"][0]["id"], read["ticket"]["id"]);
    })
    .await;
}

#[tokio::test]
async fn nul_lone_surrogates_and_broken_utf8_are_refused() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let with =
            |text: &str| format!(r#"{{"subject":{text},"body":"B","requester":{{"id":"c"}}}}"#);
        check_named(send(&ann, TICKETS, with(r#""a\u0000b""#)).await, "subject", None);
        let key =
            r#"{"subject":"S","body":"B","requester":{"id":"c"},"custom_fields":{"a\u0000":1}}"#;
        check_named(send(&ann, TICKETS, key).await, "custom_fields.a\\0", None);
        for text in [r#""\ud800""#, r#""\udc00\ud800""#, "\"\0\"", r#""\u12""#] {
            let _ = send(&ann, TICKETS, with(text)).await.expect_problem(400, "malformed_json");
        }
        let broken = [b"{\"subject\":\"".as_slice(), &[0xff, 0xc0, 0x80], b"\"}"].concat();
        let _ = send(&ann, TICKETS, broken).await.expect_problem(400, "malformed_json");

        check_named(ann.get("/v1/events?after=%00").send().await, "after", None);
        check_named(ann.get("/v1/events?after=%ff").send().await, "after", None);
        let ticket = path(&open(&ann).await);
        check_named(ann.put(&format!("{ticket}/followers/%00")).send().await, "person", None);
        for wrong in ["%00", "%ff", "..%2f..", "0", "%F0%9F%98%80"] {
            let answer = ann.get(&format!("{TICKETS}/{wrong}")).send().await;
            let _ = answer.expect_problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn a_limit_is_kept_to_the_last_character_and_named_beyond_it() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let tags = |count: usize| json!((0..count).map(|n| n.to_string()).collect::<Vec<_>>());
        let fields = |count: usize| {
            json!(
                (0..count)
                    .map(|n| (n.to_string(), n))
                    .collect::<std::collections::BTreeMap<_, _>>()
            )
        };
        let cases = [
            ("body", json!("x".repeat(65_536)), json!("x".repeat(65_537)), "body", 65_536),
            ("body", json!("😀".repeat(16_384)), json!("😀".repeat(16_385)), "body", 65_536),
            ("subject", json!("😀".repeat(255)), json!("x".repeat(256)), "subject", 255),
            (
                "requester",
                json!({"id": "x".repeat(255)}),
                json!({"id": "é".repeat(128)}),
                "requester.id",
                255,
            ),
            ("group_id", json!("x".repeat(255)), json!("x".repeat(256)), "group_id", 255),
            ("external_id", json!("x".repeat(255)), json!("x".repeat(256)), "external_id", 255),
            ("tags", json!(["😀".repeat(64)]), json!(["a", "x".repeat(65)]), "tags[1]", 64),
            ("tags", tags(100), tags(101), "tags", 100),
            ("custom_fields", fields(100), fields(101), "custom_fields", 100),
            (
                "custom_fields",
                json!({"a": "x".repeat(1_024)}),
                json!({"a": "x".repeat(1_025)}),
                "custom_fields.a",
                1_024,
            ),
        ];
        for (field, fits, beyond, named, limit) in cases {
            let fits = opening_with(field, fits).to_string();
            let _ = send(&ann, TICKETS, fits).await.expect_status(201);
            let beyond = opening_with(field, beyond).to_string();
            check_named(send(&ann, TICKETS, beyond).await, named, Some(limit));
        }
        for blank in ["", " \t\n", "\u{3000}"] {
            for field in ["subject", "body"] {
                let body = opening_with(field, json!(blank)).to_string();
                check_named(send(&ann, TICKETS, body).await, field, None);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_has_one_mebibyte_and_the_media_type_of_json() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let padded = |length: usize| {
            let body = opening().to_string();
            let spaces = " ".repeat(length - body.len());
            body + &spaces
        };
        let _ = send(&ann, TICKETS, padded(1 << 20)).await.expect_status(201);
        let refused = send(&ann, TICKETS, padded((1 << 20) + 1)).await;
        let refused = refused.expect_problem(413, "too_large").json();
        assert_eq!(refused["limit"], 1 << 20);
        for media_type in
            ["text/plain", "application/jsonx", "application/x-www-form-urlencoded", ""]
        {
            let request = ann.post(TICKETS).header("Content-Type", media_type);
            let answer = request.bytes(opening().to_string()).send().await;
            let _ = answer.expect_problem(415, "unsupported_media_type");
        }
        let none = ann.post(TICKETS).bytes(opening().to_string()).send().await;
        let _ = none.expect_problem(415, "unsupported_media_type");
        let utf16 = ann.post(TICKETS).header("Content-Type", "application/json; charset=utf-16");
        let utf16 = utf16.bytes(opening().to_string()).send().await;
        let _ = utf16.expect_problem(415, "unsupported_media_type");
        let gzip = ann.post(TICKETS).header("Content-Encoding", "gzip").json(&opening());
        let gzip = gzip.send().await.expect_problem(415, "unsupported_media_type");
        assert_eq!(gzip.header("accept-encoding"), Some("identity"));
        let charset = ann.post(TICKETS).header("Content-Type", "Application/JSON; charset=utf-8");
        let _ = charset.bytes(opening().to_string()).send().await.expect_status(201);
    })
    .await;
}

#[tokio::test]
async fn broken_json_is_400_and_json_of_another_shape_is_422() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let deep = |depth: usize| "[".repeat(depth);
        let number = |text: &str| format!(r#"{{"custom_fields":{{"n":{text}}}}}"#);
        let malformed = [
            String::new(),
            "{".into(),
            "{}}".into(),
            "{'a':1}".into(),
            "nul".into(),
            "\u{feff}{}".into(),
            r#"{"a":1,}"#.into(),
            deep(100_000),
            deep(500_000),
            number("1e999"),
            number("NaN"),
            number("01"),
            number("--1"),
            number(&"9".repeat(400)),
        ];
        for body in malformed {
            let answer = send(&ann, TICKETS, body).await.expect_problem(400, "malformed_json");
            assert!(answer.json()["line"].as_u64().is_some());
        }
        let ticket = path(&open(&ann).await);
        let nested = format!("{{\"custom_fields\":{{\"n\":{}{}}}}}", deep(100), "]".repeat(100));
        let shapes = [
            ("[]", ""),
            ("null", ""),
            ("7", ""),
            (r#""text""#, ""),
            (r#"{"subject":7}"#, "subject"),
            (r#"{"subject":["S"]}"#, "subject"),
            (r#"{"status":{"open":null}}"#, "status"),
            (r#"{"status":"Open"}"#, "status"),
            (r#"{"add_tags":"a"}"#, "add_tags"),
            (r#"{"add_tags":[1]}"#, "add_tags[0]"),
            (r#"{"subject":"a","subject":"b"}"#, "subject"),
            (nested.as_str(), "custom_fields.n"),
            (r#"{"custom_fields":{"a":1,"a":2}}"#, "custom_fields.a"),
            (r#"{"sbject":"a"}"#, "sbject"),
            (r#"{"priority":null}"#, "priority"),
            (r#"{"status":"snoozed"}"#, "status"),
        ];
        for (body, field) in shapes {
            let answer = ann.patch(&ticket).header("Content-Type", "application/json");
            check_named(answer.bytes(body.to_owned()).send().await, field, None);
        }
        let empty = json!({"add_tags": []});
        let _ = ann.patch(&ticket).json(&empty).send().await.expect_problem(422, "invalid");
        let nested = opening_with("requester", json!({"id": "c", "phone": "1"})).to_string();
        check_named(send(&ann, TICKETS, nested).await, "requester.phone", None);
        let many = opening_with("tags", json!(vec![0; 20_001])).to_string();
        let answer = send(&ann, TICKETS, many).await.expect_problem(422, "invalid").json();
        assert_eq!(answer["errors"][0]["limit"], 20_000);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_does_not_grow_with_what_it_repeats() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let nul = format!(r#"{{"{}":[{}]}}"#, "k".repeat(490_000), [r#""\u0000""#; 20].join(","));
        let query: String = (0..20_000).map(|n| format!("{n}&")).collect();
        let tags = opening_with("tags", json!(vec![""; 9_000])).to_string();
        for answer in [
            send(&ann, TICKETS, nul).await,
            send(&ann, TICKETS, tags).await,
            ann.get(&format!("/v1/events?{}", &query[..60_000])).send().await,
        ] {
            let answer = answer.expect_problem(422, "invalid");
            assert!(answer.body.len() < 32 * 1024, "{} bytes", answer.body.len());
        }
    })
    .await;
}

#[tokio::test]
async fn a_point_in_time_is_one_of_rfc_3339_however_far_away() {
    on_both_backends(async |site, node| {
        let ann = agent(site, node);
        let ticket = path(&open(&ann).await);
        let now = ann.get(&ticket).send().await.expect_status(200).json();
        for far in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-23:59"] {
            let then = ann.get(&format!("{ticket}?at={far}")).send().await.expect_status(200);
            assert_eq!(then.json()["ticket"]["version"], now["ticket"]["version"], "{far}");
        }
        for past in ["0000-01-01T00:00:00Z", "2020-02-29T23:59:60.5%2b14:00"] {
            let answer = ann.get(&format!("{ticket}?at={past}")).send().await;
            let _ = answer.expect_problem(404, "not_found");
        }
        for wrong in [
            "2026-11-20T00:00Z",
            "2026-11-20T00:00:00,5Z",
            "2026-11-20T00:00:00Z%5BEurope/Berlin%5D",
            "2026-11-20T00:00:00%2b05:30:15",
            "2026-11-20T00:00:00",
            "2026-02-29T00:00:00Z",
        ] {
            check_named(ann.get(&format!("{ticket}?at={wrong}")).send().await, "at", None);
        }
    })
    .await;
}
