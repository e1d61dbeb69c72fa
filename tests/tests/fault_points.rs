//! Every fault at every point outside sagas: it happens, and what is written is written once, shown and found all the same.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::time::Duration;

use docket_tests::{Client, NatsServer, Node, Site, eventually};
use serde_json::{Value, json};

/// How long anything may take until it is done after all.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// How long a point gives no answer where it is told to give none.
const UNAVAILABLE_SECONDS: u64 = 2;

/// Kinds of faults in which the node lives on, and nothing is lost.
const PASSING: [&str; 2] = ["transient", "unavailable"];

/// The points outside sagas with the kinds that each claims, as `docket faults` lists them.
fn points() -> Vec<(String, Vec<String>)> {
    let listed = Site::embedded().failing("").run(&["faults"]).expect_code(0).stdout;
    let lines = listed.lines().filter(|line| line.contains('.') && !line.starts_with("saga."));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (point, kinds) = (words.next().unwrap(), words.next().unwrap());
            (point.to_owned(), kinds.split(',').map(str::to_owned).collect())
        })
        .collect()
}

/// One fault, and the place where it happens.
struct Case {
    point: String,
    kind: String,
    nats: Option<NatsServer>,
}

impl Case {
    async fn new(point: &str, kind: &str) -> Self {
        let nats = if point.starts_with("relay.") { Some(NatsServer::start().await) } else { None };
        Self { point: point.to_owned(), kind: kind.to_owned(), nats }
    }

    fn fault(&self) -> String {
        let (point, kind) = (&self.point, &self.kind);
        match kind.as_str() {
            "unavailable" => format!("{point}:{kind}:{UNAVAILABLE_SECONDS}"),
            // Whatever is written, for the first commit may have nothing to lose.
            "damage" => format!("{point}:{kind}:0"),
            _ => format!("{point}:{kind}"),
        }
    }

    fn site(&self) -> Site {
        let site = Site::embedded().with("rate-limit", "off").failing(&self.fault());
        match &self.nats {
            Some(nats) => site.with("nats-url", &nats.url()),
            None => site,
        }
    }

    async fn meet(self) {
        let mut site = self.site();
        let mut node = site.serve().await;
        let written = self.write(&site, &node).await;
        if self.kind == "kill" {
            let _ = node.ended().await;
            assert!(self.has_happened(&node), "{}: it never happened", self.fault());
            assert!(!written, "{}: it was killed before all was shown", self.fault());
            site = site.sound();
            node.restart_as(&site).await;
            assert!(self.write(&site, &node).await, "{}: the next node does it", self.fault());
        } else {
            assert!(written, "{}: it is done after all", self.fault());
            let happened = eventually(DONE_WITHIN, async || self.has_happened(&node).then_some(()));
            assert!(happened.await.is_some(), "{}: it never happened", self.fault());
            // A command is not to fail at the same point.
            site = site.sound();
        }
        if self.kind == "damage" {
            let of = if self.point.starts_with("index.") { "search" } else { "tickets" };
            let found = eventually(DONE_WITHIN, async || {
                let diff = site.run(&["projection", "diff", of]);
                (diff.code == Some(1)).then_some(())
            });
            assert!(found.await.is_some(), "{}: nobody finds it", self.fault());
            node.restart_as(&site).await;
        }
        for of in ["tickets", "search"] {
            let _ = site.run(&["projection", "diff", of, "--repair"]).expect_code(0);
            let _ = site.run(&["projection", "diff", of]).expect_code(0);
        }
        let client = node.client(&site.token("agent", "ann"));
        let count = client.get("/v1/tickets/count").send().await.expect_status(200).json();
        assert_eq!(count["count"], 2, "{}: each ticket once", self.fault());
    }

    fn has_happened(&self, node: &Node) -> bool {
        node.log().contains(&format!("docket: fault at {}: ", self.point))
    }

    /// Opens two tickets and merges them, under the same keys each time; whether all of it came to be shown. False as
    /// soon as the node is gone. Where something is damaged the tickets are opened, and that is all.
    async fn write(&self, site: &Site, node: &Node) -> bool {
        let client = node.client(&site.token("agent", "ann"));
        let Some(source) = opens(&client, "source").await else { return false };
        let Some(into) = opens(&client, "into").await else { return false };
        if self.kind == "damage" {
            // What is written again is right again.
            return true;
        }
        let path = format!("/v1/tickets/{source}/merge");
        let Some(begun) = insist(&client, &path, "merge", &json!({"into": into}), 202).await else {
            return false;
        };
        let path = format!("/v1/sagas/{}", begun["saga"]["id"].as_str().unwrap());
        let done = until(&client, &path, |answer| answer["saga"]["state"] == "done").await;
        done && self.is_relayed(node).await && shown(&client).await
    }

    async fn is_relayed(&self, node: &Node) -> bool {
        if self.nats.is_none() {
            return true;
        }
        let relayed = eventually(DONE_WITHIN, async || {
            let Ok(metrics) = node.anonymous().get("/metrics").try_send().await else {
                return Some(false);
            };
            let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
            metrics.contains("\ndocket_relay_lag_events 0\n").then_some(true)
        });
        relayed.await.expect("the relay goes on")
    }
}

async fn opens(client: &Client, key: &str) -> Option<String> {
    let body = json!({"subject": key, "body": "It smokes.", "requester": {"id": "cus_1"}});
    let opened = insist(client, "/v1/tickets", key, &body, 201).await?;
    Some(opened["ticket"]["id"].as_str().unwrap().to_owned())
}

/// Sends until it is acknowledged; none once the node is gone.
async fn insist(
    client: &Client,
    path: &str,
    key: &str,
    body: &Value,
    wanted: u16,
) -> Option<Value> {
    let answered = eventually(DONE_WITHIN, async || {
        let sent = client.post(path).header("Idempotency-Key", key).json(body).try_send().await;
        match sent {
            Ok(answer) if answer.status == wanted => Some(Some(answer.json())),
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{:?}", answer.body);
                None
            }
            Err(_) => Some(None),
        }
    });
    answered.await.expect("an answer in the end")
}

/// Looks until it is so; false once the node is gone.
async fn until(client: &Client, path: &str, is_so: impl Fn(&Value) -> bool) -> bool {
    let seen = eventually(DONE_WITHIN, async || {
        let Ok(answer) = client.get(path).try_send().await else { return Some(false) };
        (answer.status == 200 && is_so(&answer.json())).then_some(true)
    });
    seen.await.unwrap_or_else(|| panic!("{path} never says so"))
}

/// View and index say what was written.
async fn shown(client: &Client) -> bool {
    until(client, "/v1/tickets/count", |answer| answer["count"] == 2).await
        && until(client, "/v1/search?q=smokes", |answer| answer["count"] == 1).await
}

async fn meets(chosen: impl Fn(&str) -> bool) {
    let mut met = 0;
    for (point, kinds) in points() {
        for kind in kinds.iter().filter(|kind| chosen(kind)) {
            let case = Case::new(&point, kind).await;
            println!("{}", case.fault());
            case.meet().await;
            met += 1;
        }
    }
    println!("{met} faults at points outside sagas");
    assert!(met > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_at_a_point_is_followed_by_one_that_does_it_all() {
    meets(|kind| kind == "kill").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_that_fails_for_a_while_is_got_over() {
    meets(|kind| PASSING.contains(&kind)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_point_damages_is_found_and_mended() {
    meets(|kind| kind == "damage").await;
}

#[tokio::test]
async fn no_point_claims_a_kind_that_no_test_here_knows_and_a_kind_not_claimed_is_refused() {
    for (point, kinds) in points() {
        for kind in &kinds {
            let known = ["kill", "damage"].contains(&kind.as_str());
            assert!(known || PASSING.contains(&kind.as_str()), "{point}:{kind}");
        }
        for kind in ["kill", "transient", "unavailable", "business", "twice", "damage"] {
            if !kinds.iter().any(|claimed| claimed == kind) {
                let site = Site::embedded().failing(&format!("{point}:{kind}"));
                let refused = site.run(&["faults"]).expect_code(2);
                assert!(refused.stderr.contains("does not do that"), "{}", refused.stderr);
            }
        }
    }
}
