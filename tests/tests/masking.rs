//! What customers get: the public part of their own tickets, which does not move for what they may not see.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::BTreeSet;

use docket_tests::{Answer, Backend, Client, Node, Site, on_both_backends};
use serde_json::{Value, json};

struct Scene {
    customer: Client,
    agent: Client,
    admin: Client,
    path: String,
    version: Value,
}

impl Scene {
    async fn open(site: &Site, node: &Node) -> Self {
        let client = |role, subject| node.client(&site.token(role, subject));
        let customer = client("customer", "cus_1");
        let name = json!({"id": "cus_1", "name": "Mia", "email": "mia@mail.example"});
        let body = json!({"subject": "S", "body": "B", "requester": name});
        let opened =
            customer.post("/v1/tickets").json(&body).send().await.expect_status(201).json();
        Self {
            path: format!("/v1/tickets/{}", opened["ticket"]["id"].as_str().unwrap()),
            version: opened["ticket"]["version"].clone(),
            agent: client("agent", "ann"),
            admin: client("admin", "root"),
            customer,
        }
    }

    async fn patch(&self, client: &Client, body: Value) -> Value {
        client.patch(&self.path).json(&body).send().await.expect_status(200).json()["ticket"]
            .clone()
    }

    async fn seen(&self, rest: &str) -> Answer {
        let answer = self.customer.get(&format!("{}{rest}", self.path)).send().await;
        answer.expect_status(200)
    }

    /// All that the customer can read of the ticket.
    async fn everything(&self) -> Vec<(Option<String>, Value)> {
        let mut seen = Vec::new();
        for rest in ["", "/messages", "/events", "?at=2100-01-01T00:00:00Z"] {
            let answer = self.seen(rest).await;
            seen.push((answer.header("etag").map(str::to_owned), answer.json()));
        }
        seen
    }
}

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn nothing_of_a_customers_ticket_moves_for_what_is_hidden() {
    on_both_backends(async |site, node| {
        let scene = Scene::open(site, node).await;
        let before = scene.everything().await;
        let note = json!({"body": "a secret", "public": false});
        let messages = format!("{}/messages", scene.path);
        let _ = scene.agent.post(&messages).json(&note).send().await.expect_status(201);
        for hidden in [
            json!({"add_tags": ["secret"]}),
            json!({"remove_tags": ["secret"]}),
            json!({"group_id": "secret"}),
            json!({"custom_fields": {"secret": "secret"}}),
        ] {
            scene.patch(&scene.agent, hidden).await;
        }
        let follower = format!("{}/followers/secret", scene.path);
        let _ = scene.agent.put(&follower).send().await.expect_status(200);
        let after = scene.everything().await;
        assert_eq!(after, before);
        assert!(!format!("{after:?}").contains("secret"));

        // The version from before all that is still the customer's current one.
        let tag = format!("\"{}\"", scene.version.as_str().unwrap());
        let solved = scene.customer.patch(&scene.path).header("If-Match", &tag);
        let solved = solved.json(&json!({"status": "solved"})).send().await.expect_status(200);
        assert_ne!(solved.header("etag"), Some(tag.as_str()));
        let again = scene.customer.patch(&scene.path).header("If-Match", &tag);
        let again = again.json(&json!({"status": "open"})).send().await;
        let again = again.expect_problem(412, "precondition_failed").json();
        assert_eq!(again["current"], solved.json()["ticket"]);
        assert_eq!(solved.json(), scene.seen("").await.json());
    })
    .await;
}

#[tokio::test]
async fn a_customer_gets_the_public_part_and_no_more() {
    on_both_backends(async |site, node| {
        let scene = Scene::open(site, node).await;
        let mixed = json!({"status": "pending", "priority": "high", "add_tags": ["secret"], "group_id": "secret"});
        scene.patch(&scene.agent, mixed).await;
        let public = [
            "id", "subject", "status", "priority", "type", "requester_id", "assignee_id", "channel", "created_at",
            "updated_at", "message_count", "version", "conflicts",
        ];
        let written = scene.patch(&scene.customer, json!({"status": "open"})).await;
        assert!(names(&written).is_subset(&public.into_iter().chain(["merge"]).collect()));
        assert!(names(&written).is_superset(&public.into_iter().collect()));
        let events = scene.seen("/events").await.json();
        let members = [
            "id", "type", "stream", "data", "text", "version", "principal", "role", "occurred_at", "recorded_at", "cursor",
        ];
        for event in events["events"].as_array().unwrap() {
            assert_eq!(names(event), members.into_iter().collect());
        }
        assert_eq!(events["events"][1]["data"], json!({"status": "pending", "priority": "high"}));
        assert!(!events.to_string().contains("secret"));
    })
    .await;
}

#[tokio::test]
async fn a_customer_sees_hold_as_open_everywhere() {
    on_both_backends(async |site, node| {
        let scene = Scene::open(site, node).await;
        let held = scene.patch(&scene.agent, json!({"status": "hold"})).await;
        assert_eq!(held["status"], "hold");
        for (_, answer) in scene.everything().await {
            assert!(!answer.to_string().contains("hold"), "{answer}");
        }
        assert_eq!(scene.seen("").await.json()["ticket"]["status"], "open");

        // `hold` beside `open` is no conflict that a customer could see.
        let scene = Scene::open(site, node).await;
        let version = &scene.version;
        scene.patch(&scene.agent, json!({"status": "hold", "observed": version})).await;
        let both =
            scene.patch(&scene.customer, json!({"status": "open", "observed": version})).await;
        assert_eq!((&both["status"], &both["conflicts"]), (&json!("open"), &json!([])));

        // `hold` beside `pending` is one, of which the staff's names are hidden.
        let third =
            scene.patch(&scene.admin, json!({"status": "pending", "observed": version})).await;
        assert_eq!(third["conflicts"][0]["candidates"].as_array().unwrap().len(), 3);
        let seen = scene.seen("").await.json();
        let conflict = &seen["ticket"]["conflicts"][0];
        assert_eq!(conflict["effective"], seen["ticket"]["status"]);
        for candidate in conflict["candidates"].as_array().unwrap() {
            let own = candidate["role"] == "customer";
            assert_eq!(candidate.get("principal"), own.then_some(&json!("cus_1")), "{candidate}");
            assert_ne!(candidate["value"], "hold");
        }
    })
    .await;
}

#[tokio::test]
async fn a_follower_reads_and_answers_like_the_requester_until_unfollowed() {
    on_both_backends(async |site, node| {
        let scene = Scene::open(site, node).await;
        let friend = node.client(&site.token("customer", "friend"));
        let follower = format!("{}/followers/friend", scene.path);
        let messages = format!("{}/messages", scene.path);
        let _ = friend.get(&scene.path).send().await.expect_problem(404, "not_found");
        let _ = scene.agent.put(&follower).send().await.expect_status(200);
        let _ = scene.agent.put(&follower).send().await.expect_status(200);
        let read = friend.get(&scene.path).send().await.expect_status(200).json();
        assert_eq!(read, scene.seen("").await.json());
        let events = friend.get(&format!("{}/events", scene.path)).send().await;
        let opening = &events.expect_status(200).json()["events"][0];
        assert_eq!(opening["text"], json!({"subject": "S", "body": "B"}), "of nobody's address");
        let body = json!({"body": "me too"});
        let said = friend.post(&messages).json(&body).send().await.expect_status(201).json();
        assert_eq!(said["message"]["author_id"], "friend");
        let _ = scene.agent.delete(&follower).send().await.expect_status(200);
        let _ = friend.get(&scene.path).send().await.expect_problem(404, "not_found");
        let _ = friend.post(&messages).json(&body).send().await.expect_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn who_was_unfollowed_on_one_node_reads_nothing_on_another() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let scene = Scene::open(&backend.site, &nodes[0]).await;
    let friend = nodes[1].client(&backend.site.token("customer", "friend"));
    let follower = format!("{}/followers/friend", scene.path);
    for place in ["/messages", "/events", "?at=2100-01-01T00:00:00Z", ""] {
        let place = format!("{}{place}", scene.path);
        let _ = scene.agent.put(&follower).send().await.expect_status(200);
        let _ = friend.get(&place).send().await.expect_status(200);
        let _ = scene.agent.delete(&follower).send().await.expect_status(200);
        let _ = friend.get(&place).send().await.expect_problem(404, "not_found");
    }
}
