//! The tickets view under kill -9, changed by hand, rebuilt under load, shared by nodes.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

#[path = "views_repair/restored.rs"]
mod restored;

use std::time::Duration;

use docket_tests::{Backend, Client, Incidents, Node, Site, eventually, is_long};
use serde_json::{Value, json};

const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

async fn projections(site: &Site, node: &Node) -> Value {
    let admin = node.client(&site.token("admin", "root"));
    let answer = admin.get("/v1/projections").send().await.expect_status(200);
    answer.json()["projections"][0].clone()
}

async fn caught_up(site: &Site, node: &Node) {
    let lag = eventually(CAUGHT_UP_WITHIN, async || {
        (projections(site, node).await["lag_events"] == 0).then_some(())
    });
    assert!(lag.await.is_some(), "the view does not catch up");
}

async fn count(client: &Client, query: &str) -> u64 {
    let answer = client.get(&format!("/v1/tickets/count?{query}")).send().await.expect_status(200);
    answer.json()["count"].as_u64().unwrap()
}

fn opening(number: usize) -> Value {
    json!({"subject": format!("No {number}"), "body": "It smokes.", "tags": [format!("t{}", number % 5)],
        "requester": {"id": format!("cus_{}", number % 9)}})
}

/// Writes until the node is gone.
async fn write_until_gone(client: &Client, round: usize) {
    for number in 0.. {
        let opened = client.post("/v1/tickets").json(&opening(round * 100 + number)).try_send();
        let Ok(opened) = opened.await else { return };
        let Some(id) = opened.json()["ticket"]["id"].as_str().map(str::to_owned) else { return };
        let path = format!("/v1/tickets/{id}");
        let status = ["open", "pending", "solved"][number % 3];
        if client.patch(&path).json(&json!({"status": status})).try_send().await.is_err() {
            return;
        }
    }
}

async fn survives_kills(backend: Backend) {
    let site = &backend.site;
    let mut node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    let kills = if is_long() { 100 } else { 6 };
    for round in 0..kills {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let client = client.clone();
                tokio::spawn(async move { write_until_gone(&client, round * 4 + writer).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(60 + (round as u64 * 37) % 300)).await;
        node.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        node.restart().await;
    }
    caught_up(site, &node).await;
    let diff = site.run(&["projection", "diff", "tickets"]).expect_code(0);
    assert_eq!(diff.stdout, "");
    let diff = site.run(&["projection", "diff", "search"]).expect_code(0);
    assert_eq!(diff.stdout, "");
    assert!(count(&client, "").await > 0);
}

#[tokio::test]
async fn a_view_whose_node_is_killed_equals_a_replay_on_sqlite() {
    survives_kills(Backend::sqlite()).await;
}

#[tokio::test]
async fn a_view_whose_node_is_killed_equals_a_replay_on_postgres() {
    survives_kills(Backend::postgres().await).await;
}

/// Each change by hand is found by `diff`, which names what it should, and mended by `--repair`.
async fn is_mended(backend: Backend) {
    let site = &backend.site;
    let log = Incidents::of(site);
    let _ = site.run(&["import", &log.file, "--format", "servicenow-csv"]).expect_code(0);
    let mut node = site.serve().await;
    caught_up(site, &node).await;
    let client = node.client(&site.token("agent", "ann"));
    let (all, closed) = (count(&client, "").await, count(&client, "status=closed").await);
    let _ = node.stop().await;
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
    let last = "ticket_id = (SELECT ticket_id FROM ticket_a ORDER BY ticket_id LIMIT 1)";
    for (damage, told) in [
        (format!("UPDATE ticket_a SET status = 'new' WHERE {last}"), "not what the log says"),
        (format!("UPDATE ticket_a SET status = 'ajar' WHERE {last}"), "cannot be read"),
        (format!("UPDATE ticket_a SET position = position - 1 WHERE {last}"), "ticket"),
        (format!("DELETE FROM ticket_a WHERE {last}"), "is missing"),
        (format!("UPDATE ticket_a SET tenant = 'other' WHERE {last}"), "no such ticket"),
        ("DELETE FROM reader_a".to_owned(), "listed otherwise"),
        ("UPDATE counter_a SET count = count + 1 WHERE field = 1".to_owned(), "counter Status"),
        ("UPDATE checkpoint SET position = position - 5".to_owned(), "checkpoint of partition"),
        ("UPDATE checkpoint SET position = position + 5".to_owned(), "checkpoint of partition"),
        ("UPDATE checkpoint SET position = 0".to_owned(), "checkpoint of partition"),
        (
            "DELETE FROM ticket_a; DELETE FROM reader_a; DELETE FROM counter_a".to_owned(),
            "is missing",
        ),
    ] {
        backend.change_view(&damage).await;
        let found = site.run(&["projection", "diff", "tickets"]).expect_code(1);
        assert!(found.stdout.contains(told), "{damage}: {}", found.stdout);
        let mended = site.run(&["projection", "diff", "tickets", "--repair"]).expect_code(0);
        assert!(mended.stdout.contains(told), "{damage}: {}", mended.stdout);
        let clean = site.run(&["projection", "diff", "tickets"]).expect_code(0);
        assert_eq!(clean.stdout, "", "{damage}");
    }
    node.restart().await;
    caught_up(site, &node).await;
    assert_eq!((count(&client, "").await, count(&client, "status=closed").await), (all, closed));
    // Beside a node it is mended as well.
    backend.change_view(&format!("DELETE FROM ticket_a WHERE {last}")).await;
    let _ = site.run(&["projection", "diff", "tickets", "--repair"]).expect_code(0);
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_found_and_mended_on_sqlite() {
    is_mended(Backend::sqlite()).await;
}

#[tokio::test]
async fn what_was_changed_by_hand_is_found_and_mended_on_postgres() {
    is_mended(Backend::postgres().await).await;
}

/// A rebuild while the view is queried and written: no query fails, none goes back.
async fn is_rebuilt(backend: Backend) {
    let site = &backend.site;
    let log = Incidents::of(site);
    let _ = site.run(&["import", &log.file, "--format", "servicenow-csv"]).expect_code(0);
    // Without a node the command does it itself.
    let alone = site.run(&["projection", "rebuild", "tickets"]).expect_code(0);
    assert_eq!(alone.stdout, "tickets: version 2 is active\n");
    let node = site.serve().await;
    caught_up(site, &node).await;
    let client = node.client(&site.token("agent", "ann"));
    let before = count(&client, "").await;
    assert_eq!(before, log.incidents.len() as u64);
    let mut command = site.command();
    command.args(["projection", "rebuild", "tickets"]);
    let rebuilding = tokio::task::spawn_blocking(move || command.output().unwrap());
    let mut written = 0;
    while !rebuilding.is_finished() {
        let opened = client.post("/v1/tickets").json(&opening(written)).send().await;
        let opened = opened.expect_status(201);
        written += 1;
        let place = opened.header("docket-position").unwrap();
        let counted = client.get("/v1/tickets/count").header("Docket-After", place).send().await;
        let counted = counted.expect_status(200).json();
        assert_eq!(counted["count"], before + written as u64);
        assert_eq!(counted["as_of"]["stale"], false);
        let listed = client.get("/v1/tickets?sort=-updated_at&page%5Bsize%5D=5").send().await;
        assert_eq!(listed.expect_status(200).json()["tickets"].as_array().unwrap().len(), 5);
    }
    let output = rebuilding.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "tickets: version 3 is active\n");
    let versions = projections(site, &node).await["versions"].clone();
    assert_eq!(versions[0]["state"], "kept");
    assert_eq!(versions[1]["state"], "active");
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
    let back = eventually(CAUGHT_UP_WITHIN, async || {
        let back = site.run(&["projection", "rollback", "tickets"]);
        (back.code == Some(0)).then_some(())
    });
    assert!(back.await.is_some(), "the version before cannot be gone back to");
    assert_eq!(count(&client, "").await, before + written as u64);
    let list = site.run(&["projection", "list"]).expect_code(0).stdout;
    assert!(list.contains("version 2: active") && list.contains("version 3: kept"), "{list}");
}

#[tokio::test]
async fn a_rebuild_under_load_fails_no_query_on_sqlite() {
    is_rebuilt(Backend::sqlite()).await;
}

#[tokio::test]
async fn a_rebuild_under_load_fails_no_query_on_postgres() {
    is_rebuilt(Backend::postgres().await).await;
}

#[tokio::test]
async fn nodes_share_the_partitions_and_take_over_from_one_that_is_killed() {
    let backend = Backend::postgres().await;
    let site = &backend.site;
    let first = site.serve().await;
    let mut second = site.serve().await;
    let client = first.client(&site.token("agent", "ann"));
    // Longer than a lease, so that both have their share.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for number in 0..40 {
        let _ = client.post("/v1/tickets").json(&opening(number)).send().await.expect_status(201);
    }
    caught_up(site, &first).await;
    second.kill();
    for number in 40..80 {
        let _ = client.post("/v1/tickets").json(&opening(number)).send().await.expect_status(201);
    }
    let taken_over =
        eventually(Duration::from_secs(8), async || (count(&client, "").await == 80).then_some(()));
    assert!(taken_over.await.is_some(), "nobody took over");
    second.restart().await;
    caught_up(site, &second).await;
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
}

/// An event that cannot be read as what it should be stops its own ticket and no other.
async fn is_parked(backend: Backend) {
    let site = &backend.site;
    let mut node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    let mut tickets = Vec::new();
    for number in 0..12 {
        let mut body = opening(number);
        body["external_id"] = json!(format!("X-{number}"));
        let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
        tickets.push(opened.json()["ticket"]["id"].as_str().unwrap().to_owned());
    }
    caught_up(site, &node).await;
    let _ = node.stop().await;
    let broken = "UPDATE event SET data = '{\"odd\":1}' || data WHERE external_id = 'X-3'";
    backend.change_log(broken).await;
    let _ = site.run(&["projection", "rebuild", "tickets"]).expect_code(0);
    node.restart().await;
    assert_eq!(count(&client, "").await, 11);
    let parked = projections(site, &node).await["parked"].clone();
    assert_eq!(parked.as_array().unwrap().len(), 1);
    assert_eq!(parked[0]["ticket_id"], tickets[3].as_str());
    let list = site.run(&["projection", "list"]).expect_code(0).stdout;
    assert!(list.contains("1 parked") && list.contains(&tickets[3]), "{list}");
    for ticket in [&tickets[2], &tickets[4]] {
        let path = format!("/v1/tickets/{ticket}");
        let change = json!({"status": "solved"});
        let _ = client.patch(&path).json(&change).send().await.expect_status(200);
    }
    caught_up(site, &node).await;
    assert_eq!(count(&client, "status=solved").await, 2);
    // What is parked is no difference: there is nothing that it could be compared with.
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
    let _ = site.run(&["projection", "diff", "tickets", "--repair"]).expect_code(0);
    assert_eq!(count(&client, "").await, 11);
    // What else stands in its partition is compared and mended all the same.
    let counter = "INSERT INTO counter_b (tenant, field, value, partition, count) \
         SELECT 'default', 1, 'ajar', partition, 7 FROM parked";
    backend.change_view(counter).await;
    let found = site.run(&["projection", "diff", "tickets"]).expect_code(1);
    assert!(found.stdout.contains("counter Status \"ajar\""), "{}", found.stdout);
    let _ = site.run(&["projection", "diff", "tickets", "--repair"]).expect_code(0);
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
    let mended = "UPDATE event SET data = substr(data, 10) WHERE external_id = 'X-3'";
    backend.change_log(mended).await;
    let _ = site.run(&["projection", "diff", "tickets", "--repair"]).expect_code(0);
    assert_eq!(count(&client, "").await, 12);
    assert_eq!(projections(site, &node).await["parked"], json!([]));
}

#[tokio::test]
async fn a_broken_event_parks_its_ticket_and_no_other_on_sqlite() {
    is_parked(Backend::sqlite()).await;
}

#[tokio::test]
async fn a_broken_event_parks_its_ticket_and_no_other_on_postgres() {
    is_parked(Backend::postgres().await).await;
}
