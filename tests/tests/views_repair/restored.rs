//! Views beside a log that was restored: they hold what it has lost, or were restored with it.

use docket_tests::{Backend, Client, Folder, Node, Site, eventually};
use serde_json::json;

use super::{CAUGHT_UP_WITHIN, caught_up, count, opening};

/// A stopped node whose view holds 30 tickets, 20 of which its restored log has lost.
async fn beyond_a_restored_log(site: &Site) -> (Node, Client) {
    let mut node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    let open = async |number| {
        let opened = client.post("/v1/tickets").json(&opening(number)).send().await;
        let _ = opened.expect_status(201);
    };
    for number in 0..10 {
        open(number).await;
    }
    let _ = node.stop().await;
    // With what was not moved into the file yet.
    let files = ["docket.db", "docket.db-wal"];
    let saved = Folder::new();
    for file in files.iter().filter(|file| site.data().join(file).exists()) {
        std::fs::copy(site.data().join(file), saved.path().join(file)).unwrap();
    }
    node.restart().await;
    for number in 10..30 {
        open(number).await;
    }
    caught_up(site, &node).await;
    assert_eq!(count(&client, "").await, 30);
    let _ = node.stop().await;
    for file in ["docket.db", "docket.db-wal", "docket.db-shm"] {
        let _ = std::fs::remove_file(site.data().join(file));
    }
    for file in files.iter().filter(|file| saved.path().join(file).exists()) {
        std::fs::copy(saved.path().join(file), site.data().join(file)).unwrap();
    }
    (node, client)
}

#[tokio::test]
async fn a_view_that_was_beyond_a_restored_log_is_rebuilt() {
    let backend = Backend::sqlite();
    let site = &backend.site;
    let (mut node, client) = beyond_a_restored_log(site).await;
    node.restart().await;
    let rebuilt =
        eventually(CAUGHT_UP_WITHIN, async || (count(&client, "").await == 10).then_some(()));
    assert!(rebuilt.await.is_some(), "the view shows what the log has lost");
    let _ = open_at_last(&client, 30).await;
    caught_up(site, &node).await;
    assert_eq!(count(&client, "").await, 11);
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
}

#[tokio::test]
async fn a_view_beyond_a_restored_log_says_so_until_it_is_rebuilt() {
    let backend = Backend::sqlite();
    let (mut node, client) = beyond_a_restored_log(&backend.site).await;
    let site = backend.site.failing("projection.before:unavailable:600");
    node.restart_as(&site).await;
    let place = open_at_last(&client, 30).await;
    let counted = async |after: Option<&str>| {
        let mut asked = client.get("/v1/tickets/count");
        if let Some(after) = after {
            asked = asked.header("Docket-After", after);
        }
        asked.send().await.expect_status(200).json()
    };
    for after in [None, Some(&*place)] {
        let answer = counted(after).await;
        assert_eq!(answer["as_of"]["stale"], true, "{answer}");
        // What it rests on is a place in the log as it is.
        let position = answer["as_of"]["position"].as_str().unwrap();
        let feed = client.get(&format!("/v1/events?after={position}")).send().await;
        let _ = feed.expect_status(200);
    }
    node.restart_as(&site.sound()).await;
    let fresh = eventually(CAUGHT_UP_WITHIN, async || {
        let answer = counted(Some(&place)).await;
        (answer["as_of"]["stale"] == false).then_some(answer["count"].clone())
    });
    assert_eq!(fresh.await, Some(json!(11)));
}

/// Opens a ticket, however often the node first meets a connection that its server has closed; answers its place.
async fn open_at_last(client: &Client, number: usize) -> String {
    let opened = eventually(CAUGHT_UP_WITHIN, async || {
        let answer = client.post("/v1/tickets").json(&opening(number)).send().await;
        (answer.status == 201).then(|| answer.header("docket-position").unwrap().to_owned())
    });
    opened.await.expect("the node finds back to its database")
}

#[tokio::test]
async fn a_view_restored_with_its_log_under_a_running_node_goes_on() {
    let backend = Backend::postgres().await;
    let site = &backend.site;
    let node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    for number in 0..10 {
        let _ = open_at_last(&client, number).await;
    }
    caught_up(site, &node).await;
    backend.save().await;
    for number in 10..30 {
        let _ = open_at_last(&client, number).await;
    }
    let counted = eventually(CAUGHT_UP_WITHIN, async || {
        let answer = client.get("/v1/tickets/count").send().await;
        (answer.status == 200 && answer.json()["count"] == 30).then_some(())
    });
    assert!(counted.await.is_some(), "the view does not find back to its database");
    backend.restore().await;
    let place = open_at_last(&client, 30).await;
    let counted = eventually(CAUGHT_UP_WITHIN, async || {
        let asked = client.get("/v1/tickets/count").header("Docket-After", &place).send().await;
        (asked.status == 200 && asked.json()["as_of"]["stale"] == false).then(|| asked.json())
    });
    assert_eq!(counted.await.unwrap()["count"], 11);
    // Beyond where the lost tickets stood.
    for number in 31..70 {
        let place = open_at_last(&client, number).await;
        let asked = client.get("/v1/tickets/count").header("Docket-After", &place).send().await;
        assert_eq!(asked.expect_status(200).json()["count"], number - 19);
    }
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
}
