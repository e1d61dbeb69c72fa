//! A database that is restored from a backup under running nodes: they notice before they write.

use std::collections::BTreeSet;
use std::time::Duration;

use docket_tests::{Backend, Client, EventStream, Socket, eventually};
use serde_json::{Value, json};

async fn write(client: &Client, path: &str, body: Value) -> Value {
    client.post(path).json(&body).send().await.expect_status(201).json()
}

/// Requests that meet a connection which the server has closed; each gets 503 and takes it out of the pool.
const LOST_CONNECTIONS_MAX: usize = 20;

/// How long a node may take to find out that its log was restored.
const FOUND_WITHIN: Duration = Duration::from_secs(10);

/// Says something on a ticket, however often the node first meets a connection that its server has closed.
async fn say(client: &Client, ticket: &str) {
    let body = json!({"body": "B", "public": true});
    for _ in 0..LOST_CONNECTIONS_MAX {
        let answer = client.post(&format!("{ticket}/messages")).json(&body).send().await;
        if answer.status != 503 {
            let _ = answer.expect_status(201);
            return;
        }
    }
    panic!("the node does not find back to its database");
}

/// A page of the feed, whatever its status, from a node that has found back to its database.
async fn feed(client: &Client, after: &str) -> (u16, Value) {
    let path = format!("/v1/events?limit=1000&after={after}");
    let answered = eventually(FOUND_WITHIN, async || {
        let answer = client.get(&path).send().await;
        (answer.status != 503).then(|| (answer.status.as_u16(), answer.json()))
    });
    answered.await.expect("the node finds back to its database")
}

/// The ids of a page's events that the restored log has taken in.
fn new_ids(events: &Value) -> BTreeSet<String> {
    let events = events["events"].as_array().expect("events").iter();
    let new = events.filter(|event| event["origin"]["region"] == "local.2");
    new.map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

/// Whoever comes back with a cursor from before the restore is led to every event from after it.
async fn misses_nothing(client: &Client, cursor: &str) {
    let (status, replaced) = feed(client, cursor).await;
    assert_eq!((status, &replaced["code"]), (410, &json!("history_replaced")), "{replaced}");
    let (_, rest) = feed(client, replaced["after_cursor"].as_str().expect("a cursor")).await;
    let (_, whole) = feed(client, "").await;
    assert_eq!(new_ids(&rest), new_ids(&whole));
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_is_led_back_to_where_a_restored_log_goes_on() {
    let backend = Backend::postgres().await;
    let node = backend.site.serve().await;
    let token = backend.site.token("admin", "root");
    let client = node.client(&token);
    let opening = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let opened = write(&client, "/v1/tickets", opening).await;
    let id = opened["ticket"]["id"].as_str().unwrap();
    let ticket = format!("/v1/tickets/{id}");
    let mut socket = Socket::open(node.address(), &token).await;
    let _ = socket.subscribe("s", json!({"tickets": [id]})).await;
    backend.save().await;
    let mut last = String::new();
    for _ in 0..5 {
        say(&client, &ticket).await;
        let told = socket.until("event").await;
        last = told["event"]["cursor"].as_str().unwrap().to_owned();
    }
    backend.restore().await;
    for _ in 0..3 {
        say(&client, &ticket).await;
    }
    let resync = socket.until("resync").await;
    misses_nothing(&client, resync["cursor"].as_str().unwrap()).await;
    // Beyond where the lost events stood, too.
    for _ in 0..12 {
        say(&client, &ticket).await;
    }
    misses_nothing(&client, resync["cursor"].as_str().unwrap()).await;
    misses_nothing(&client, &last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_writes_nothing_tells_what_a_restored_log_takes_in() {
    let backend = Backend::postgres().await;
    let [writing, reading] = [backend.site.serve().await, backend.site.serve().await];
    let token = backend.site.token("admin", "root");
    let [writer, reader] = [writing.client(&token), reading.client(&token)];
    let opening = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let opened = write(&writer, "/v1/tickets", opening).await;
    let ticket = format!("/v1/tickets/{}", opened["ticket"]["id"].as_str().unwrap());
    let mut stream =
        EventStream::open(reading.address(), &token, "/v1/feed?after=", &[]).await.unwrap();
    let (mut last, _) = stream.event().await.expect("the opening");
    backend.save().await;
    for _ in 0..5 {
        say(&writer, &ticket).await;
        (last, _) = stream.event().await.expect("a message");
    }
    backend.restore().await;
    for _ in 0..10 {
        say(&writer, &ticket).await;
    }
    let expected = new_ids(&feed(&writer, "").await.1);
    assert!(expected.len() >= 10);
    let mut told = BTreeSet::new();
    while !told.is_superset(&expected) {
        let Some((cursor, event)) = stream.event().await else {
            // It has ended: the client comes back with the last id.
            misses_nothing(&reader, &last).await;
            break;
        };
        told.insert(event["id"].as_str().unwrap().to_owned());
        last = cursor;
    }
    // What this node says of its log can be gone on from.
    for path in ["/v1/events".to_owned(), format!("{ticket}/events")] {
        let goes_on = eventually(FOUND_WITHIN, async || {
            let page = reader.get(&path).send().await;
            let after = page.json()["after_cursor"].as_str()?.to_owned();
            (feed(&reader, &after).await.0 == 200).then_some(())
        });
        assert!(goes_on.await.is_some(), "{path} gives the cursors of a lost incarnation");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_log_is_found_though_nobody_writes() {
    let backend = Backend::postgres().await;
    let node = backend.site.serve().await;
    let client = node.client(&backend.site.token("admin", "root"));
    let opening = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let opened = write(&client, "/v1/tickets", opening).await;
    let ticket = format!("/v1/tickets/{}", opened["ticket"]["id"].as_str().unwrap());
    backend.save().await;
    for _ in 0..5 {
        say(&client, &ticket).await;
    }
    let (_, beyond) = feed(&client, "").await;
    backend.restore().await;
    let after = beyond["after_cursor"].as_str().unwrap();
    let replaced = eventually(FOUND_WITHIN, async || {
        let (status, answer) = feed(&client, after).await;
        (status == 410).then_some(answer)
    });
    let replaced = replaced.await.expect("nobody has compared the log with what it had been");
    let (status, _) = feed(&client, replaced["after_cursor"].as_str().unwrap()).await;
    assert_eq!(status, 200);
}

/// How many tickets a search finds once the node says that its answer is up to date.
async fn found(client: &Client, word: &str) -> Option<u64> {
    let path = format!("/v1/search?q={word}");
    let fresh = eventually(FOUND_WITHIN, async || {
        let answer = client.get(&path).send().await;
        (answer.status == 200)
            .then(|| answer.json())
            .filter(|found| found["as_of"]["stale"] == json!(false))
    });
    fresh.await?["count"].as_u64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_finds_what_a_restored_log_holds_long_before_that_is_as_long_as_it_was() {
    let backend = Backend::postgres().await;
    let node = backend.site.serve().await;
    let token = backend.site.token("admin", "root");
    let client = node.client(&token);
    let opening = |word: &str| json!({"subject": word, "body": "B", "requester": {"id": "cus_1"}});
    let opened = write(&client, "/v1/tickets", opening("kept")).await;
    let ticket = format!("/v1/tickets/{}", opened["ticket"]["id"].as_str().unwrap());
    backend.save().await;
    for _ in 0..20 {
        let _ = write(&client, "/v1/tickets", opening("lost")).await;
    }
    // It has begun beyond what is left.
    drop((client, node));
    let node = backend.site.serve().await;
    let client = node.client(&token);
    assert_eq!(found(&client, "lost").await, Some(20));
    backend.restore().await;
    say(&client, &ticket).await;
    let _ = write(&client, "/v1/tickets", opening("taken")).await;
    let only = eventually(FOUND_WITHIN, async || {
        let found = [found(&client, "lost").await?, found(&client, "taken").await?];
        (found == [0, 1]).then_some(())
    });
    assert!(only.await.is_some(), "{}", client.get("/v1/search?q=taken").send().await.json());
    assert_eq!(found(&client, "kept").await, Some(1));
}
