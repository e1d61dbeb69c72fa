//! Two tenants with accounts of their own on a real server: each reads all that is its own, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

#[path = "nats_tenants/attacks.rs"]
mod attacks;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::{Client, ConnectOptions, jetstream};
use attacks::attacks;
use docket_tests::{Feed, Folder, NatsServer, Site, Token};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

const TENANTS: [&str; 2] = ["acme", "globex"];
/// Events of each tenant.
const EVENTS: usize = 40;
/// How long an attacker waits for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);

/// How long a pull waits for more.
const PULL_WAITS: Duration = Duration::from_millis(500);

/// A server with an account for each tenant, a node that relays to it, and what each tenant should get.
struct World {
    nats: NatsServer,
    keys: Folder,
    site: Site,
    node: docket_tests::Node,
}

impl World {
    async fn new() -> Self {
        let (keys, plain) = (Folder::new(), Site::embedded());
        let nats = NatsServer::start_with(|address, folder| {
            let directory = keys.path().display().to_string();
            let listen = address.to_string();
            let run = plain.run(&[
                "nats-config",
                "--tenant",
                "acme,globex",
                "--nats-dir",
                &directory,
                "--nats-listen",
                &listen,
            ]);
            let config = run.expect_code(0).stdout;
            let store = format!("{directory}/jetstream");
            config.replace(&store, &folder.join("jetstream").display().to_string())
        })
        .await;
        let relay = keys.path().join("relay.nk").display().to_string();
        let site = Site::embedded()
            .with("rate-limit", "off")
            .with("nats-url", &nats.url())
            .with("nats-credentials", &relay)
            .with("nats-tenants", "acme,globex");
        let node = site.serve().await;
        Self { nats, keys, site, node }
    }

    fn client(&self, tenant: &str, role: &str) -> docket_tests::Client {
        let (tenant, device, ttl) = (Some(tenant), None, None);
        self.node.client(&self.site.sign(&Token { role, subject: "ann", tenant, device, ttl }))
    }

    async fn write(&self, tenant: &str, events: usize) {
        let client = self.client(tenant, "agent");
        for number in 0..events {
            let body = json!({"subject": format!("secret of {tenant}"), "body": number.to_string(),
                "requester": {"id": "cus_1"}});
            let _ = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
        }
    }

    async fn ids(&self, tenant: &str) -> BTreeSet<String> {
        let feed = Feed::read(&self.client(tenant, "integrator")).await;
        feed.events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn connect(&self, tenant: &str) -> Client {
        let seed = std::fs::read_to_string(self.key(&format!("tenant_{tenant}.nk"))).unwrap();
        // An attacker's client does not check what it sends.
        let options =
            ConnectOptions::with_nkey(seed.trim().to_owned()).skip_subject_validation(true);
        options.connect(self.nats.url()).await.unwrap()
    }

    fn key(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.keys.path()).join(name)
    }
}

/// A tenant's durable consumer, as a client library finds it without any other right.
async fn consumer(client: &Client, name: &str) -> PullConsumer {
    let context = jetstream::with_prefix(client.clone(), "docket.js");
    loop {
        match context.get_consumer_from_stream(name, "docket_local").await {
            Ok(consumer) => return consumer,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Reads and acknowledges until there is no more, or so many were read.
async fn read(client: &Client, name: &str, most: usize) -> Vec<Value> {
    let consumer = consumer(client, name).await;
    let mut events = Vec::new();
    loop {
        // Not without an expiry: nats-server 2.9 now and then never answers such a pull at the end of a filter.
        let pull = consumer.batch().max_messages((most - events.len()).min(25));
        let pull = pull.expires(PULL_WAITS);
        let mut batch = pull.messages().await.unwrap();
        let before = events.len();
        while let Some(message) = batch.next().await {
            let message = message.unwrap();
            message.double_ack().await.unwrap();
            let mut event: Value = serde_json::from_slice(&message.payload).unwrap();
            event["sequence"] = json!(message.info().unwrap().stream_sequence);
            event["headers"] = headers(&message);
            events.push(event);
        }
        if events.len() == before || events.len() == most {
            return events;
        }
    }
}

fn headers(message: &async_nats::Message) -> Value {
    let all = message.headers.iter().flat_map(async_nats::HeaderMap::iter);
    all.map(|(name, values)| (name.to_string(), json!(values[0].as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// Everything of its own, and nothing of others.
async fn reads_everything(client: &Client, name: &str, wanted: &BTreeSet<String>) -> Vec<Value> {
    let mut events = Vec::new();
    while !wanted.is_subset(&ids(&events)) {
        events.extend(read(client, name, usize::MAX).await);
    }
    assert_eq!(&ids(&events), wanted);
    events
}

async fn reset(client: &Client, tenant: &str, which: &str, body: Value) -> Value {
    let subject = format!("docket.reset.v1.local.{tenant}.{which}");
    loop {
        let asked = client.request(subject.clone(), body.to_string().into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&asked.payload).unwrap();
        if answer.get("error").is_none() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tenant_reads_resumes_and_replays_all_of_its_own_events() {
    let world = World::new().await;
    for tenant in TENANTS {
        world.write(tenant, EVENTS).await;
    }
    for tenant in TENANTS {
        let (client, wanted) = (world.connect(tenant).await, world.ids(tenant).await);
        assert_eq!(wanted.len(), EVENTS);
        let (feed, replay) = (format!("{tenant}_feed"), format!("{tenant}_replay"));
        // A reader that is killed goes on where it stopped, over another connection.
        let mut events = read(&client, &feed, EVENTS / 3).await;
        let again = world.connect(tenant).await;
        let rest: BTreeSet<String> = wanted.difference(&ids(&events)).cloned().collect();
        events.extend(reads_everything(&again, &feed, &rest).await);
        assert_eq!(events.len(), EVENTS, "each once");
        assert!(events.iter().all(|event| event.get("text").is_none()));
        assert!(!format!("{events:?}").contains("secret of"), "no text is on NATS");
        // Another reads again, from the start and from where it likes.
        let _ = reads_everything(&client, &replay, &wanted).await;
        let told = reset(&client, tenant, "replay", json!({"from": "start"})).await;
        assert_eq!(told["consumer"], json!(replay));
        let _ = reads_everything(&client, &replay, &wanted).await;
        let half = &events[EVENTS / 2..];
        let _ = reset(&client, tenant, "replay", json!({"sequence": half[0]["sequence"]})).await;
        let _ = reads_everything(&client, &replay, &ids(half)).await;
        // The text is opened over HTTP, for its own tenant alone.
        let url = events[0]["text_url"].as_str().unwrap();
        let opened = world.client(tenant, "integrator").get(url).send().await.expect_status(200);
        let subject = opened.json()["event"]["text"]["subject"].clone();
        assert_eq!(subject, json!(format!("secret of {tenant}")));
        let other = if tenant == "acme" { "globex" } else { "acme" };
        let _ = world.client(other, "integrator").get(url).send().await.expect_status(404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_names_an_event_of_another_tenant() {
    let world = World::new().await;
    for _ in 0..10 {
        for tenant in TENANTS {
            world.write(tenant, 1).await;
        }
    }
    let told = docket_schemas::asyncapi::document();
    let told = &told["components"]["schemas"]["Headers"]["properties"];
    for (tenant, other) in [("acme", "globex"), ("globex", "acme")] {
        let (own, others) = (world.ids(tenant).await, world.ids(other).await);
        let feed = format!("{tenant}_feed");
        for event in reads_everything(&world.connect(tenant).await, &feed, &own).await {
            let text = event.to_string();
            assert!(others.iter().all(|id| !text.contains(id.as_str())), "{text}");
            let sent = event["headers"].as_object().unwrap();
            assert!(sent.keys().all(|name| told.get(name).is_some()), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_hears_its_own_live_subjects_and_no_others() {
    let world = World::new().await;
    let client = world.connect("acme").await;
    let mut own = client.subscribe("docket.live.v1.acme.>").await.unwrap();
    let mut others = Vec::new();
    for subject in [
        "docket.live.v1.globex.>",
        "docket.live.v1.*.ticket.*.*",
        ">",
        "docket.>",
        "_R_.>",
        "$JS.>",
    ] {
        others.push(client.subscribe(subject).await.unwrap());
    }
    client.flush().await.unwrap();
    let heard = async {
        loop {
            world.write("globex", 2).await;
            world.write("acme", 1).await;
            if let Ok(Some(message)) = timeout(ANSWERED_WITHIN, own.next()).await {
                return message;
            }
        }
    };
    let heard = timeout(Duration::from_secs(30), heard).await.unwrap();
    assert!(heard.subject.starts_with("docket.live.v1.acme.ticket."));
    world.write("globex", 5).await;
    for other in &mut others {
        let leaked = timeout(ANSWERED_WITHIN, other.next()).await;
        assert!(!matches!(leaked, Ok(Some(_))), "{leaked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_of_a_tenant_reads_guesses_or_changes_what_is_anothers() {
    let world = World::new().await;
    for tenant in TENANTS {
        world.write(tenant, EVENTS).await;
    }
    let acme = world.connect("acme").await;
    let globex = world.connect("globex").await;
    let _ = read(&globex, "globex_feed", EVENTS / 2).await;
    for (subject, body) in attacks() {
        let asked = acme.request(subject.clone(), body.to_string().into());
        let answer = timeout(ANSWERED_WITHIN, asked).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{subject}: {answer:?}");
    }
    // Answers that are led to an inbox of the other's, or from it, stay in their own account.
    let mut listening = acme.subscribe("_INBOX.>").await.unwrap();
    acme.flush().await.unwrap();
    let stolen = read(&globex, "globex_replay", usize::MAX).await;
    assert_eq!(stolen.len(), EVENTS);
    assert!(timeout(ANSWERED_WITHIN, listening.next()).await.is_err(), "inboxes are not shared");
    // What is published on another's subjects goes nowhere.
    let mut live = globex.subscribe("docket.live.v1.globex.>").await.unwrap();
    globex.flush().await.unwrap();
    for subject in [
        "docket.live.v1.globex.ticket.x.opened",
        "docket.v1.local.globex.ticket.0.opened",
        "docket.wake.v1.local",
    ] {
        acme.publish(subject, "forged".into()).await.unwrap();
    }
    acme.flush().await.unwrap();
    assert!(timeout(ANSWERED_WITHIN, live.next()).await.is_err(), "live subjects are not forged");
    // The other's own reading was not touched.
    let rest = read(&globex, "globex_feed", usize::MAX).await;
    assert_eq!(rest.len(), EVENTS - EVENTS / 2);
    let own = read(&acme, "acme_feed", usize::MAX).await;
    assert_eq!(ids(&own), world.ids("acme").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_connects_without_a_key_and_docket_cannot_delete_its_own_stream() {
    let world = World::new().await;
    assert!(ConnectOptions::new().connect(world.nats.url()).await.is_err());
    let seed = std::fs::read_to_string(world.key("relay.nk")).unwrap();
    let relay = ConnectOptions::with_nkey(seed.trim().to_owned());
    let relay = relay.connect(world.nats.url()).await.unwrap();
    for verb in ["DELETE", "PURGE", "UPDATE"] {
        let subject = format!("$JS.API.STREAM.{verb}.docket_local");
        let answer = timeout(ANSWERED_WITHIN, relay.request(subject, "{}".into())).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{verb}: {answer:?}");
    }
}

#[test]
fn the_contracts_are_exported_as_they_are_published() {
    let folder = Folder::new();
    let directory = folder.path().display().to_string();
    let _ = Site::embedded().run(&["schema", "export", &directory]).expect_code(0);
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let asyncapi = "asyncapi.json";
    assert_eq!(read(&folder.path().join(asyncapi)), read(&published.join(asyncapi)));
    let names = |path: &Path| -> BTreeSet<_> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let (exported, published) = (folder.path().join("json"), published.join("json"));
    assert_eq!(names(&exported), names(&published));
    for name in names(&published) {
        assert_eq!(read(&exported.join(&name)), read(&published.join(&name)), "{name:?}");
    }
    let openapi: Value = serde_json::from_str(&read(&folder.path().join("openapi.json"))).unwrap();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
}
