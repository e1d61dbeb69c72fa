//! The commands that look at an installation and operate it, beside the node that serves it.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use docket_tests::{Client, Site, eventually};
use serde_json::{Value, json};

/// How long the table of sagas may be behind.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

async fn open(client: &Client) -> String {
    let body = json!({"subject": "Smoke", "body": "It smokes.", "requester": {"id": "cus_1"}});
    let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    opened.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_command_that_only_looks_makes_no_installation() {
    for looks in [
        &["export"][..],
        &["export", "--digest"],
        &["projection", "list"],
        &["projection", "diff", "tickets"],
        &["projection", "diff", "search"],
        &["projection", "rebuild", "tickets"],
        &["saga", "list"],
        &["saga", "pause", "merge-tickets"],
    ] {
        let site = Site::embedded();
        let data = site.data().join("mistyped");
        let run = site.run(&[looks, &["--data", data.to_str().unwrap()]].concat()).expect_code(1);
        assert!(run.stderr.contains("there is no installation in"), "{}", run.stderr);
        assert!(!data.exists(), "{looks:?}");
    }
}

#[tokio::test]
async fn an_empty_cursor_is_the_beginning_of_an_export() {
    let site = Site::embedded();
    let node = site.serve().await;
    let _ = open(&node.client(&site.token("agent", "ann"))).await;
    let export = |flags: &[&str]| site.run(&[&["export"], flags].concat()).expect_code(0).stdout;
    let whole = export(&[]);
    assert!(whole.contains("ticket.opened"), "{whole}");
    assert_eq!(export(&["--after", ""]), whole);
    let _ = site.run(&["export", "--after", "zz"]).expect_code(2);
    for of_events in [&["--follow"][..], &["--changes"], &["--after", ""]] {
        let run = site.run(&[&["export", "--digest"], of_events].concat()).expect_code(2);
        assert!(run.stderr.contains(of_events[0]), "{}", run.stderr);
    }
}

#[tokio::test]
async fn an_operators_act_is_told_with_its_reason() {
    let site = Site::embedded();
    let node = site.serve().await;
    let admin = node.client(&site.token("admin", "root"));
    let paused = ["saga", "pause", "merge-tickets", "--reason", "a release", "--subject", "ops"];
    let _ = site.run(&paused).expect_code(0);
    let (source, into) = (open(&admin).await, open(&admin).await);
    let begun = admin.merge(&source, &into).await.expect_status(202);
    let id = begun.json()["saga"]["id"].as_str().unwrap().to_owned();
    let cancel = ["saga", "cancel", &id, "--reason", "the wrong one", "--subject", "ops"];
    let cancelled = site.run(&cancel).expect_code(0).stdout;
    let cancelled: Value = serde_json::from_str(&cancelled).unwrap();
    let told = &cancelled["operations"][0];
    assert_eq!((&told["operation"], &told["by"]), (&json!("cancel"), &json!("ops")));
    assert_eq!(told["reason"], "the wrong one");
    let path = format!("/v1/sagas/{id}");
    let seen = admin.get(&path).send().await.expect_status(200).json();
    assert_eq!(seen["saga"]["operations"], cancelled["operations"]);
    let path = "/v1/sagas/definitions/merge-tickets/resume";
    let because = json!({"reason": "the release is out"});
    let _ = admin.post(path).json(&because).send().await.expect_status(200);
    let events = site.run(&["export"]).expect_code(0).stdout;
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let turned = events.filter(|event| event["data"]["definition"] == "merge-tickets");
    let turned = turned.filter(|event| event["type"] != "saga.started");
    let reasons: Vec<Value> = turned.map(|event| event["data"]["reason"].clone()).collect();
    assert_eq!(reasons, [json!("a release"), json!("the release is out")]);
}

#[test]
fn an_operator_has_a_name_and_a_reason_that_says_something() {
    let (site, long) = (Site::embedded(), "x".repeat(1_001));
    for wrong in [["--reason", "   "], ["--reason", &long], ["--subject", ""]] {
        let pause = ["saga", "pause", "merge-tickets"];
        let run = site.run(&[&pause[..], &wrong].concat()).expect_code(2);
        assert!(run.stderr.contains(wrong[0]), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_list_of_sagas_is_whole_and_names_a_definition_that_is_not_there() {
    let site = Site::embedded().with("rate-limit", "off");
    let node = site.serve().await;
    let admin = node.client(&site.token("admin", "root"));
    let ticket = open(&admin).await;
    let body = json!({"kind": "bulk-update", "tickets": [ticket], "set": {"priority": "high"}});
    for _ in 0..205 {
        let _ = admin.post("/v1/jobs").json(&body).send().await.expect_status(202);
    }
    let list = |flags: &[&str]| site.run(&[&["saga", "list"], flags].concat());
    let whole = eventually(LISTED_WITHIN, async || {
        let listed = list(&["--definition", "bulk-update"]).expect_code(0).stdout;
        (listed.lines().count() == 205).then_some(listed)
    });
    let whole = whole.await.expect("every saga is listed");
    let mut ids: Vec<&str> = whole.lines().filter_map(|line| line.split(' ').next()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 205, "each once");
    let none = list(&["--definition", "merge-tickets"]).expect_code(0);
    assert_eq!(none.stdout, "");
    let mistyped = list(&["--definition", "merge-ticket"]).expect_code(1);
    assert!(mistyped.stderr.contains("`merge-ticket`"), "{}", mistyped.stderr);

    // Nobody reads it.
    let schemas = site.data().join("schemas");
    for prints in
        [&["saga", "list"][..], &["export"], &["schema", "export", schemas.to_str().unwrap()]]
    {
        let mut command = site.command();
        command.args(prints).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*told), (Some(0), ""), "{prints:?}");
    }
}

#[tokio::test]
async fn a_watch_that_the_server_ends_says_why_and_where_to_go_on() {
    let site = Site::embedded();
    let mut node = site.serve().await;
    let token = site.token("admin", "root");
    let ticket = open(&node.client(&token)).await;
    let server = node.address().to_string();
    let unknown = "0192b0a0-0000-7000-8000-000000000001";
    let watch = ["watch", "--server", &server, "--token", &token, "--ticket", unknown];
    let refused = site.run(&watch).expect_code(1).stderr;
    assert!(refused.contains(unknown), "{refused}");
    let mut command = site.command();
    command.args([
        "watch",
        "--server",
        &node.address().to_string(),
        "--after",
        "",
        "--token",
        &token,
    ]);
    let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(event["stream"]["id"], ticket);
    assert!(node.stop().await.success());
    assert_eq!(watch.wait().unwrap().code(), Some(1));
    let mut told = String::new();
    let _ = watch.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    let going_on = format!("--after {}", event["cursor"].as_str().unwrap());
    assert!(told.contains("1012, this node stops") && told.contains(&going_on), "{told}");
}
