//! Merges that are asked for while their definition is paused: marked at once, or refused at once, and carried on later.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::time::Duration;

use docket_tests::{Client, Node, Site, eventually, on_both_backends};
use serde_json::{Value, json};

async fn opens(client: &Client, subject: &str) -> String {
    let body = json!({"subject": subject, "body": "It smokes.", "requester": {"id": "cus_1"}});
    let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    opened.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

async fn turns(admin: &Client, definition: &str, way: &str) {
    let path = format!("/v1/sagas/definitions/{definition}/{way}");
    let _ = admin.post(&path).json(&json!({})).send().await.expect_status(200);
}

/// How long the table of sagas may be behind.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

/// The sagas that stand so.
async fn listed(admin: &Client, state: &str) -> Vec<Value> {
    let path = format!("/v1/sagas?state={state}");
    let sagas = admin.get(&path).send().await.expect_status(200).json()["sagas"].take();
    sagas.as_array().unwrap().iter().map(|saga| saga["id"].clone()).collect()
}

async fn retried(admin: Client) {
    let act = async |way: &str, key: &str| {
        let path = format!("/v1/sagas/definitions/merge-tickets/{way}");
        let asked = admin.post(&path).header("Idempotency-Key", key).json(&json!({}));
        asked.send().await.expect_status(200)
    };
    let first = act("pause", "p1").await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let resumed = act("resume", "r1").await;
    let again = act("pause", "p1").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(
        (again.json(), again.header("docket-position")),
        (first.json(), first.header("docket-position"))
    );
    assert_ne!(first.header("docket-position"), resumed.header("docket-position"));
    // It was done once, and undone since.
    let (source, into) = (opens(&admin, "Smoke").await, opens(&admin, "Fire").await);
    let begun = admin.merge(&source, &into).await.expect_status(202);
    assert_eq!(admin.ended(&begun).await["state"], "done");
}

#[tokio::test]
async fn the_retry_of_an_operators_act_does_nothing_again() {
    on_both_backends(async |site: &Site, node: &Node| {
        retried(node.client(&site.token("admin", "root"))).await;
    })
    .await;
}

async fn asked_during_a_pause(site: &Site, node: &Node) {
    let client = |role, subject| node.client(&site.token(role, subject));
    let (agent, admin) = (client("agent", "ann"), client("admin", "root"));
    let (source, into) = (opens(&agent, "Smoke").await, opens(&agent, "Fire").await);
    turns(&admin, "merge-tickets", "pause").await;
    let begun = agent.merge(&source, &into).await.expect_status(202);
    let id = begun.json()["saga"]["id"].clone();
    for (ticket, goes) in [(&source, json!(into)), (&into, Value::Null)] {
        let mark = &agent.ticket(ticket).await["merge"];
        let told = (&mark["state"], &mark["saga_id"], &mark["into"]);
        assert_eq!(told, (&json!("merging"), &id, &goes), "{mark:#}");
    }
    // What cannot be merged is refused now, not when the pause is over.
    let third = opens(&agent, "Steam").await;
    for (from, to) in [(&source, &third), (&third, &source), (&third, &third)] {
        let refused = agent.merge(from, to).await.expect_status(409).json();
        assert_eq!(refused["code"], "not_mergeable", "{refused}");
    }
    let path = begun.header("location").unwrap().to_owned();
    let saga = agent.get(&path).send().await.expect_status(200).json()["saga"].take();
    assert_eq!(saga["state"], "paused", "{saga:#}");
    // The table of sagas follows the log.
    let found = eventually(LISTED_WITHIN, async || {
        let found = listed(&admin, "paused").await;
        (found == [id.clone()]).then_some(())
    });
    assert!(found.await.is_some(), "it is not listed among those at rest");
    assert!(listed(&admin, "running").await.is_empty());
    let attach = saga["steps"].as_array().unwrap().iter().find(|step| step["name"] == "attach");
    assert_eq!(attach.unwrap()["state"], "pending", "{saga:#}");
    assert_eq!(agent.ticket(&source).await["status"], "new", "nothing has moved");
    turns(&admin, "merge-tickets", "resume").await;
    assert_eq!(agent.ended(&begun).await["state"], "done");
    assert_eq!(agent.ticket(&source).await["merge"]["state"], "merged");

    turns(&admin, "unmerge-tickets", "pause").await;
    let begun = agent.unmerge(&source).await.expect_status(202);
    assert_eq!(agent.ticket(&source).await["merge"]["state"], "unmerging");
    turns(&admin, "unmerge-tickets", "resume").await;
    assert_eq!(agent.ended(&begun).await["state"], "done");
}

#[tokio::test]
async fn a_merge_asked_for_during_a_pause_has_its_marks_at_once() {
    on_both_backends(asked_during_a_pause).await;
}
