//! Two nodes on one PostgreSQL: claims have one winner, whoever writes at both is one writer, both show the same.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::BTreeSet;

use docket_tests::{Answer, Backend, Client, Feed, Node, Site, is_long};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Who race for claims, each at one node.
const CLIENTS: usize = 64;
/// Who write, each at both nodes at once.
const AGENTS: usize = 32;

fn scaled(long: usize, short: usize) -> usize {
    if is_long() { long } else { short }
}

async fn open(client: &Client, count: usize) -> Vec<(String, String)> {
    let mut tickets = Vec::with_capacity(count);
    for number in 0..count {
        let body =
            json!({"subject": format!("T{number}"), "body": "B", "requester": {"id": "cus_1"}});
        let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201).json();
        let text = |field: &str| opened["ticket"][field].as_str().unwrap().to_owned();
        tickets.push((format!("/v1/tickets/{}", text("id")), text("version")));
    }
    tickets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_claim_a_ticket_at_once_exactly_one_wins() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let admin = nodes[0].client(&backend.site.token("admin", "root"));
    let tickets = open(&admin, scaled(1_000, 40)).await;
    let mut races = JoinSet::new();
    for number in 0..CLIENTS {
        let agent = format!("agent-{number}");
        let client = nodes[number % 2].client(&backend.site.token("agent", &agent));
        let tickets = tickets.clone();
        races.spawn(async move {
            let mut outcomes = Vec::with_capacity(tickets.len());
            for (path, _) in &tickets {
                let answer = client.post(&format!("{path}/claim")).send().await;
                let holder = match answer.status.as_u16() {
                    200 => answer.json()["ticket"]["assignee_id"].clone(),
                    409 => answer.json()["holder"].clone(),
                    other => panic!("{other}: {:?}", answer.body),
                };
                outcomes.push((answer.status == 200, holder));
            }
            (agent, outcomes)
        });
    }
    let outcomes = races.join_all().await;
    for (index, (path, _)) in tickets.iter().enumerate() {
        let winners: Vec<_> =
            outcomes.iter().filter(|(_, list)| list[index].0).map(|(name, _)| name).collect();
        assert_eq!(winners.len(), 1, "{path}");
        assert!(outcomes.iter().all(|(_, list)| list[index].1 == json!(winners[0])), "{path}");
    }
}

/// One principal on one device, known at both nodes.
#[derive(Clone)]
struct Agent {
    name: String,
    nodes: [Client; 2],
}

impl Agent {
    fn new(site: &Site, nodes: &[Node; 2], number: usize) -> Self {
        let name = format!("agent-{number}");
        let token = site.token("agent", &name);
        Self { name, nodes: nodes.each_ref().map(|node| node.client(&token)) }
    }

    /// Sends both at once, one to each node; which goes where changes with every `turn`.
    async fn at_once(&self, turn: usize, writes: [Write; 2]) -> [Answer; 2] {
        let [one, other] = writes;
        let answers =
            tokio::join!(one.send(&self.nodes[turn % 2]), other.send(&self.nodes[(turn + 1) % 2]));
        [answers.0, answers.1]
    }
}

/// A message or a patch that says something no other says.
struct Write {
    path: String,
    body: Value,
}

impl Write {
    async fn send(self, client: &Client) -> Answer {
        let Self { path, body } = self;
        let request =
            if path.ends_with("/messages") { client.post(&path) } else { client.patch(&path) };
        let answer = request.json(&body).send().await;
        assert!(answer.status.is_success(), "{}: {:?} to {body}", answer.status, answer.body);
        check_conflicts(&answer.json()["ticket"]);
        answer
    }
}

/// What was made without a version has seen all that was there: two such writes never stand against each other.
#[track_caller]
fn check_conflicts(ticket: &Value) {
    for conflict in ticket["conflicts"].as_array().unwrap() {
        let candidates = conflict["candidates"].as_array().unwrap();
        let assumed = candidates.iter().filter(|one| one["observed"] == "assumed").count();
        assert!(assumed <= 1, "{conflict:#}");
    }
}

/// What one agent wrote.
#[derive(Default)]
struct Written {
    marks: Vec<String>,
    positions: Vec<String>,
    events: usize,
}

/// A write of each kind in turn: without a version, on the one first shown, on the one that this agent saw last.
fn write(number: usize, mark: &str, path: &str, first: &str, last: &str) -> Write {
    let status = ["open", "pending", "hold", "solved"][number / 6 % 4];
    let fields = json!({"mark": mark});
    let body = match number % 6 {
        0 => json!({"body": mark}),
        1 => json!({"status": status, "custom_fields": fields}),
        2 => json!({"status": status, "custom_fields": fields, "observed": first}),
        3 => json!({"add_tags": [format!("t{}", number % 7)], "custom_fields": fields}),
        4 => json!({"status": status, "custom_fields": fields, "observed": last}),
        _ => json!({"body": mark, "status": status}),
    };
    let says = body.get("body").is_some();
    Write { path: if says { format!("{path}/messages") } else { path.to_owned() }, body }
}

async fn mixed(agent: Agent, tickets: Vec<(String, String)>, seed: usize, turns: usize) -> Written {
    let mut written = Written::default();
    let mut seen: Vec<String> = tickets.iter().map(|(_, version)| version.clone()).collect();
    for turn in 0..turns {
        let ticket = (seed * 31 + turn * 17) % tickets.len();
        let (path, first) = &tickets[ticket];
        let writes = [0, 1].map(|side| {
            let number = seed + 2 * turn + side;
            let mark = format!("{}-{turn}-{side}", agent.name);
            let write = write(number, &mark, path, first, &seen[ticket]);
            written.events += if number % 6 == 5 { 2 } else { 1 };
            written.marks.push(mark);
            write
        });
        for answer in agent.at_once(turn, writes).await {
            written.positions.push(answer.header("docket-position").unwrap().to_owned());
            seen[ticket] = answer.json()["ticket"]["version"].as_str().unwrap().to_owned();
        }
    }
    written
}

async fn check_same(clients: &[Client], tickets: &[(String, String)]) {
    for (path, _) in tickets {
        let mut shown = Vec::new();
        for client in clients {
            shown.push(client.get(path).send().await.expect_status(200).json());
        }
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{shown:#?}");
        check_conflicts(&shown[0]["ticket"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_writes_over_both_nodes_are_each_there_once_and_both_nodes_show_the_same() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let token = backend.site.token("admin", "root");
    let admin = nodes[0].client(&token);
    let tickets = open(&admin, scaled(200, 20)).await;
    let turns = scaled(20_000, 1_280) / AGENTS / 2;
    let mut writers = JoinSet::new();
    for number in 0..AGENTS {
        let agent = Agent::new(&backend.site, &nodes, number);
        writers.spawn(mixed(agent, tickets.clone(), number, turns));
    }
    let written = writers.join_all().await;
    let positions: Vec<&String> = written.iter().flat_map(|one| &one.positions).collect();
    assert_eq!(positions.iter().collect::<BTreeSet<_>>().len(), positions.len());

    let feed = Feed::read(&admin).await;
    feed.check();
    let marked = feed.by_mark();
    for mark in written.iter().flat_map(|one| &one.marks) {
        assert_eq!(marked.get(mark.as_str()).map(Vec::len), Some(1), "{mark} is there once");
    }
    let joined = feed.events.iter().filter(|event| event["type"] == "ticket.heads_joined").count();
    let expected: usize = written.iter().map(|one| one.events).sum();
    assert_eq!(feed.events.len() - joined, tickets.len() + expected);

    let fresh = backend.site.serve().await;
    check_same(&[admin, nodes[1].client(&token), fresh.client(&token)], &tickets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_without_a_version_over_two_nodes_make_one_chain() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let token = backend.site.token("admin", "root");
    let admin = nodes[0].client(&token);
    let tickets = open(&admin, 1).await;
    let (writers, turns) = (4, scaled(200, 20));
    let mut running = JoinSet::new();
    for number in 0..writers {
        let agent = Agent::new(&backend.site, &nodes, number);
        let path = tickets[0].0.clone();
        running.spawn(async move {
            for turn in 0..turns {
                let status = ["open", "pending", "hold", "solved"][(number + turn) % 4];
                let writes = ["high", "low"].map(|priority| {
                    let body = json!({"status": status, "priority": priority});
                    Write { path: path.clone(), body }
                });
                for answer in agent.at_once(turn, writes).await {
                    assert_eq!(answer.json()["ticket"]["conflicts"], json!([]));
                }
            }
        });
    }
    running.join_all().await;

    let feed = Feed::read(&admin).await;
    feed.check();
    assert_eq!(feed.events.len(), 1 + 2 * writers * turns);
    for pair in feed.events.windows(2) {
        assert_eq!(pair[1]["deps"], json!([pair[0]["hash"]]), "each on the one before");
    }
    let actors: BTreeSet<_> =
        feed.events[1..].iter().map(|event| event["actor"].as_str()).collect();
    assert_eq!(actors.len(), writers, "who has seen everything needs no second lane");
    let fresh = backend.site.serve().await;
    check_same(&[admin, nodes[1].client(&token), fresh.client(&token)], &tickets).await;
}
