//! NATS end to end: whatever is killed, wiped or restored, a subscriber of the stream gets every event.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

#[path = "nats/subscriber.rs"]
mod subscriber;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use docket_tests::{Backend, Client, Feed, NatsServer, Node, Site, is_long};
use serde_json::{Value, json};
use subscriber::Subscriber;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Who write at once.
const WRITERS: u64 = 8;

/// Events of one run, and the tickets that they are spread over.
fn size() -> (u64, u64) {
    if is_long() { (50_000, 2_000) } else { (1_600, 64) }
}

/// How often each of the two servers is killed in one run.
fn kills() -> usize {
    if is_long() { 20 } else { 3 }
}

/// Sends until it is acknowledged, whoever is dead meanwhile.
async fn insist(client: &Client, path: &str, key: &str, body: &Value) -> Value {
    loop {
        let sent = client.post(path).header("Idempotency-Key", key).json(body).try_send().await;
        match sent {
            Ok(answer) if answer.status == 201 => return answer.json(),
            Ok(answer) if answer.status.is_server_error() => {}
            Ok(answer) => panic!("{}: {:?}", answer.status, answer.body),
            Err(_) => {}
        }
        sleep(Duration::from_millis(30)).await;
    }
}

/// Writers that go on until all is written.
fn write(client: &Client, written: &Arc<AtomicU64>) -> JoinSet<()> {
    let (events, tickets) = size();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, written) = (client.clone(), Arc::clone(written));
        writers.spawn(async move {
            let mut own = Vec::new();
            for number in 0..events / WRITERS {
                let key = format!("w{writer}-{number}");
                if own.len() < usize::try_from(tickets / WRITERS).unwrap() {
                    let body = json!({"subject": key, "body": "B", "requester": {"id": "cus_1"}});
                    let opened = insist(&client, "/v1/tickets", &key, &body).await;
                    own.push(opened["ticket"]["id"].as_str().unwrap().to_owned());
                } else {
                    let ticket = &own[usize::try_from(number).unwrap() % own.len()];
                    let path = format!("/v1/tickets/{ticket}/messages");
                    let _ = insist(&client, &path, &key, &json!({"body": key})).await;
                }
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    writers
}

/// Kills both servers in turn, each time another way, and starts them again.
async fn torment(nats: &mut NatsServer, node: &mut Node, done: &AtomicBool) {
    let mut killed = 0;
    while killed < kills() || !done.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(150 + 70 * (killed as u64 % 7))).await;
        if killed < kills() {
            nats.kill();
            if killed % 2 == 1 {
                nats.wipe();
            }
            if killed % 3 == 1 {
                sleep(Duration::from_millis(200)).await;
            }
            nats.restart().await;
            sleep(Duration::from_millis(40 * (killed as u64 % 5))).await;
            node.restart().await;
            killed += 1;
        }
    }
}

/// Whatever somebody removed from the log, what stands behind it is published.
async fn a_removed_row_stops_nothing(backend: Backend, removal: &str) {
    let nats = NatsServer::start().await;
    let plain = backend.site.serve().await;
    let client = plain.client(&backend.site.token("agent", "ann"));
    for number in 0..6 {
        let body =
            json!({"subject": format!("{number}"), "body": "B", "requester": {"id": "cus_1"}});
        let opened = insist(&client, "/v1/tickets", &format!("t{number}"), &body).await;
        let path = format!("/v1/tickets/{}/messages", opened["ticket"]["id"].as_str().unwrap());
        for more in 0..3 {
            let key = format!("m{number}-{more}");
            let _ = insist(&client, &path, &key, &json!({"body": key})).await;
        }
    }
    drop(plain);
    backend.change_log(removal).await;
    let site = backend.site.with("nats-url", &nats.url());
    let node = site.serve().await;
    let feed = Feed::read(&node.client(&site.token("agent", "ann"))).await;
    assert!(feed.events.len() < 24, "something was removed");
    let mut subscriber = Subscriber::new(&nats.url()).await;
    subscriber.reads_all(&feed.events).await;
    assert_eq!(node.log().matches("log.row.unreadable").count(), 24 - feed.events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_row_stops_nothing_on_sqlite() {
    let removal = "DELETE FROM event WHERE position = 2";
    a_removed_row_stops_nothing(Backend::sqlite(), removal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_row_stops_nothing_on_postgres() {
    let removal = "DELETE FROM event WHERE position = 2";
    a_removed_row_stops_nothing(Backend::postgres().await, removal).await;
}

async fn every_event_reaches_a_subscriber(backend: Backend) {
    let mut nats = NatsServer::start().await;
    let url = nats.url();
    let site = backend.site.with("nats-url", &url);
    let mut node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    let done = Arc::new(AtomicBool::new(false));
    let written = Arc::<AtomicU64>::default();
    let mut writers = write(&client, &written);
    let ended = Arc::clone(&done);
    let waiting = tokio::spawn(async move {
        while let Some(writer) = writers.join_next().await {
            writer.unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    });
    let stop = Arc::clone(&done);
    let reading = tokio::spawn(async move {
        let mut subscriber = Subscriber::new(&url).await;
        let mut reads = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            subscriber.read().await;
            reads += 1;
            if reads.is_multiple_of(7) {
                subscriber.killed_and_resumed(&url).await;
            }
            sleep(Duration::from_millis(20)).await;
        }
        subscriber
    });
    torment(&mut nats, &mut node, &done).await;
    waiting.await.unwrap();
    let mut subscriber = reading.await.unwrap();
    let feed = Feed::read(&client).await;
    feed.check();
    assert_eq!(feed.events.len() as u64, size().0, "the feed itself is whole");
    subscriber.reads_all(&feed.events).await;
    assert_eq!(subscriber.seen.len(), feed.events.len(), "the stream has nothing else");
    let metrics = node.anonymous().get("/metrics").send().await.expect_status(200);
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("\ndocket_relay_lag_events 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_a_subscriber_while_everything_is_killed_on_sqlite() {
    every_event_reaches_a_subscriber(Backend::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_a_subscriber_while_everything_is_killed_on_postgres() {
    every_event_reaches_a_subscriber(Backend::postgres().await).await;
}

async fn open(client: &Client, count: usize) {
    for _ in 0..count {
        let body = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
        let _ = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_relay_once_and_the_other_takes_over() {
    let nats = NatsServer::start().await;
    let (backend, url) = (Backend::postgres().await, nats.url());
    let flags = ["--nats-url", url.as_str()];
    let mut first = backend.site.serve_with(&flags).await;
    let second = backend.site.serve_with(&flags).await;
    let token = backend.site.token("agent", "ann");
    let mut subscriber = Subscriber::new(&nats.url()).await;
    open(&first.client(&token), 20).await;
    open(&second.client(&token), 20).await;
    subscriber.reads_all(&Feed::read(&second.client(&token)).await.events).await;
    first.kill();
    open(&second.client(&token), 20).await;
    let feed = Feed::read(&second.client(&token)).await;
    subscriber.reads_all(&feed.events).await;
    assert_eq!(subscriber.seen.len(), 60);
}

/// The node that holds the relay's lease, as the table has it; none where it is free.
async fn relaying_node(backend: &Backend) -> Option<String> {
    let rows = backend.rows("lease").await;
    let lease = rows.lines().find_map(|row| row.strip_prefix("(relay,"))?;
    // So a lease looks that its holder has let go of.
    let lease = Some(lease).filter(|lease| !lease.contains("-infinity"))?;
    lease.split(',').next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_lets_go_of_the_relay() {
    let nats = NatsServer::start().await;
    let (backend, url) = (Backend::postgres().await, nats.url());
    let mut first = backend.site.serve_with(&["--nats-url", &url]).await;
    let token = backend.site.token("agent", "ann");
    let mut subscriber = Subscriber::new(&nats.url()).await;
    open(&first.client(&token), 5).await;
    subscriber.reads_all(&Feed::read(&first.client(&token)).await.events).await;
    let holder = relaying_node(&backend).await.expect("the only node relays");
    let second = backend.site.serve_with(&["--nats-url", &url]).await;
    assert!(first.stop().await.success());
    assert_ne!(relaying_node(&backend).await.as_ref(), Some(&holder), "it is not waited for");
    open(&second.client(&token), 5).await;
    subscriber.reads_all(&Feed::read(&second.client(&token)).await.events).await;
    assert_eq!(subscriber.seen.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_restored_from_before_the_stream_hides_no_new_event() {
    let nats = NatsServer::start().await;
    let backend = Backend::postgres().await;
    // The node keeps no witness of its own that would know better than the stream.
    let url = nats.url();
    let node = backend.site.serve_with(&["--nats-url", &url]).await;
    let client = node.client(&backend.site.token("admin", "root"));
    let mut subscriber = Subscriber::new(&url).await;
    open(&client, 30).await;
    backend.save().await;
    for _ in 0..20 {
        insist(&client, "/v1/tickets", "first", &opening()).await;
    }
    open(&client, 30).await;
    let lost = Feed::read(&client).await;
    subscriber.reads_all(&lost.events).await;
    let page = client.get("/v1/events?limit=1000").send().await.expect_status(200).json();
    let old = page["after_cursor"].as_str().unwrap().to_owned();
    backend.restore().await;
    for number in 0..50 {
        insist(&client, "/v1/tickets", &format!("new{number}"), &opening()).await;
    }
    let feed = Feed::read(&client).await;
    assert_eq!(feed.events.len(), 80);
    subscriber.reads_all(&feed.events).await;
    assert_eq!(subscriber.seen.len(), 61 + 50, "what was lost stays in the stream");
    let gone = client.get(&format!("/v1/events?after={old}")).send().await;
    let gone = gone.expect_problem(410, "history_replaced");
    assert!(gone.json()["after_cursor"].is_string());
}

/// The last cursor of the whole feed.
async fn end_of(client: &Client) -> String {
    let mut after = String::new();
    loop {
        let path = format!("/v1/events?limit=1000&after={after}");
        let page = client.get(&path).send().await.expect_status(200).json();
        page["after_cursor"].as_str().unwrap().clone_into(&mut after);
        if page["end_of_stream"] == true {
            return after;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_written_behind_a_restore_is_hidden_while_everything_is_killed() {
    let mut nats = NatsServer::start().await;
    let (backend, url) = (Backend::postgres().await, nats.url());
    let mut node = backend.site.serve_with(&["--nats-url", &url]).await;
    let client = node.client(&backend.site.token("agent", "ann"));
    let mut subscriber = Subscriber::new(&url).await;
    let (kept, lost) = if is_long() { (2_000, 1_000) } else { (40, 30) };
    open(&client, kept).await;
    backend.save().await;
    insist(&client, "/v1/tickets", "first", &opening()).await;
    open(&client, lost).await;
    subscriber.reads_all(&Feed::read(&client).await.events).await;
    let old = end_of(&client).await;
    backend.restore().await;
    let (done, written) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicU64>::default());
    let mut writers = write(&client, &written);
    let ended = Arc::clone(&done);
    let waiting = tokio::spawn(async move {
        while let Some(writer) = writers.join_next().await {
            writer.unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    });
    torment(&mut nats, &mut node, &done).await;
    waiting.await.unwrap();
    let feed = Feed::read(&client).await;
    feed.check();
    let new = usize::try_from(size().0).unwrap();
    assert_eq!(feed.events.len(), kept + new);
    subscriber.reads_all(&feed.events).await;
    assert_eq!(subscriber.seen.len(), kept + 1 + lost + new, "and what was lost, once");
    let gone = client.get(&format!("/v1/events?after={old}")).send().await;
    let gone = gone.expect_problem(410, "history_replaced").json();
    let after = gone["after_cursor"].as_str().unwrap();
    let page = client.get(&format!("/v1/events?limit=1000&after={after}")).send().await;
    let page = page.expect_status(200).json();
    let is_new = |event: &Value| event["origin"]["region"] != "local.1";
    assert!(page["events"].as_array().unwrap().iter().all(is_new), "it goes on where it was lost");
}

fn opening() -> Value {
    json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_restored_with_its_witness_is_found_by_the_stream() {
    let nats = NatsServer::start().await;
    let site = Site::embedded().with("rate-limit", "off").with("nats-url", &nats.url());
    let mut node = site.serve().await;
    let client = node.client(&site.token("admin", "root"));
    let mut subscriber = Subscriber::new(&nats.url()).await;
    open(&client, 10).await;
    subscriber.reads_all(&Feed::read(&client).await.events).await;
    assert!(node.stop().await.success());
    let saved = docket_tests::Folder::new();
    copy(site.data(), saved.path());
    node.restart().await;
    open(&client, 25).await;
    subscriber.reads_all(&Feed::read(&client).await.events).await;
    assert!(node.stop().await.success());
    for entry in std::fs::read_dir(site.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "log") {
            std::fs::remove_file(path).unwrap();
        }
    }
    copy(saved.path(), site.data());
    node.restart().await;
    open(&client, 12).await;
    let feed = Feed::read(&client).await;
    assert_eq!(feed.events.len(), 22);
    let regions: std::collections::BTreeSet<&str> =
        feed.events.iter().map(|event| event["origin"]["region"].as_str().unwrap()).collect();
    assert_eq!(Vec::from_iter(regions), ["local.1", "local.2"]);
    subscriber.reads_all(&feed.events).await;
    assert_eq!(subscriber.seen.len(), 35 + 12);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "log") {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}
