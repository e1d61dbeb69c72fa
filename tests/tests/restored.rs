//! A database that is restored from a backup under running nodes: they notice before they write.

use docket_tests::{Backend, Client};
use serde_json::{Value, json};

async fn write(client: &Client, path: &str, body: Value) -> Value {
    client.post(path).json(&body).send().await.expect_status(201).json()
}

/// Requests that meet a connection which the server has closed; each gets 503 and takes it out of the pool.
const LOST_CONNECTIONS_MAX: usize = 20;

async fn status(client: &Client, ticket: &str, status: &str) {
    for _ in 0..LOST_CONNECTIONS_MAX {
        let answer = client.patch(ticket).json(&json!({"status": status})).send().await;
        if answer.status != 503 {
            let _ = answer.expect_status(200);
            return;
        }
    }
    panic!("the node does not find back to its database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_restored_under_running_nodes_begins_one_new_incarnation() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let token = backend.site.token("admin", "root");
    let [first, second] = nodes.each_ref().map(|node| node.client(&token));
    let opening = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let kept = write(&first, "/v1/tickets", opening.clone()).await;
    let kept = format!("/v1/tickets/{}", kept["ticket"]["id"].as_str().unwrap());
    status(&first, &kept, "open").await;
    backend.save().await;

    // A lost connection alone is no restore.
    status(&first, &kept, "pending").await;
    status(&second, &kept, "solved").await;
    let lost = write(&second, "/v1/tickets", opening).await;
    let lost = format!("/v1/tickets/{}", lost["ticket"]["id"].as_str().unwrap());
    let beyond = first.get("/v1/events").send().await.expect_status(200).json();
    let regions = |feed: &Value| -> Vec<String> {
        let events = feed["events"].as_array().unwrap().iter();
        events.map(|event| event["origin"]["region"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(regions(&beyond), ["local.1"; 5]);

    backend.restore().await;
    status(&second, &kept, "hold").await;
    status(&first, &kept, "open").await;
    let history = first.get(&format!("{kept}/events")).send().await.expect_status(200).json();
    assert_eq!(regions(&history), ["local.1", "local.1", "local.2", "local.2"]);
    for client in [&first, &second] {
        let shown = client.get(&kept).send().await.expect_status(200).json();
        assert_eq!(shown["ticket"]["status"], "open");
        assert_eq!(shown["ticket"]["conflicts"], json!([]));
        let _ = client.get(&lost).send().await.expect_status(404);
    }
    let after = beyond["after_cursor"].as_str().unwrap();
    let _ = first.get(&format!("/v1/events?after={after}")).send().await.expect_status(410);
    assert!(nodes.iter().any(|node| node.log().contains("log.restored.found")));
}
