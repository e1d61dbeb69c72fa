//! Idempotency: one key is one event and one answer, on any node, for ever.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::sync::Arc;

use docket_tests::{Backend, Client, Node, Site, Token};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How often one key is sent at once.
const TRIES: usize = 50;

async fn at_once(clients: &[Client], path: &str, key: &str, body: &Value) -> Vec<Vec<u8>> {
    let clients = Arc::new(clients.to_vec());
    let mut tries = JoinSet::new();
    for index in 0..TRIES {
        let client = clients[index % clients.len()].clone();
        let (path, key, body) = (path.to_owned(), key.to_owned(), body.clone());
        tries.spawn(async move {
            let answer =
                client.post(&path).header("Idempotency-Key", &key).json(&body).send().await;
            answer.expect_status(201).body.to_vec()
        });
    }
    tries.join_all().await
}

async fn events(client: &Client) -> usize {
    let feed = client.get("/v1/events?limit=1000").send().await.expect_status(200).json();
    feed["events"].as_array().unwrap().len()
}

async fn same_everywhere(site: &Site, mut nodes: Vec<Node>) {
    let token = site.token("agent", "ann");
    let clients: Vec<Client> = nodes.iter().map(|node| node.client(&token)).collect();
    let opening = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let answers = at_once(&clients, "/v1/tickets", "one", &opening).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let opened: Value = serde_json::from_slice(&answers[0]).unwrap();
    let messages = format!("/v1/tickets/{}/messages", opened["ticket"]["id"].as_str().unwrap());
    let message = json!({"body": "Hello", "status": "pending"});
    let said = at_once(&clients, &messages, "two", &message).await;
    assert!(said.iter().all(|answer| *answer == said[0]));
    assert_eq!(events(&clients[0]).await, 3);

    for node in &mut nodes {
        node.kill();
        node.restart().await;
    }
    let again = clients[0].post("/v1/tickets").header("Idempotency-Key", "one").json(&opening);
    let again = again.send().await.expect_status(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, answers[0]);
    let again = clients[0].post(&messages).header("Idempotency-Key", "two").json(&message);
    assert_eq!(again.send().await.expect_status(201).body, said[0]);
    assert_eq!(events(&clients[0]).await, 3);

    let other = json!({"subject": "Another", "body": "B", "requester": {"id": "cus_1"}});
    let reused = clients[0].post("/v1/tickets").header("Idempotency-Key", "one").json(&other);
    assert_eq!(reused.send().await.expect_status(422).code(), "idempotency_key_reused");
    let ticket = format!("/v1/tickets/{}", opened["ticket"]["id"].as_str().unwrap());
    let grouped = json!({"priority": "high"});
    let grouped = clients[0].patch(&ticket).header("Idempotency-Key", "three").json(&grouped);
    let _ = grouped.send().await.expect_status(200);
    let cleared = json!({"priority": "high", "group_id": null});
    let cleared = clients[0].patch(&ticket).header("Idempotency-Key", "three").json(&cleared);
    let cleared = cleared.send().await.expect_status(422);
    assert_eq!(cleared.code(), "idempotency_key_reused", "null is not the same as left out");
    let bob = nodes[0].client(&site.token("agent", "bob"));
    let bobs = bob.post("/v1/tickets").header("Idempotency-Key", "one").json(&opening).send().await;
    assert_ne!(bobs.expect_status(201).json()["ticket"]["id"], opened["ticket"]["id"]);

    let elsewhere =
        Token { role: "agent", subject: "ann", tenant: Some("acme"), device: None, ttl: None };
    let elsewhere = nodes[0].client(&site.sign(&elsewhere));
    let foreign = elsewhere.post(&messages).header("Idempotency-Key", "two").json(&message);
    let _ = foreign.send().await.expect_problem(404, "not_found");
    let own = elsewhere.post("/v1/tickets").header("Idempotency-Key", "one").json(&opening);
    let own = own.send().await.expect_status(201);
    assert_eq!(own.header("idempotency-replayed"), None);
    assert_ne!(own.json()["ticket"]["id"], opened["ticket"]["id"]);
    assert_eq!(events(&elsewhere).await, 1);
}

#[tokio::test]
async fn one_key_fifty_times_at_once_and_after_a_restart_is_one_event_on_sqlite() {
    let backend = Backend::sqlite();
    let nodes = vec![backend.site.serve().await];
    same_everywhere(&backend.site, nodes).await;
}

#[tokio::test]
async fn one_key_fifty_times_at_once_on_two_nodes_and_after_a_restart_is_one_event() {
    let backend = Backend::postgres().await;
    let nodes = vec![backend.site.serve().await, backend.site.serve().await];
    same_everywhere(&backend.site, nodes).await;
}
