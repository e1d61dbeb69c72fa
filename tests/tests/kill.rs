//! kill -9 under load: every acknowledged write is there exactly once, and so is every one whose answer was lost.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use docket_tests::{Answer, Backend, Client, Feed, Node, Unreachable, is_long};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Who write at once.
const WRITERS: usize = 16;
/// The principals among whom the writers are shared out: some write as the same one at the same time.
const AGENTS: [&str; 4] = ["ann", "ben", "cem", "dee"];
/// Of so many acknowledged writes one is asked for again at the end.
const ASKED_AGAIN_EVERY: usize = 10;

/// Kills of one run.
fn kills() -> usize {
    if is_long() { 200 } else { 6 }
}

/// One command, which may be sent again.
#[derive(Clone)]
struct Write {
    client: Client,
    key: String,
    method: &'static str,
    path: String,
    body: Value,
    status: u16,
    /// Where the answer says what was asked for.
    shows: Option<(&'static str, Value)>,
}

impl Write {
    async fn send(&self) -> Result<Answer, Unreachable> {
        let request = self.client.request(self.method.parse().unwrap(), &self.path);
        let request = request.header("Idempotency-Key", &self.key);
        let request = if self.body.is_null() { request } else { request.json(&self.body) };
        let answer = request.try_send().await?;
        let answer = answer.expect_status(self.status);
        if let Some((place, value)) = &self.shows {
            let body = answer.json();
            assert_eq!(body.pointer(place), Some(value), "{} {}: {body:#}", self.method, self.path);
        }
        Ok(answer)
    }

    /// What the feed knows its event by: the key that it says, or its version where it says nothing.
    fn mark(&self, answer: &Answer) -> String {
        let is_claim = self.path.ends_with("/claim");
        if is_claim { version(answer) } else { self.key.clone() }
    }

    /// A message with a status is two events that stand or fall together.
    fn has_status_beside(&self) -> bool {
        self.body.get("body").is_some() && self.body.get("status").is_some()
    }
}

fn version(answer: &Answer) -> String {
    answer.json()["ticket"]["version"].as_str().unwrap().to_owned()
}

fn path(answer: &Answer) -> String {
    format!("/v1/tickets/{}", answer.json()["ticket"]["id"].as_str().unwrap())
}

/// Of every command that was ever sent, what became of it.
#[derive(Default)]
struct Ledger {
    next: AtomicU64,
    /// By mark, whether the command made a status event too.
    acknowledged: Mutex<BTreeMap<String, bool>>,
    lost: Mutex<Vec<Write>>,
    /// Some of the acknowledged, with the answer's body.
    samples: Mutex<Vec<(Write, Answer)>>,
}

impl Ledger {
    /// None when the answer was lost.
    async fn send(&self, write: Write) -> Option<Answer> {
        match write.send().await {
            Ok(answer) => {
                self.note(&write, &answer).await;
                Some(answer)
            }
            Err(_) => {
                self.lost.lock().await.push(write);
                None
            }
        }
    }

    async fn note(&self, write: &Write, answer: &Answer) {
        let mut acknowledged = self.acknowledged.lock().await;
        let twice = acknowledged.insert(write.mark(answer), write.has_status_beside());
        assert_eq!(twice, None, "{} {} has an event of its own", write.method, write.path);
        if acknowledged.len().is_multiple_of(ASKED_AGAIN_EVERY) {
            self.samples.lock().await.push((write.clone(), answer.clone()));
        }
    }

    fn key(&self) -> String {
        format!("k{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Somebody who writes one thing after the other until an answer is lost.
#[derive(Clone)]
struct Writer {
    name: &'static str,
    client: Client,
    ledger: Arc<Ledger>,
}

/// A ticket on which all write, with the version first shown.
type Shared = (String, String);

impl Writer {
    fn write(&self, method: &'static str, path: &str, body: impl FnOnce(&str) -> Value) -> Write {
        let key = self.ledger.key();
        let body = body(&key);
        let status = if method == "POST" && !path.ends_with("/claim") { 201 } else { 200 };
        let (client, path) = (self.client.clone(), path.to_owned());
        Write { client, key, method, path, body, status, shows: None }
    }

    fn opening(&self) -> Write {
        let requester = json!({"id": "cus_1"});
        let write = self.write(
            "POST",
            "/v1/tickets",
            |key| json!({"subject": key, "body": "B", "requester": requester, "external_id": key}),
        );
        let shows = Some(("/ticket/subject", json!(write.key)));
        Write { shows, ..write }
    }

    fn message(&self, ticket: &str, status: Option<&str>) -> Write {
        let path = format!("{ticket}/messages");
        let write = self.write("POST", &path, |key| match status {
            None => json!({"body": key}),
            Some(status) => json!({"body": key, "status": status}),
        });
        let shows = Some(("/message/body", json!(write.key)));
        Write { shows, ..write }
    }

    fn patch(&self, ticket: &str, status: &str) -> Write {
        let write = self.write(
            "PATCH",
            ticket,
            |key| json!({"status": status, "custom_fields": {"mark": key}}),
        );
        let shows = Some(("/ticket/custom_fields/mark", json!(write.key)));
        Write { shows, ..write }
    }

    /// On a version that lacks what others wrote since.
    fn concurrent_patch(&self, (ticket, observed): &Shared, status: &str) -> Write {
        self.write(
            "PATCH",
            ticket,
            |key| json!({"status": status, "custom_fields": {"mark": key}, "observed": observed}),
        )
    }

    fn claim(&self, ticket: &str) -> Write {
        let write = self.write("POST", &format!("{ticket}/claim"), |_| Value::Null);
        Write { shows: Some(("/ticket/assignee_id", json!(self.name))), ..write }
    }

    fn release(&self, ticket: &str) -> Write {
        let write = self.write("DELETE", &format!("{ticket}/claim"), |_| Value::Null);
        Write { shows: Some(("/ticket/assignee_id", Value::Null)), ..write }
    }

    /// All kinds of writes, some on a ticket of its own and some on the shared one, beginning with another each time.
    async fn run(self, shared: &Shared, mut turn: usize) -> Option<()> {
        let mut own = path(&self.ledger.send(self.opening()).await?);
        loop {
            let writes = match turn % 5 {
                0 => [self.message(&own, None), self.message(&own, Some("pending"))],
                1 => [self.claim(&own), self.release(&own)],
                2 => [self.patch(&own, "open"), self.concurrent_patch(shared, "hold")],
                3 => [self.message(&shared.0, Some("solved")), self.patch(&shared.0, "open")],
                _ => [self.message(&shared.0, None), self.opening()],
            };
            for write in writes {
                let opens = write.path == "/v1/tickets";
                let answer = self.ledger.send(write).await?;
                if opens {
                    own = path(&answer);
                }
            }
            turn += 1;
        }
    }
}

/// Sends again what had no answer, with the same key: it is done once, whether it was done before or not.
async fn send_lost_again(ledger: &Arc<Ledger>) {
    let mut running = JoinSet::new();
    for write in std::mem::take(&mut *ledger.lost.lock().await) {
        let ledger = Arc::clone(ledger);
        running.spawn(async move {
            let answer = write.send().await.unwrap();
            check_same_again(&write, &answer).await;
            ledger.note(&write, &answer).await;
        });
    }
    running.join_all().await;
}

async fn check_same_again(write: &Write, answer: &Answer) {
    let again = write.send().await.unwrap();
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", write.path);
    for header in ["etag", "docket-position", "location"] {
        assert_eq!(again.header(header), answer.header(header), "{} {header}", write.path);
    }
    assert_eq!(again.body, answer.body, "{} {}", write.method, write.path);
}

async fn check(client: &Client, ledger: &Ledger) {
    for (write, answer) in &*ledger.samples.lock().await {
        check_same_again(write, answer).await;
    }
    let feed = Feed::read(client).await;
    feed.check();
    let (marked, caused) = (feed.by_mark(), feed.by_cause());
    let acknowledged = ledger.acknowledged.lock().await;
    for (mark, status_beside) in &*acknowledged {
        let [event] = marked.get(mark.as_str()).map_or(&[][..], Vec::as_slice) else {
            panic!("{mark} is there once, not {:#?}", marked.get(mark.as_str()));
        };
        let statuses = caused.get(event["command_id"].as_str().unwrap()).map_or(0, Vec::len);
        assert_eq!(statuses, usize::from(*status_beside), "{event:#}");
    }
    let statuses = acknowledged.values().filter(|beside| **beside).count();
    assert_eq!(feed.events.len(), acknowledged.len() + statuses, "and nothing else is");
}

async fn load(backend: &Backend, node: &Node, ledger: &Arc<Ledger>, kill: usize) -> JoinSet<()> {
    let agents = AGENTS.map(|name| {
        let client = node.client(&backend.site.token("agent", name));
        Writer { name, client, ledger: Arc::clone(ledger) }
    });
    let opened = ledger.send(agents[0].opening()).await.unwrap();
    let shared = (path(&opened), version(&opened));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (writer, shared) = (agents[number % AGENTS.len()].clone(), shared.clone());
        writers.spawn(async move {
            let _ = writer.run(&shared, number + kill).await;
        });
    }
    writers
}

async fn torture(backend: &Backend) {
    let ledger = Arc::<Ledger>::default();
    let mut node = backend.site.serve().await;
    for kill in 0..kills() {
        let writers = load(backend, &node, &ledger, kill).await;
        tokio::time::sleep(Duration::from_millis(60 + 37 * (kill as u64 % 8))).await;
        node.kill();
        writers.join_all().await;
        node.restart().await;
        send_lost_again(&ledger).await;
    }
    check(&node.client(&backend.site.token("agent", AGENTS[0])), &ledger).await;
    let written = ledger.acknowledged.lock().await.len();
    assert!(written > 2 * WRITERS * kills(), "too little was written to mean anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_on_sqlite() {
    torture(&Backend::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_on_postgres() {
    torture(&Backend::postgres().await).await;
}
