//! Every door tells the same: long poll, SSE, WebSocket and NATS, each from an empty cursor while others write, and each
//! resumed from its last cursor whenever it is killed.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

#[path = "nats/subscriber.rs"]
#[expect(dead_code, reason = "other tests read a stream to a known end")]
mod subscriber;

use std::collections::BTreeMap;
use std::time::Duration;

use docket_tests::{Backend, Client, EventStream, Feed, NatsServer, Socket, is_long};
use serde_json::{Value, json};
use subscriber::Subscriber;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Who write at once.
const WRITERS: usize = 8;

/// Reads of the NATS subscriber between two of its deaths.
const READS_BEFORE_A_KILL: usize = 7;

fn id(event: &Value) -> String {
    event["id"].as_str().unwrap().to_owned()
}

/// A reader that is killed now and then, and goes on from its last cursor.
trait Door {
    /// Reads about so many events from a cursor on, and then breaks off.
    async fn read(&self, cursor: &str, count: usize) -> Vec<(String, Value)>;
}

struct Poll(Client);
struct Stream(std::net::SocketAddr, String);
struct Live(std::net::SocketAddr, String);

impl Door for Poll {
    async fn read(&self, cursor: &str, count: usize) -> Vec<(String, Value)> {
        let path = format!("/v1/events?after={cursor}&limit={}&wait=5s", count.min(1_000));
        let mut page = self.0.get(&path).send().await.expect_status(200).json();
        let Value::Array(events) = page["events"].take() else { panic!("no events") };
        events
            .into_iter()
            .map(|event| (event["cursor"].as_str().unwrap().to_owned(), event))
            .collect()
    }
}

impl Door for Stream {
    async fn read(&self, cursor: &str, count: usize) -> Vec<(String, Value)> {
        let path = "/v1/feed?after=";
        let headers = [("last-event-id", cursor)];
        let headers = if cursor.is_empty() { &[][..] } else { &headers[..] };
        let mut stream = EventStream::open(self.0, &self.1, path, headers).await.unwrap();
        let mut events = Vec::new();
        while events.len() < count {
            match timeout(Duration::from_secs(5), stream.event()).await {
                Ok(event) => events.push(event.expect("the stream goes on")),
                Err(_) => break,
            }
        }
        events
    }
}

impl Door for Live {
    async fn read(&self, cursor: &str, count: usize) -> Vec<(String, Value)> {
        let mut socket = Socket::open(self.0, &self.1).await;
        socket.subscribe("s", json!({"all": true, "after": cursor})).await;
        let mut events = Vec::new();
        while events.len() < count {
            let Ok(mut frame) = timeout(Duration::from_secs(5), socket.next()).await else { break };
            if frame["op"] == "resync" {
                break;
            }
            let event = frame["event"].take();
            events.push((event["cursor"].as_str().unwrap().to_owned(), event));
        }
        events
    }
}

/// Reads until as many events are known as were written.
async fn follow(door: impl Door, written: usize, seed: usize) -> Vec<Value> {
    let (mut cursor, mut events, mut known) = (String::new(), Vec::new(), BTreeMap::new());
    let mut round = seed;
    while known.len() < written {
        round += 1;
        let page = door.read(&cursor, 1 + round * 37 % 400).await;
        for (after, event) in page {
            cursor = after;
            known.insert(id(&event), ());
            events.push(event);
        }
    }
    events
}

fn check_order(events: &[Value]) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for event in events {
        let ticket = event["stream"]["id"].as_str().unwrap().to_owned();
        let position = event["position"].as_u64().unwrap();
        // A reader that was killed may meet events again, but never one before those that it resumed after.
        let before = last.insert(ticket, position).unwrap_or(0);
        assert!(before < position, "in order within a ticket");
    }
}

/// Opens so many tickets and says on them in turn what is missing to so many events.
async fn write(agent: &Client, tickets: usize, events: usize) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let agent = agent.clone();
        writers.spawn(async move {
            let mut own = Vec::new();
            for number in (writer..tickets).step_by(WRITERS) {
                let requester = format!("cus_{number}");
                let body = json!({"subject": "S", "body": "B", "requester": {"id": requester}});
                let opened = agent.post("/v1/tickets").json(&body).send().await.expect_status(201);
                own.push(opened.json()["ticket"]["id"].as_str().unwrap().to_owned());
            }
            for round in 0..events / tickets - 1 {
                for ticket in &own {
                    let path = format!("/v1/tickets/{ticket}/messages");
                    let body = json!({"body": format!("{round}"), "public": round % 3 != 0});
                    let _ = agent.post(&path).json(&body).send().await.expect_status(201);
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
}

/// What a subscriber of the stream has seen once that is as much as was written.
async fn subscribed(url: &str, written: usize) -> Vec<String> {
    let mut subscriber = Subscriber::new(url).await;
    for reads in 1.. {
        subscriber.read().await;
        if subscriber.seen.len() >= written {
            break;
        }
        if reads % READS_BEFORE_A_KILL == 0 {
            subscriber.killed_and_resumed(url).await;
        }
        sleep(Duration::from_millis(20)).await;
    }
    subscriber.seen.into_keys().collect()
}

async fn every_door_tells_every_event(backend: Backend) {
    let (tickets, events) = if is_long() { (2_000, 50_000) } else { (40, 600) };
    let nats = NatsServer::start().await;
    let url = nats.url();
    let site = backend.site.with("nats-url", &url);
    let node = site.serve().await;
    let (token, address) = (site.token("agent", "ann"), node.address());
    let agent = node.client(&token);
    let ((), polled, streamed, lived, subscribed) = tokio::join!(
        write(&agent, tickets, events),
        follow(Poll(node.client(&token)), events, 1),
        follow(Stream(address, token.clone()), events, 2),
        follow(Live(address, token.clone()), events, 3),
        subscribed(&url, events),
    );
    let mut all: Vec<String> = Feed::read(&agent).await.events.iter().map(id).collect();
    all.sort_unstable();
    assert_eq!(all.len(), events);
    for seen in [polled, streamed, lived] {
        check_order(&seen);
        let seen: BTreeMap<String, ()> = seen.iter().map(|event| (id(event), ())).collect();
        assert!(seen.keys().eq(&all), "the same set");
    }
    assert_eq!(subscribed, all, "the same set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_tells_every_event_in_order_whenever_its_reader_is_killed_on_sqlite() {
    every_door_tells_every_event(Backend::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_tells_every_event_in_order_whenever_its_reader_is_killed_on_postgres() {
    every_door_tells_every_event(Backend::postgres().await).await;
}
