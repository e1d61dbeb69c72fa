//! Two nodes on one PostgreSQL: claims have one winner, mixed writes are all there once, both show the same.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::{BTreeMap, BTreeSet};

use docket_tests::{Backend, Client, is_long};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CLIENTS: usize = 64;

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

/// Patches and messages of one client, some on the version first shown, some on the current one.
async fn mixed(
    client: Client,
    tickets: Vec<(String, String)>,
    seed: usize,
    count: usize,
) -> Vec<String> {
    let statuses = ["open", "pending", "hold", "solved"];
    let mut commands = Vec::with_capacity(count);
    for number in 0..count {
        let (path, version) = &tickets[(seed * 31 + number * 17) % tickets.len()];
        let status = statuses[(seed + number) % statuses.len()];
        let answer = match number % 4 {
            0 => client
                .post(&format!("{path}/messages"))
                .json(&json!({"body": format!("m{seed}-{number}")})),
            1 => client.patch(path).json(&json!({"status": status})),
            2 => client.patch(path).json(&json!({"status": status, "observed": version})),
            _ => client
                .patch(path)
                .json(&json!({"add_tags": [format!("t{}", number % 7)], "priority": "high"})),
        };
        let answer = answer.send().await;
        assert!(answer.status.is_success(), "{}: {:?}", answer.status, answer.body);
        commands.push(answer.header("docket-position").unwrap().to_owned());
    }
    commands
}

async fn all_events(client: &Client) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/events?limit=1000&after={after}")).send().await;
        let page = page.expect_status(200).json();
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        after = page["after_cursor"].as_str().unwrap().to_owned();
        if page["end_of_stream"] == true {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_writes_over_both_nodes_are_each_there_once_and_both_nodes_show_the_same() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let admin = nodes[0].client(&backend.site.token("admin", "root"));
    let tickets = open(&admin, scaled(200, 20)).await;
    let each = scaled(20_000, 1_280) / CLIENTS;
    let mut writers = JoinSet::new();
    for number in 0..CLIENTS {
        let client =
            nodes[number % 2].client(&backend.site.token("agent", &format!("agent-{number}")));
        writers.spawn(mixed(client, tickets.clone(), number, each));
    }
    let positions: Vec<String> = writers.join_all().await.concat();
    assert_eq!(positions.iter().collect::<BTreeSet<_>>().len(), positions.len());

    let events = all_events(&admin).await;
    let joined = events.iter().filter(|event| event["type"] == "ticket.heads_joined").count();
    assert_eq!(events.len() - joined, tickets.len() + each * CLIENTS);
    let mut places: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for event in &events {
        let place = places.entry(event["partition"].as_u64().unwrap()).or_default();
        place.push(event["position"].as_u64().unwrap());
    }
    for place in places.values() {
        assert!(place.iter().copied().eq(1..=place.len() as u64));
    }

    let fresh = backend.site.serve().await;
    let token = backend.site.token("admin", "root");
    let clients = [nodes[0].client(&token), nodes[1].client(&token), fresh.client(&token)];
    for (path, _) in &tickets {
        let mut shown = Vec::new();
        for client in &clients {
            shown.push(client.get(path).send().await.expect_status(200).json());
        }
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{shown:#?}");
        for conflict in shown[0]["ticket"]["conflicts"].as_array().unwrap() {
            let candidates = conflict["candidates"].as_array().unwrap();
            let assumed = candidates.iter().filter(|one| one["observed"] == "assumed").count();
            assert!(assumed <= 1, "{conflict:#}");
        }
    }
}
