//! Storms of merges: through an index that does not answer, and at random over two nodes.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use docket_tests::{Answer, Backend, Client, Feed, eventually, is_long};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const CLIENTS: usize = 32;
/// How long sagas may go on once the index is back, or nothing new begins.
const RESTS_WITHIN: Duration = Duration::from_secs(60);
/// States in which a saga goes on.
const UNDER_WAY: [&str; 3] = ["running", "waiting", "compensating"];

fn scaled(long: usize, short: usize) -> usize {
    if is_long() { long } else { short }
}

#[expect(clippy::disallowed_methods, reason = "a storm is measured by the wall")]
fn now() -> Instant {
    Instant::now()
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

async fn opens(client: &Client, word: &str) -> String {
    let body = json!({"subject": "S", "body": word, "requester": {"id": "cus_1"}});
    let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    opened.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

/// How many sagas there are in a state.
async fn sagas(client: &Client, state: &str) -> usize {
    let (mut count, mut after) = (0, String::new());
    loop {
        let path = format!("/v1/sagas?state={state}&page%5Bsize%5D=100&page%5Bafter%5D={after}");
        let page = client.get(&path).send().await.expect_status(200).json();
        count += page["sagas"].as_array().unwrap().len();
        match page["meta"]["after_cursor"].as_str() {
            Some(cursor) => cursor.clone_into(&mut after),
            None => return count,
        }
    }
}

/// Waits until no saga goes on any more, and says how long that took.
async fn rests(client: &Client, within: Duration) -> Duration {
    let began = now();
    let rest = eventually(within, async || {
        for state in UNDER_WAY {
            if sagas(client, state).await > 0 {
                tokio::time::sleep(Duration::from_millis(250)).await;
                return None;
            }
        }
        Some(())
    });
    assert!(rest.await.is_some(), "sagas go on {} s later", within.as_secs());
    began.elapsed()
}

/// A pair of tickets: each is found by its own word.
#[derive(Clone)]
struct Pair {
    source: String,
    word: String,
    into: String,
}

/// Looks at lists, searches and tickets until it is told to stop; none may show what is half merged without its mark.
async fn watch(client: Client, pairs: Arc<Vec<Pair>>, stop: Arc<AtomicBool>, seed: u64) -> usize {
    let by_source: BTreeMap<&str, &Pair> =
        pairs.iter().map(|one| (one.source.as_str(), one)).collect();
    let by_into: BTreeMap<&str, &Pair> = pairs.iter().map(|one| (one.into.as_str(), one)).collect();
    let check = |ticket: &Value, place: &str| {
        let id = ticket["id"].as_str().unwrap();
        if by_source.contains_key(id) && ticket["status"] == "closed" {
            assert_eq!(ticket["merge"]["into"], by_source[id].into, "{place}: {ticket:#}");
        }
        if by_into.contains_key(id) && ticket["message_count"] != 1 {
            assert_eq!(ticket["merge"]["from"], json!([by_into[id].source]), "{place}: {ticket:#}");
        }
    };
    let (mut dice, mut looks) = (Dice(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        let pair = &pairs[dice.below(pairs.len())];
        let Ok(answer) = client.get("/v1/tickets?page%5Bsize%5D=100").try_send().await else {
            continue;
        };
        for ticket in answer.expect_status(200).json()["tickets"].as_array().unwrap() {
            check(ticket, "list");
        }
        let Ok(answer) = client.get(&format!("/v1/search?q={}", pair.word)).try_send().await else {
            continue;
        };
        if answer.status == 200 {
            for result in answer.json()["results"].as_array().unwrap() {
                check(&result["ticket"], "search");
                if result["ticket"]["id"] == json!(pair.into) {
                    let from = &result["ticket"]["merge"]["from"];
                    assert_eq!(*from, json!([pair.source]), "search: {result:#}");
                }
            }
        }
        for id in [&pair.source, &pair.into] {
            let Ok(answer) = client.get(&format!("/v1/tickets/{id}")).try_send().await else {
                continue;
            };
            check(&answer.expect_status(200).json()["ticket"], "ticket");
        }
        looks += 1;
    }
    looks
}

async fn merge_all(client: &Client, pairs: &[Pair]) -> Vec<Answer> {
    let mut begun = Vec::new();
    for some in pairs.chunks(CLIENTS) {
        let merges = some.iter().map(|pair| {
            let (client, pair) = (client.clone(), pair.clone());
            async move { client.merge(&pair.source, &pair.into).await.expect_status(202) }
        });
        begun.extend(merges.collect::<JoinSet<_>>().join_all().await);
    }
    begun
}

async fn through_an_index_that_does_not_answer(mut backend: Backend) {
    let (count, seconds) = (scaled(1_000, 40), scaled(60, 4));
    let token = backend.site.token("admin", "root");
    let mut node = backend.site.serve().await;
    let client = node.client(&token);
    let mut pairs = Vec::with_capacity(count);
    for number in 0..count {
        let word = format!("wort{number}x");
        let source = opens(&client, &word).await;
        pairs.push(Pair { source, word, into: opens(&client, &format!("ziel{number}x")).await });
    }
    let pairs = Arc::new(pairs);
    let (first, rest) = pairs.split_at(count / 2);
    let mut begun = merge_all(&client, first).await;
    // In the middle of them the node is started again, with an index that takes nothing for a while.
    node.stop().await;
    backend.site = backend.site.failing(&format!("index.before:unavailable:{seconds}"));
    let node = backend.site.serve().await;
    let (client, began) = (node.client(&token), now());
    let stop = Arc::new(AtomicBool::new(false));
    let mut watching = JoinSet::new();
    for seed in 1..=2 {
        watching.spawn(watch(client.clone(), Arc::clone(&pairs), Arc::clone(&stop), seed));
    }
    begun.extend(merge_all(&client, rest).await);
    // The list of sagas is a moment behind them.
    let waiting =
        eventually(RESTS_WITHIN, async || Some(sagas(&client, "waiting").await).filter(|n| *n > 0));
    let waiting = waiting.await.expect("merges wait for the index");
    let gone = Duration::from_secs(u64::try_from(seconds).unwrap());
    let took = rests(&client, gone + RESTS_WITHIN).await;
    let whole = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let looks: usize = watching.join_all().await.into_iter().sum();
    assert!(node.log().contains("search.commit.failed"), "the index was away");
    assert_eq!(sagas(&client, "parked").await, 0);
    let mut states = BTreeMap::<String, usize>::new();
    for answer in &begun {
        *states.entry(client.ended(answer).await["state"].to_string()).or_default() += 1;
    }
    assert!(states.keys().all(|state| state == "\"done\"" || state == "\"undone\""), "{states:?}");
    for pair in pairs.iter() {
        let answer = client.get(&format!("/v1/search?q={}", pair.word)).send().await;
        let results = answer.expect_status(200).json()["results"].take();
        let found: Vec<_> =
            results.as_array().unwrap().iter().map(|one| one["ticket"]["id"].clone()).collect();
        assert_eq!(found, [json!(pair.into)], "{}", pair.word);
    }
    println!(
        "{count} merges through {seconds} s without an index: {states:?}; {waiting} waited when all had begun, all \
         rested {:.1} s after the restart ({:.1} s after the last had begun), {looks} looks",
        whole.as_secs_f64(),
        took.as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_outlast_an_index_that_does_not_answer_on_sqlite() {
    through_an_index_that_does_not_answer(Backend::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_outlast_an_index_that_does_not_answer_on_postgresql() {
    through_an_index_that_does_not_answer(Backend::postgres().await).await;
}

/// Tickets that the storm goes over. A closed one is replaced by a new one, so that the storm does not die down.
struct Pool {
    slots: Vec<Mutex<String>>,
    /// Every ticket that there ever was, with the word of its first message.
    all: Mutex<Vec<(String, String)>>,
}

/// What one client did.
#[derive(Default)]
struct Done {
    outcomes: BTreeMap<String, usize>,
    /// What was said, each text once.
    said: Vec<String>,
}

async fn storm(client: Client, pool: Arc<Pool>, number: usize, turns: usize) -> Done {
    let (mut dice, mut done) = (Dice(u64::try_from(number).unwrap() + 7), Done::default());
    for turn in 0..turns {
        let slot = dice.below(pool.slots.len());
        let ticket = pool.slots[slot].lock().await.clone();
        let (what, answer) = match dice.below(100) {
            0..45 => {
                let said = format!("m{number}t{turn}");
                let path = format!("/v1/tickets/{ticket}/messages");
                let body = json!({ "body": said });
                let answer = client.post(&path).json(&body).send().await.expect_status(201);
                if answer.json().get("follow_up_of").is_some() {
                    let id = answer.json()["ticket"]["id"].as_str().unwrap().to_owned();
                    pool.all.lock().await.push((id, String::new()));
                }
                done.said.push(said);
                ("reply", answer)
            }
            45..72 => {
                let into = pool.slots[dice.below(pool.slots.len())].lock().await.clone();
                ("merge", client.merge(&ticket, &into).await)
            }
            72..96 => ("unmerge", client.unmerge(&ticket).await),
            _ => {
                let path = format!("/v1/tickets/{ticket}");
                let answer = client.patch(&path).json(&json!({"status": "closed"})).send().await;
                if answer.status == 200 {
                    let word = format!("n{number}t{turn}");
                    let id = opens(&client, &word).await;
                    pool.all.lock().await.push((id.clone(), word));
                    *pool.slots[slot].lock().await = id;
                }
                ("close", answer)
            }
        };
        let status = answer.status.as_u16();
        assert!(matches!(status, 200..300 | 409), "{what}: {status}: {:?}", answer.body);
        *done.outcomes.entry(format!("{what} {status} {}", answer.code())).or_default() += 1;
    }
    done
}

/// Goes over all merges in their order: none goes where it would meet itself.
fn check_history(feed: &Feed) -> usize {
    let mut moves: Vec<&Value> = feed
        .events
        .iter()
        .filter(|event| event["type"] == "ticket.merged" || event["type"] == "ticket.unmerged")
        .collect();
    moves.sort_by_key(|event| event["recorded_at"].as_str().unwrap());
    let mut into: BTreeMap<&str, &str> = BTreeMap::new();
    for event in &moves {
        let source = event["stream"]["id"].as_str().unwrap();
        if event["type"] == "ticket.unmerged" {
            assert!(into.remove(source).is_some(), "{source} was merged");
            continue;
        }
        let target = event["data"]["into"].as_str().unwrap();
        assert_eq!(into.insert(source, target), None, "{source} is merged once at a time");
        let mut at = target;
        while let Some(next) = into.get(at) {
            at = next;
            assert_ne!(at, source, "both went into each other");
        }
    }
    moves.len()
}

/// Every text stands in exactly one ticket; a merged one's list is that of the one that shows it.
async fn check_messages(client: &Client, all: &[(String, String)], said: &[String]) -> usize {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut merged = 0;
    for (id, _) in all {
        let ticket = client.ticket(id).await;
        if ticket["merge"]["into"].is_string() {
            merged += 1;
            let mut at = ticket;
            while let Some(into) = at["merge"]["into"].as_str() {
                at = client.ticket(into).await;
            }
            let root = at["id"].as_str().unwrap();
            assert_eq!(client.messages(id).await, client.messages(root).await, "{id} in {root}");
            assert_eq!(client.ticket(id).await["status"], "closed");
            continue;
        }
        let messages = client.messages(id).await;
        assert_eq!(ticket["message_count"], messages.len(), "{id}");
        for message in messages {
            let place = places.entry(message["body"].as_str().unwrap().to_owned()).or_default();
            assert!(place.insert(id.clone()), "{id} shows {} twice", message["body"]);
        }
    }
    let openings = all.iter().map(|(_, word)| word).filter(|word| !word.is_empty());
    for text in said.iter().chain(openings) {
        assert_eq!(places.get(text).map_or(0, BTreeSet::len), 1, "{text}: {:?}", places.get(text));
    }
    merged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_merges_over_two_nodes_lose_no_ticket_and_double_no_message() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let token = backend.site.token("admin", "root");
    let admin = nodes[0].client(&token);
    let (commands, tickets) = (scaled(20_000, 960), scaled(400, 40));
    let pool = Pool { slots: Vec::new(), all: Mutex::default() };
    let mut pool = pool;
    for number in 0..tickets {
        let word = format!("o{number}");
        let id = opens(&admin, &word).await;
        pool.slots.push(Mutex::new(id.clone()));
        pool.all.get_mut().push((id, word));
    }
    let (pool, began) = (Arc::new(pool), now());
    let mut running = JoinSet::new();
    for number in 0..CLIENTS {
        let client = nodes[number % 2].client(&token);
        running.spawn(storm(client, Arc::clone(&pool), number, commands / CLIENTS));
    }
    let done = running.join_all().await;
    let took = began.elapsed();
    let rested = rests(&admin, RESTS_WITHIN).await;
    assert_eq!(sagas(&admin, "parked").await, 0);
    let mut outcomes = BTreeMap::<String, usize>::new();
    for (outcome, count) in done.iter().flat_map(|one| &one.outcomes) {
        *outcomes.entry(outcome.clone()).or_default() += count;
    }
    let said: Vec<String> = done.iter().flat_map(|one| one.said.clone()).collect();
    let moves = check_history(&Feed::read(&admin).await);
    let all = pool.all.lock().await.clone();
    let merged = check_messages(&admin, &all, &said).await;
    let ended = (sagas(&admin, "done").await, sagas(&admin, "undone").await);
    println!(
        "{commands} commands of {CLIENTS} clients on two nodes in {:.1} s, at rest {:.1} s later: {outcomes:#?}; sagas done \
         and undone {ended:?}; {moves} moves, {} tickets, {merged} of them merged, {} messages each in one place",
        took.as_secs_f64(),
        rested.as_secs_f64(),
        all.len(),
        said.len()
    );
}
