//! The scene: customer, agent and admin write the status at once, in every order, on both backends, over HTTP.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use docket_tests::{Backend, Client, Node, Site};
use serde_json::{Value, json};

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

struct Cast {
    customer: Client,
    agent: Client,
    admin: Client,
}

impl Cast {
    fn of(site: &Site, node: &Node) -> Self {
        let client = |role, subject| node.client(&site.token(role, subject));
        Self {
            customer: client("customer", "cus_1"),
            agent: client("agent", "ann"),
            admin: client("admin", "root"),
        }
    }

    async fn open(&self) -> Value {
        let body = json!({"subject": "Printer on fire", "body": "It smokes."});
        self.customer.post("/v1/tickets").json(&body).send().await.expect_status(201).json()
    }
}

fn path(ticket: &Value) -> String {
    format!("/v1/tickets/{}", ticket["ticket"]["id"].as_str().unwrap())
}

/// An answer without what differs between two tickets: ids, times, version tokens.
fn comparable(answer: &Value) -> String {
    let mut ticket = answer["ticket"].clone();
    for field in ["id", "created_at", "updated_at", "version"] {
        ticket[field] = Value::Null;
    }
    for candidate in ticket["conflicts"][0]["candidates"].as_array_mut().unwrap() {
        candidate["event_id"] = Value::Null;
    }
    ticket.to_string()
}

async fn play(site: &Site) -> String {
    let node = site.serve().await;
    let cast = Cast::of(site, &node);
    let writers = [(&cast.customer, "solved"), (&cast.agent, "pending"), (&cast.admin, "closed")];
    let mut shown = Vec::new();
    for order in ORDERS {
        let opened = cast.open().await;
        let version = &opened["ticket"]["version"];
        for index in order {
            let (client, status) = writers[index];
            let body = json!({"status": status, "observed": version});
            let _ = client.patch(&path(&opened)).json(&body).send().await.expect_status(200);
        }
        let answer = cast.agent.get(&path(&opened)).send().await.expect_status(200).json();
        assert_eq!(answer["ticket"]["status"], "closed");
        let candidates = answer["ticket"]["conflicts"][0]["candidates"].as_array().unwrap();
        let roles: Vec<_> = candidates.iter().map(|candidate| &candidate["role"]).collect();
        assert_eq!(roles, ["admin", "agent", "customer"]);
        shown.push(comparable(&answer));
        settle(&cast, &opened, &answer).await;
    }
    assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{shown:#?}");
    shown.remove(0)
}

/// An agent who has seen the conflict settles it; a lone `closed` takes no status any more.
async fn settle(cast: &Cast, opened: &Value, shown: &Value) {
    let body = json!({"status": "open", "observed": shown["ticket"]["version"]});
    let settled =
        cast.agent.patch(&path(opened)).json(&body).send().await.expect_status(200).json();
    assert_eq!(
        (&settled["ticket"]["status"], &settled["ticket"]["conflicts"]),
        (&json!("open"), &json!([]))
    );

    let closed = json!({"status": "closed"});
    let closed =
        cast.admin.patch(&path(opened)).json(&closed).send().await.expect_status(200).json();
    let body = json!({"status": "open", "observed": closed["ticket"]["version"]});
    let refused = cast.agent.patch(&path(opened)).json(&body).send().await.expect_status(409);
    assert_eq!(refused.code(), "closed");
}

#[tokio::test]
async fn six_orders_on_both_backends_give_one_answer() {
    let sqlite = play(&Backend::sqlite().site).await;
    let postgres = Backend::postgres().await;
    assert_eq!(sqlite, play(&postgres.site).await);
}

async fn solve_unseen(site: &Site) {
    let node = site.serve().await;
    let cast = Cast::of(site, &node);
    let opened = cast.open().await;
    let messages = format!("{}/messages", path(&opened));
    let said = json!({"body": "It still smokes."});
    let said = cast.customer.post(&messages).json(&said).send().await.expect_status(201).json();

    let blind = json!({"status": "solved", "observed": opened["ticket"]["version"]});
    let shown =
        cast.agent.patch(&path(&opened)).json(&blind).send().await.expect_status(200).json();
    assert_eq!(shown["ticket"]["status"], "open");
    assert_eq!(shown["ticket"]["unseen_messages"][0]["id"], said["message"]["id"]);

    let seen = json!({"status": "solved", "observed": shown["ticket"]["version"]});
    let shown = cast.agent.patch(&path(&opened)).json(&seen).send().await.expect_status(200).json();
    assert_eq!(
        (&shown["ticket"]["status"], &shown["ticket"]["unseen_messages"]),
        (&json!("solved"), &json!([]))
    );
}

#[tokio::test]
async fn a_ticket_solved_without_having_seen_the_last_message_is_open() {
    solve_unseen(&Backend::sqlite().site).await;
    solve_unseen(&Backend::postgres().await.site).await;
}
