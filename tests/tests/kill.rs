//! kill -9 under load: every acknowledged write is there exactly once.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use docket_tests::{Backend, Client, Node, is_long};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const WRITERS: usize = 16;

/// Kills of one run.
fn kills() -> usize {
    if is_long() { 200 } else { 6 }
}

/// Command keys of acknowledged openings, with the ticket each was answered.
type Acknowledged = Arc<Mutex<BTreeMap<String, String>>>;

async fn write(client: Client, next: Arc<AtomicU64>, acknowledged: Acknowledged) {
    loop {
        let key = format!("k{}", next.fetch_add(1, Ordering::Relaxed));
        let body =
            json!({"subject": key, "body": "B", "requester": {"id": "cus_1"}, "external_id": key});
        let request = client.post("/v1/tickets").header("Idempotency-Key", &key).json(&body);
        let Ok(answer) = request.try_send().await else { return };
        if answer.status != 201 {
            continue;
        }
        let id = answer.json()["ticket"]["id"].as_str().unwrap().to_owned();
        acknowledged.lock().await.insert(key, id);
    }
}

async fn stored(client: &Client) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/events?limit=1000&after={after}");
        let page = client.get(&path).send().await.expect_status(200).json();
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        after = page["after_cursor"].as_str().unwrap().to_owned();
        if page["end_of_stream"] == true {
            return events;
        }
    }
}

async fn check(node: &Node, token: &str, acknowledged: &Acknowledged) {
    let events = stored(&node.client(token)).await;
    let mut tickets: BTreeMap<&str, usize> = BTreeMap::new();
    let mut positions: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for event in &events {
        *tickets.entry(event["stream"]["id"].as_str().unwrap()).or_default() += 1;
        let partition = event["partition"].as_u64().unwrap();
        positions.entry(partition).or_default().push(event["position"].as_u64().unwrap());
    }
    for (key, id) in acknowledged.lock().await.iter() {
        assert_eq!(tickets.get(id.as_str()), Some(&1), "{key} was acknowledged as {id}");
    }
    for (partition, positions) in positions {
        let gapless: Vec<u64> = (1..=positions.len() as u64).collect();
        assert_eq!(positions, gapless, "partition {partition}");
    }
}

async fn torture(backend: &Backend) {
    let token = backend.site.token("agent", "ann");
    let acknowledged = Acknowledged::default();
    let next = Arc::new(AtomicU64::new(0));
    let mut node = backend.site.serve().await;
    for kill in 0..kills() {
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(node.client(&token), next.clone(), acknowledged.clone()));
        }
        tokio::time::sleep(Duration::from_millis(60 + 37 * (kill as u64 % 8))).await;
        node.kill();
        writers.join_all().await;
        node.restart().await;
    }
    check(&node, &token, &acknowledged).await;
    assert!(acknowledged.lock().await.len() > kills(), "too little was written to mean anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_on_sqlite() {
    torture(&Backend::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_on_postgres() {
    torture(&Backend::postgres().await).await;
}
