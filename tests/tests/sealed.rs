//! Sealing: what people write and who they are stands nowhere in clear.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docket_tests::{Backend, Client, Collector, Site, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Texts that stand nowhere but in requests and answers.
const PLANTED: [&str; 5] =
    ["planted-subject", "planted-body", "planted-name", "planted@mail.example", "planted-note"];

/// Notes on one ticket: more than the 200 changes after which a snapshot of it is kept.
const NOTES: usize = 220;
/// Who write them at once.
const NOTE_WRITERS: usize = 8;
/// How long a snapshot may take.
const KEPT_WITHIN: Duration = Duration::from_secs(10);
/// A file's pages may cut in two what a snapshot is recognized by: then the next one is looked for.
const SNAPSHOT_TRIES_MAX: usize = 3;

/// How Automerge's bytes begin: these, a checksum of four, and the kind of what follows.
const AUTOMERGE: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const KIND_AT: usize = 8;
/// A whole document: stands in a snapshot and nowhere else.
const DOCUMENT: u8 = 0;
/// A change that is not compressed.
const CHANGE: u8 = 1;

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn check_absent(place: &str, bytes: &[u8]) {
    for planted in PLANTED {
        // PostgreSQL shows binary columns as hexadecimal digits.
        let digits: String = planted.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [planted.as_bytes(), digits.as_bytes()] {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "`{planted}` stands in clear in {place}");
        }
    }
}

/// Plants every text wherever a text can be sent, and looks for it in logs and traces.
async fn plant(site: &Site, is_kept: impl AsyncFn() -> bool) {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    let mut node = site.serve_with(&["--log", "trace", "--otlp-endpoint", &endpoint]).await;
    let agent = node.client(&site.token("agent", "planted@mail.example"));
    let opening = json!({
        "subject": "planted-subject", "body": "planted-body",
        "requester": {"id": "planted@mail.example", "name": "planted-name", "email": "planted@mail.example"},
    });
    let opened = agent.post("/v1/tickets").json(&opening).send().await.expect_status(201).json();
    let path = format!("/v1/tickets/{}", opened["ticket"]["id"].as_str().unwrap());
    let note = json!({"body": "planted-note", "public": false});
    let _ = agent.post(&format!("{path}/messages")).json(&note).send().await.expect_status(201);
    let subject = json!({"subject": "planted-subject two", "assignee_id": "planted@mail.example"});
    let _ = agent.patch(&path).json(&subject).send().await.expect_status(200);
    let _ = agent.get(&path).send().await.expect_status(200);
    let follower = format!("{path}/followers/planted%40mail.example");
    let _ = agent.put(&follower).send().await.expect_status(200);
    let _ = agent.get(&format!("{path}?planted-subject=planted-body")).send().await;
    let nonsense = json!({"status": "planted-subject", "planted-name": "planted-body"});
    let _ = agent.patch(&path).json(&nonsense).send().await.expect_status(422);
    let broken = agent.post("/v1/tickets").bytes("{\"planted-subject\": planted-body");
    let _ = broken.header("Content-Type", "application/json").send().await.expect_status(400);
    have_snapshot(&agent, &path, is_kept).await;
    let _ = node.stop().await;
    let traces = collector.taken();
    assert!(traces.windows(17).any(|window| window == b"http.ticket.patch"), "there are traces");
    check_absent("the traces", &traces);
    check_absent("the log output", node.log().as_bytes());
}

async fn write_notes(agent: &Client, ticket: &str) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..NOTE_WRITERS {
        let (agent, next) = (agent.clone(), Arc::clone(&next));
        let path = format!("{ticket}/messages");
        writers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < NOTES {
                let note = json!({"body": "planted-note planted-body", "public": false});
                let _ = agent.post(&path).json(&note).send().await.expect_status(201);
            }
        });
    }
    writers.join_all().await;
}

/// Writes notes until a snapshot of the ticket is kept, which happens behind the appends.
async fn have_snapshot(agent: &Client, ticket: &str, is_kept: impl AsyncFn() -> bool) {
    for _ in 0..SNAPSHOT_TRIES_MAX {
        write_notes(agent, ticket).await;
        let kept = eventually(KEPT_WITHIN, async || is_kept().await.then_some(()));
        if kept.await.is_some() {
            return;
        }
    }
    panic!("{NOTES} changes of a ticket give a snapshot");
}

fn begins(bytes: &[u8], kind: u8) -> bool {
    bytes.starts_with(&AUTOMERGE) && bytes.get(KIND_AT) == Some(&kind)
}

/// Every change as it would go to another region.
fn check_changes(site: &Site) {
    let export = site.run(&["export", "--changes"]).expect_code(0);
    check_absent("what an export says", export.stderr.as_bytes());
    let mut changes = 0;
    for line in export.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        for field in ["change", "genesis"] {
            let Some(bytes) = event[field].as_str().map(from_base64) else { continue };
            assert!(begins(&bytes, CHANGE), "a text could be found in {bytes:02x?}");
            check_absent(field, &bytes);
            changes += 1;
        }
    }
    assert!(changes > NOTES, "{changes}");
}

/// The bytes that base64 with padding stands for.
fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|known| *known == digit).expect("a digit of base64");
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn planted_text_is_in_no_file_of_the_data_directory_and_in_no_log() {
    let backend = Backend::sqlite();
    let is_kept = async || {
        let names = ["docket.db", "docket.db-wal"];
        let files =
            names.iter().filter_map(|name| std::fs::read(backend.site.data().join(name)).ok());
        files.into_iter().any(|file| file.windows(KIND_AT + 1).any(|part| begins(part, DOCUMENT)))
    };
    plant(&backend.site, is_kept).await;
    check_changes(&backend.site);
    let mut found = Vec::new();
    files(backend.site.data(), &mut found);
    assert!(found.iter().any(|path| path.ends_with("docket.db")));
    for path in found {
        check_absent(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
}

#[tokio::test]
async fn planted_text_is_in_no_table_of_postgres() {
    let backend = Backend::postgres().await;
    plant(&backend.site, async || !backend.rows("snapshot").await.is_empty()).await;
    check_changes(&backend.site);
    for table in ["event", "slot", "snapshot", "meta", "incarnation", "partition_head"] {
        let rows = backend.rows(table).await;
        assert!(!rows.is_empty(), "`{table}` is not searched while it is empty");
        check_absent(table, rows.as_bytes());
    }
}

#[tokio::test]
async fn a_log_without_its_key_store_is_not_served() {
    let backend = Backend::sqlite();
    let mut node = backend.site.serve().await;
    let opening = json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}});
    let agent = node.client(&backend.site.token("agent", "ann"));
    let _ = agent.post("/v1/tickets").json(&opening).send().await.expect_status(201);
    let _ = node.stop().await;
    std::fs::remove_file(backend.site.data().join("keys.db")).unwrap();
    let run = backend.site.run(&["serve", "--listen", "127.0.0.1:0"]).expect_code(1);
    assert!(run.stderr.contains("key store"), "{}", run.stderr);
}
