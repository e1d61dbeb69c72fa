//! An index that was damaged by hand: `diff` names what differs, repair mends it, a rebuild fills another beside it.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_schemas::Partition;
use docket_search::document::Place;
use docket_search::home::IndexHome;
use docket_search::port::{SearchIndex as _, Writes};
use docket_tests::{Backend, Client, Node, Site, eventually};
use serde_json::json;

/// How long the index may take to follow.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(20);
const WORDS: [&str; 3] = ["scanner", "toaster", "发票"];

/// Opens a ticket for each word; answers their ids.
async fn open_all(client: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for word in WORDS {
        let body = json!({"subject": format!("About a {word}"), "body": format!("My {word} smokes."),
            "requester": {"id": "cus_1"}});
        let answer = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
        ids.push(answer.json()["ticket"]["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// Which words find their tickets, once the index has caught up with the start of its node.
async fn found(client: &Client) -> Vec<bool> {
    let mut found = Vec::new();
    for word in WORDS {
        let query: String = word.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = eventually(CAUGHT_UP_WITHIN, async || {
            let answer =
                client.get(&format!("/v1/search?q={query}")).send().await.expect_status(200);
            let answer = answer.json();
            (answer["as_of"]["stale"] == false).then_some(answer)
        });
        found.push(answer.await.expect("it catches up")["count"] == 1);
    }
    found
}

/// The directory of the one node's index.
fn home(site: &Site) -> PathBuf {
    let mut homes = std::fs::read_dir(site.data().join("index")).unwrap();
    let home = homes.next().expect("an index").unwrap().path();
    assert!(homes.next().is_none(), "one node has one index");
    home
}

/// Where a ticket's opening stands.
async fn place(client: &Client, ticket: &str) -> Place {
    let path = format!("/v1/tickets/{ticket}/events");
    let opening = client.get(&path).send().await.expect_status(200).json()["events"][0].clone();
    let number = opening["partition"].as_u64().and_then(|number| u8::try_from(number).ok());
    let partition = number.and_then(Partition::new).expect("a partition");
    Place::new(partition, opening["position"].as_u64().unwrap())
}

/// Takes a ticket out of the index, as if its files had been tampered with.
async fn forget(home: &Path, place: Place) {
    let index = IndexHome::open(home, 1).unwrap();
    let incarnation = index.standing().expect("it has committed").incarnation;
    let (tickets, forgotten, upto) = (Vec::new(), vec![place], Positions::START);
    index.write(Writes { incarnation, tickets, forgotten, upto }).await.unwrap();
    index.commit().await.unwrap();
}

async fn catches_up(node: &Node, site: &Site) {
    let client = node.client(&site.token("admin", "root"));
    let caught_up = eventually(CAUGHT_UP_WITHIN, async || {
        let answer = client.get("/v1/projections").send().await.expect_status(200).json();
        let behind =
            answer["projections"].as_array().unwrap().iter().any(|one| one["lag_events"] != 0);
        (!behind).then_some(())
    });
    assert!(caught_up.await.is_some(), "view and index do not catch up");
}

async fn what_was_removed_by_hand_is_found_and_mended(site: &Site) {
    let mut node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    let tickets = open_all(&client).await;
    catches_up(&node, site).await;
    assert_eq!(found(&client).await, [true; 3]);
    let listed = site.run(&["projection", "list"]).expect_code(0);
    assert!(listed.stdout.contains("search of "), "{}", listed.stdout);
    let _ = site.run(&["projection", "diff", "search"]).expect_code(0);

    // While no node serves, the command writes the index itself.
    let home = home(site);
    let place = place(&client, &tickets[0]).await;
    node.stop().await;
    forget(&home, place).await;
    let differs = site.run(&["projection", "diff", "search"]).expect_code(1);
    assert!(
        differs.stdout.contains(&format!("ticket {}: missing", tickets[0])),
        "{}",
        differs.stdout
    );
    let _ = site.run(&["projection", "diff", "search", "--repair"]).expect_code(0);
    let _ = site.run(&["projection", "diff", "search"]).expect_code(0);

    // While one serves, it is asked.
    forget(&home, place).await;
    node.restart().await;
    let client = node.client(&site.token("agent", "ann"));
    assert_eq!(found(&client).await, [false, true, true], "a restart does not hide damage");
    let _ = site.run(&["projection", "diff", "search"]).expect_code(1);
    let _ = site.run(&["projection", "diff", "search", "--repair"]).expect_code(0);
    assert_eq!(found(&client).await, [true; 3]);
}

async fn an_index_is_rebuilt_beside_the_one_that_answers_and_gone_back_from(site: &Site) {
    let mut node = site.serve().await;
    let client = node.client(&site.token("agent", "ann"));
    let _ = open_all(&client).await;
    catches_up(&node, site).await;
    let rebuilt = site.run(&["projection", "rebuild", "search"]).expect_code(0);
    assert!(rebuilt.stdout.contains("index 2 answers"), "{}", rebuilt.stdout);
    assert_eq!(found(&client).await, [true; 3]);
    let back = site.run(&["projection", "rollback", "search"]).expect_code(0);
    assert!(back.stdout.contains("index 1 answers"), "{}", back.stdout);
    assert_eq!(found(&client).await, [true; 3]);
    let none = site.run(&["projection", "rollback", "search"]).expect_code(1);
    assert!(none.stderr.contains("no index to go back to"), "{}", none.stderr);
    let _ = site.run(&["projection", "diff", "search"]).expect_code(0);
    node.stop().await;
    let rebuilt = site.run(&["projection", "rebuild", "search"]).expect_code(0);
    assert!(rebuilt.stdout.contains("index 2 answers"), "{}", rebuilt.stdout);
    node.restart().await;
    let client = node.client(&site.token("agent", "ann"));
    assert_eq!(found(&client).await, [true; 3]);
}

#[tokio::test]
async fn a_document_that_was_removed_is_found_and_mended() {
    for backend in [Backend::sqlite(), Backend::postgres().await] {
        what_was_removed_by_hand_is_found_and_mended(&backend.site).await;
    }
}

#[tokio::test]
async fn a_rebuilt_index_answers_and_the_one_before_is_kept() {
    for backend in [Backend::sqlite(), Backend::postgres().await] {
        an_index_is_rebuilt_beside_the_one_that_answers_and_gone_back_from(&backend.site).await;
    }
}
