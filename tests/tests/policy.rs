//! Who may do what: every row of the policy for every role, over HTTP.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use docket_tests::{Client, Node, Site, on_both_backends};
use hyper::Method;
use serde_json::{Value, json};

/// The columns: the ticket's requester, another customer, and one of each other role.
const COLUMNS: [(&str, &str); 7] = [
    ("customer", "cus_1"),
    ("customer", "cus_2"),
    ("agent", "ann"),
    ("admin", "root"),
    ("bot", "robo"),
    ("auditor", "vera"),
    ("integrator", "hook"),
];

/// How rows answer the columns.
const READ: [u16; 7] = [200, 404, 200, 200, 200, 200, 403];
const WRITE: [u16; 7] = [200, 404, 200, 200, 200, 403, 403];
const SAY: [u16; 7] = [201, 404, 201, 201, 201, 403, 403];
const STAFF_SAY: [u16; 7] = [403, 404, 201, 201, 201, 403, 403];
const STAFF_WRITE: [u16; 7] = [403, 404, 200, 200, 200, 403, 403];
const PEOPLE_WRITE: [u16; 7] = [403, 404, 200, 200, 403, 403, 403];

/// What is asked, and what each column gets. `{}` in the path is a ticket of `cus_1` that nobody has touched.
type Row = (Method, &'static str, Value, [u16; 7]);

fn opening_rows() -> Vec<Row> {
    let tickets = "/v1/tickets";
    let with = |field: &str, value: Value| {
        let mut body = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
        body[field] = value;
        body
    };
    let anybody = [403, 403, 201, 201, 201, 403, 403];
    vec![
        // For oneself: staff have to say for whom.
        (
            Method::POST,
            tickets,
            json!({"subject": "S", "body": "B"}),
            [201, 201, 422, 422, 422, 403, 403],
        ),
        (
            Method::POST,
            tickets,
            with("type", json!("incident")),
            [201, 403, 201, 201, 201, 403, 403],
        ),
        (Method::POST, tickets, with("priority", json!("high")), anybody),
        (Method::POST, tickets, with("tags", json!(["vip"])), anybody),
        (Method::POST, tickets, with("group_id", json!("g")), anybody),
        (Method::POST, tickets, with("custom_fields", json!({"a": 1})), anybody),
        (Method::POST, tickets, with("channel", json!("email")), anybody),
        (Method::POST, tickets, with("external_id", json!("E")), anybody),
        (
            Method::GET,
            "/v1/tickets?external_id=E",
            Value::Null,
            [200, 200, 200, 200, 200, 200, 403],
        ),
        (Method::GET, "/v1/events", Value::Null, [403, 403, 200, 200, 200, 200, 200]),
    ]
}

fn ticket_rows() -> Vec<Row> {
    let status = |status: &str, answers| (Method::PATCH, "{}", json!({"status": status}), answers);
    let field = |body: Value| (Method::PATCH, "{}", body, STAFF_WRITE);
    let read = |path| (Method::GET, path, Value::Null, READ);
    let say = |body: Value, answers| (Method::POST, "{}/messages", body, answers);
    vec![
        read("{}"),
        read("{}?at=2100-01-01T00:00:00Z"),
        read("{}/messages"),
        read("{}/events"),
        say(json!({"body": "B"}), SAY),
        say(json!({"body": "B", "status": "solved"}), SAY),
        say(json!({"body": "B", "status": "pending"}), STAFF_SAY),
        say(json!({"body": "B", "public": false}), STAFF_SAY),
        status("open", WRITE),
        status("solved", WRITE),
        status("pending", STAFF_WRITE),
        status("hold", STAFF_WRITE),
        status("closed", [403, 404, 403, 200, 403, 403, 403]),
        status("new", [403, 404, 403, 403, 403, 403, 403]),
        field(json!({"priority": "high"})),
        field(json!({"type": "incident"})),
        field(json!({"subject": "T"})),
        field(json!({"group_id": "g"})),
        field(json!({"add_tags": ["a"]})),
        field(json!({"remove_tags": ["a"]})),
        field(json!({"custom_fields": {"a": 1}})),
        // One field that is not allowed spoils those that are.
        field(json!({"status": "open", "priority": "high"})),
        (Method::PUT, "{}/followers/cus_9", Value::Null, STAFF_WRITE),
        (Method::DELETE, "{}/followers/cus_9", Value::Null, STAFF_WRITE),
        (Method::PATCH, "{}", json!({"assignee_id": "ann"}), PEOPLE_WRITE),
        (Method::POST, "{}/claim", Value::Null, PEOPLE_WRITE),
        (Method::DELETE, "{}/claim", Value::Null, [403, 404, 409, 409, 403, 403, 403]),
        // What may not be done is refused before anybody looks at how it is said.
        (Method::PATCH, "{}", json!({"subject": " "}), [403, 404, 422, 422, 422, 403, 403]),
        (
            Method::PATCH,
            "{}",
            json!({"add_tags": ["a"], "remove_tags": ["a"]}),
            [403, 404, 422, 422, 422, 403, 403],
        ),
        say(json!({"body": "", "public": false}), [403, 404, 422, 422, 422, 403, 403]),
        say(
            json!({"body": "B", "status": "hold", "observed": "?"}),
            [403, 404, 400, 400, 400, 403, 403],
        ),
        (
            Method::PATCH,
            "{}",
            json!({"status": "pending", "observed": "?"}),
            [403, 404, 400, 400, 400, 403, 403],
        ),
        (
            Method::PATCH,
            "{}",
            json!({"assignee_id": "ann", "observed": "?"}),
            [403, 404, 400, 400, 403, 403, 403],
        ),
        status("snoozed", [403, 404, 422, 422, 422, 403, 403]),
        (
            Method::PATCH,
            "{}?dry_run=1",
            json!({"status": "open"}),
            [422, 404, 422, 422, 422, 403, 403],
        ),
        (Method::POST, "{}/messages", json!({"body": 7}), [422, 404, 422, 422, 422, 403, 403]),
        (Method::POST, "{}/claim", json!({"assignee": "x"}), [403, 404, 422, 422, 403, 403, 403]),
    ]
}

fn merge_rows() -> Vec<Row> {
    let nobody = json!({"into": "01920000-0000-7000-8000-000000000000"});
    vec![
        (Method::POST, "{}/merge", nobody, [403, 404, 404, 404, 403, 403, 403]),
        (Method::POST, "{}/merge", json!({}), [403, 404, 422, 422, 403, 403, 403]),
        (Method::POST, "{}/unmerge", Value::Null, [403, 404, 409, 409, 403, 403, 403]),
    ]
}

struct Cast {
    clients: Vec<Client>,
}

impl Cast {
    fn of(site: &Site, node: &Node) -> Self {
        let client = |(role, subject): &(&str, &str)| node.client(&site.token(role, subject));
        Self { clients: COLUMNS.iter().map(client).collect() }
    }

    fn agent(&self) -> &Client {
        &self.clients[2]
    }

    fn admin(&self) -> &Client {
        &self.clients[3]
    }

    async fn open(&self) -> Value {
        let body = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
        let opened = self.agent().post("/v1/tickets").json(&body).send().await;
        opened.expect_status(201).json()["ticket"].clone()
    }
}

fn path(ticket: &Value) -> String {
    format!("/v1/tickets/{}", ticket["id"].as_str().unwrap())
}

async fn ask(client: &Client, (method, place, body, _): &Row, ticket: &Value) -> u16 {
    let request = client.request(method.clone(), &place.replace("{}", &path(ticket)));
    let request = if body.is_null() { request } else { request.json(body) };
    let answer = request.send().await;
    let code = match answer.status.as_u16() {
        400 => "version_malformed",
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        409 if place.contains("merge") => "not_mergeable",
        409 => "not_claimed",
        422 => "invalid",
        _ => "",
    };
    assert_eq!(answer.code(), code, "{method} {place} {body}");
    answer.status.as_u16()
}

#[tokio::test]
async fn every_role_may_do_what_its_column_says() {
    on_both_backends(async |site, node| {
        let cast = Cast::of(site, node);
        for row in opening_rows().into_iter().chain(ticket_rows()).chain(merge_rows()) {
            for ((client, column), expected) in cast.clients.iter().zip(COLUMNS).zip(row.3) {
                let ticket = cast.open().await;
                let found = ask(client, &row, &ticket).await;
                let (method, place, body, _) = &row;
                assert_eq!(found, expected, "{column:?}: {method} {place} {body}");
            }
            let ticket = cast.open().await;
            assert_eq!(ask(&node.anonymous(), &row, &ticket).await, 401);
        }
    })
    .await;
}

#[tokio::test]
async fn a_conflict_that_holds_closed_is_settled_by_agents_and_admins() {
    on_both_backends(async |site, node| {
        let cast = Cast::of(site, node);
        for (status, expected) in [
            ("open", [409, 404, 200, 200, 409, 403, 403]),
            ("closed", [403, 404, 200, 200, 403, 403, 403]),
        ] {
            for ((client, column), expected) in cast.clients.iter().zip(COLUMNS).zip(expected) {
                let ticket = cast.open().await;
                let write = async |client: &Client, status: &str| {
                    let body = json!({"status": status, "observed": ticket["version"]});
                    let _ =
                        client.patch(&path(&ticket)).json(&body).send().await.expect_status(200);
                };
                write(cast.admin(), "closed").await;
                write(cast.agent(), "pending").await;
                // What the caller sees, or else what staff see.
                let seen = client.get(&path(&ticket)).send().await;
                let seen = if seen.status == 200 {
                    seen
                } else {
                    cast.agent().get(&path(&ticket)).send().await
                };
                let body = json!({"status": status, "observed": seen.json()["ticket"]["version"]});
                let answer = client.patch(&path(&ticket)).json(&body).send().await;
                assert_eq!(
                    answer.status.as_u16(),
                    expected,
                    "{column:?} {status} {:?}",
                    answer.body
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn anothers_claim_is_an_admins_to_take() {
    on_both_backends(async |site, node| {
        let cast = Cast::of(site, node);
        let bob = node.client(&site.token("agent", "bob"));
        let ticket = cast.open().await;
        let (path, claim) = (path(&ticket), format!("{}/claim", path(&ticket)));
        let _ = cast.agent().post(&claim).send().await.expect_status(200);
        let _ = cast.agent().post(&claim).send().await.expect_status(200);
        for refused in [
            bob.post(&claim),
            bob.delete(&claim),
            bob.patch(&path).json(&json!({"assignee_id": "bob"})),
            bob.patch(&path).json(&json!({"assignee_id": null})),
        ] {
            let refused = refused.send().await.expect_problem(409, "already_claimed");
            assert_eq!(refused.json()["holder"], "ann");
        }
        let affirmed = bob.patch(&path).json(&json!({"assignee_id": "ann"})).send().await;
        assert_eq!(affirmed.expect_status(200).json()["ticket"]["assignee_id"], "ann");
        let handed = cast.agent().patch(&path).json(&json!({"assignee_id": "bob"})).send().await;
        assert_eq!(handed.expect_status(200).json()["ticket"]["assignee_id"], "bob");
        let taken = cast.admin().post(&claim).send().await.expect_status(200).json();
        assert_eq!(taken["ticket"]["assignee_id"], "root");
        let freed = cast.admin().delete(&claim).send().await.expect_status(200).json();
        assert_eq!(freed["ticket"]["assignee_id"], Value::Null);
        let _ = bob.delete(&claim).send().await.expect_problem(409, "not_claimed");
    })
    .await;
}
