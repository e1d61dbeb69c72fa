//! Sealing: what people write and who they are stands nowhere in clear.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::path::Path;

use docket_tests::{Backend, Collector, Site};
use serde_json::json;

/// Texts that stand nowhere but in requests and answers.
const PLANTED: [&str; 5] =
    ["planted-subject", "planted-body", "planted-name", "planted@mail.example", "planted-note"];

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

/// Plants every text wherever a text can be sent, and looks for it in logs and traces; answers the ticket's path.
async fn plant(site: &Site) -> String {
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
    let _ = node.stop().await;
    let traces = collector.taken();
    assert!(traces.windows(17).any(|window| window == b"http.ticket.patch"), "there are traces");
    check_absent("the traces", &traces);
    check_absent("the log output", node.log().as_bytes());
    path
}

#[tokio::test]
async fn planted_text_is_in_no_file_of_the_data_directory_and_in_no_log() {
    let backend = Backend::sqlite();
    let _ = plant(&backend.site).await;
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
    let _ = plant(&backend.site).await;
    for table in ["event", "slot", "snapshot", "meta"] {
        let rows = backend.rows(table).await;
        check_absent(table, rows.as_bytes());
    }
}

#[tokio::test]
async fn a_log_without_its_key_store_is_not_served() {
    let backend = Backend::sqlite();
    let _ = plant(&backend.site).await;
    std::fs::remove_file(backend.site.data().join("keys.db")).unwrap();
    let run = backend.site.run(&["serve", "--listen", "127.0.0.1:0"]).expect_code(1);
    assert!(run.stderr.contains("key store"), "{}", run.stderr);
}
