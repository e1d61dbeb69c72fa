//! A customer follows all own tickets: those that are theirs, those that become theirs, and no others.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::time::Duration;

use docket_tests::{Client, Node, Site, Socket, on_both_backends};
use serde_json::{Value, json};

async fn open(client: &Client, requester: &str, body: &str) -> String {
    let body = json!({"subject": "Printer", "body": body, "requester": {"id": requester}});
    let answer = client.post("/v1/tickets").json(&body).send().await.expect_status(201).json();
    answer["ticket"]["id"].as_str().unwrap().to_owned()
}

async fn say(client: &Client, ticket: &str, body: &str, public: bool) {
    let path = format!("/v1/tickets/{ticket}/messages");
    let body = json!({"body": body, "public": public});
    let _ = client.post(&path).json(&body).send().await.expect_status(201);
}

/// The next event that says something.
async fn heard(socket: &mut Socket) -> (String, Value) {
    loop {
        let frame = socket.next().await;
        assert_eq!(frame["op"], "event", "{frame}");
        if let Some(body) = frame["event"]["text"]["body"].as_str() {
            return (body.to_owned(), frame["event"]["cursor"].clone());
        }
    }
}

async fn follows_own(site: &Site, node: &Node) {
    let agents = site.token("agent", "ann");
    let agent = node.client(&agents);
    let mut witness = Socket::open(node.address(), &agents).await;
    witness.subscribe("all", json!({"all": true})).await;
    let mine = open(&agent, "cus_1", "mine").await;
    let others = open(&agent, "cus_2", "another's").await;
    // What was acknowledged reaches sockets a moment later: whoever subscribes before that still hears it.
    let mut witnessed = [heard(&mut witness).await.0, heard(&mut witness).await.0];
    witnessed.sort();
    assert_eq!(witnessed, ["another's", "mine"]);
    let token = site.token("customer", "cus_1");
    let mut socket = Socket::open(node.address(), &token).await;
    let subscribed = socket.subscribe("own", json!({"all": true})).await;
    let from = subscribed["cursor"].clone();

    say(&agent, &others, "not for you", true).await;
    say(&agent, &mine, "between us", false).await;
    say(&agent, &mine, "one", true).await;
    assert_eq!(heard(&mut socket).await.0, "one");
    // One that becomes theirs is told from then on, first as a new one, then as another's that they follow.
    let second = open(&agent, "cus_1", "two").await;
    assert_eq!(heard(&mut socket).await.0, "two");
    say(&agent, &second, "three", true).await;
    assert_eq!(heard(&mut socket).await.0, "three");
    let follower = format!("/v1/tickets/{others}/followers/cus_1");
    let _ = agent.put(&follower).send().await.expect_status(200);
    say(&agent, &others, "four", true).await;
    assert_eq!(heard(&mut socket).await.0, "four");
    let _ = agent.delete(&follower).send().await.expect_status(200);
    say(&agent, &others, "not for you any more", true).await;
    assert!(socket.is_silent(Duration::from_millis(500)).await);

    // Whoever resumes hears what they have missed of the tickets that are theirs.
    let mut resumed = Socket::open(node.address(), &token).await;
    resumed.subscribe("own", json!({"all": true, "after": from})).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(heard(&mut resumed).await.0);
    }
    told.sort();
    assert_eq!(told, ["one", "three", "two"]);
    assert!(resumed.is_silent(Duration::from_millis(500)).await);
    let mut whole = Socket::open(node.address(), &token).await;
    whole.subscribe("own", json!({"all": true, "after": ""})).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(heard(&mut whole).await.0);
    }
    told.sort();
    assert_eq!(told, ["mine", "one", "three", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_socket_follows_all_own_tickets_now_and_later() {
    on_both_backends(follows_own).await;
}
