//! The live doors: WebSocket, server-sent events and long poll tell the same events from the same cursor.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::time::Duration;

use docket_tests::{
    Backend, Client, EventStream, Feed, Node, Said, Site, Socket, on_both_backends,
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Sockets that write to one ticket, and how often each does.
const SOCKETS: usize = 8;
const ROUNDS: usize = 25;

async fn open(client: &Client, requester: &str) -> (String, Value) {
    let body = json!({"subject": "Printer", "body": "On fire", "requester": {"id": requester}});
    let ticket = client.post("/v1/tickets").json(&body).send().await.expect_status(201).json();
    (ticket["ticket"]["id"].as_str().unwrap().to_owned(), ticket["ticket"].clone())
}

async fn say(client: &Client, ticket: &str, body: &str, public: bool) -> Value {
    let path = format!("/v1/tickets/{ticket}/messages");
    let body = json!({"body": body, "public": public});
    client.post(&path).json(&body).send().await.expect_status(201).json()
}

fn id(event: &Value) -> String {
    event["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_tells_what_happens_to_its_tickets_and_acknowledges_what_is_durable() {
    on_both_backends(async |site: &Site, node: &Node| {
        let agent = node.client(&site.token("agent", "ann"));
        let (ticket, opened) = open(&agent, "cus_1").await;
        let (other, _) = open(&agent, "cus_2").await;
        let mut socket = Socket::open(node.address(), &site.token("agent", "ann")).await;
        let mut customer = Socket::open(node.address(), &site.token("customer", "cus_1")).await;
        socket.subscribe("s1", json!({"tickets": [ticket]})).await;
        customer.subscribe("c", json!({"tickets": [ticket]})).await;
        let _ = say(&agent, &other, "not for this socket", true).await;
        let frame = json!({"op": "message", "id": "m1", "ticket": ticket, "body": "Help",
            "observed": opened["version"]});
        customer.send(&frame).await;
        let ack = customer.until("ack").await;
        assert_eq!((&ack["id"], &ack["replayed"]), (&json!("m1"), &json!(false)), "{ack}");
        let event = socket.until("event").await;
        assert_eq!(
            (&event["sub"], &event["event"]["text"]["body"]),
            (&json!("s1"), &json!("Help"))
        );
        assert_eq!(
            event["event"]["version"], ack["version"],
            "its own write, and what it had seen"
        );
        let history = agent.get(&format!("/v1/tickets/{ticket}/events")).send().await.json();
        let mut told = event["event"].clone();
        let mut stored = history["events"][1].clone();
        for shape in [&mut told, &mut stored] {
            shape.as_object_mut().unwrap().remove("cursor");
            shape.as_object_mut().unwrap().remove("past");
        }
        assert_eq!(told, stored, "an event looks the same everywhere");
        // The same command through another door, and once more through this one.
        let replay = node.client(&site.token("customer", "cus_1"));
        let body = json!({"body": "Help", "observed": opened["version"]});
        let path = format!("/v1/tickets/{ticket}/messages");
        let replay = replay.post(&path).header("idempotency-key", "m1").json(&body).send().await;
        assert_eq!(replay.headers["idempotency-replayed"], "true");
        assert_eq!(replay.json()["message"]["id"], ack["message_id"]);
        customer.send(&frame).await;
        let again = customer.until("ack").await;
        assert_eq!((&again["replayed"], &again["version"]), (&json!(true), &ack["version"]));
        let reused = json!({"op": "message", "id": "m1", "ticket": ticket, "body": "Other"});
        customer.send(&reused).await;
        let refused = customer.until("error").await;
        assert_eq!(refused["problem"]["code"], "idempotency_key_reused", "{refused}");
        let set = json!({"status": "solved"});
        let patch = json!({"op": "patch", "id": "p1", "ticket": ticket, "set": set});
        customer.send(&patch).await;
        let ack = customer.until("ack").await;
        assert!(ack["message_id"].is_null() && ack["position"].is_string(), "{ack}");
        assert_eq!(socket.until("event").await["event"]["data"], json!({"status": "solved"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_socket_tells_the_public_part_of_own_tickets() {
    on_both_backends(async |site: &Site, node: &Node| {
        let agent = node.client(&site.token("agent", "ann"));
        let (ticket, _) = open(&agent, "cus_1").await;
        let (foreign, _) = open(&agent, "cus_2").await;
        let mut socket = Socket::open(node.address(), &site.token("customer", "cus_1")).await;
        socket.send(&json!({"op": "subscribe", "id": "x", "tickets": [foreign]})).await;
        assert_eq!(socket.next().await["problem"]["code"], "not_found");
        let subscribed = socket.subscribe("s", json!({"tickets": [ticket]})).await;
        let _ = say(&agent, &ticket, "between us", false).await;
        let _ = agent
            .patch(&format!("/v1/tickets/{ticket}"))
            .json(&json!({"add_tags": ["vip"]}))
            .send()
            .await
            .expect_status(200);
        let _ = say(&agent, &ticket, "We are on it", true).await;
        let event = socket.next().await["event"].clone();
        assert_eq!(event["text"], json!({"body": "We are on it"}));
        let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        let shown = [
            "cursor",
            "data",
            "id",
            "occurred_at",
            "principal",
            "recorded_at",
            "role",
            "stream",
            "text",
            "type",
            "version",
        ];
        assert_eq!(keys, shown, "and no more");
        let mut resumed = Socket::open(node.address(), &site.token("customer", "cus_1")).await;
        let after = json!({"tickets": [ticket], "after": subscribed["cursor"]});
        resumed.subscribe("r", after).await;
        assert_eq!(id(&resumed.next().await["event"]), id(&event), "the note has moved nothing");
        // Hidden events do not wake a customer's long poll either.
        let customer = node.client(&site.token("customer", "cus_1"));
        let cursor = event["cursor"].as_str().unwrap();
        let poll = format!("/v1/tickets/{ticket}/events?after={cursor}&wait=1s");
        let mut polling = tokio::spawn(customer.get(&poll).send());
        let _ = say(&agent, &ticket, "psst", false).await;
        let early = timeout(Duration::from_millis(700), &mut polling).await;
        assert!(early.is_err(), "what is hidden wakes nobody");
        let page = polling.await.unwrap();
        let page = page.expect_status(200).json();
        assert_eq!((&page["events"], page["after_cursor"].as_str()), (&json!([]), Some(cursor)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_who_was_removed_hears_no_more() {
    on_both_backends(async |site: &Site, node: &Node| {
        let agent = node.client(&site.token("agent", "ann"));
        let (ticket, _) = open(&agent, "cus_1").await;
        let follower = format!("/v1/tickets/{ticket}/followers/cus_2");
        let _ = agent.put(&follower).send().await.expect_status(200);
        let mut socket = Socket::open(node.address(), &site.token("customer", "cus_2")).await;
        socket.subscribe("s", json!({"tickets": [ticket]})).await;
        let _ = say(&agent, &ticket, "heard", true).await;
        assert_eq!(socket.next().await["event"]["text"]["body"], "heard");
        let _ = agent.delete(&follower).send().await.expect_status(200);
        let _ = say(&agent, &ticket, "not for you", true).await;
        let ended = socket.next().await;
        assert_eq!(
            (&ended["op"], &ended["problem"]["code"]),
            (&json!("error"), &json!("not_found"))
        );
        assert!(socket.is_silent(Duration::from_millis(300)).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_and_presence_reach_those_who_look_at_the_ticket_and_are_never_written() {
    on_both_backends(async |site: &Site, node: &Node| {
        let agent = node.client(&site.token("agent", "ann"));
        let (ticket, _) = open(&agent, "cus_1").await;
        let mut ann = Socket::open(node.address(), &site.token("agent", "ann")).await;
        let mut bob = Socket::open(node.address(), &site.token("agent", "bob")).await;
        let mut customer = Socket::open(node.address(), &site.token("customer", "cus_1")).await;
        for socket in [&mut ann, &mut bob, &mut customer] {
            socket.subscribe("s", json!({"tickets": [ticket]})).await;
        }
        ann.send(&json!({"op": "presence", "ticket": ticket, "state": "editing"})).await;
        ann.send(&json!({"op": "typing", "ticket": ticket, "on": true})).await;
        let presence = json!({"op": "presence", "ticket": ticket, "state": "editing",
            "principal": "ann", "role": "agent"});
        assert_eq!(bob.next().await, presence);
        let typing = json!({"op": "typing", "ticket": ticket, "on": true, "principal": "ann", "role": "agent"});
        assert_eq!(bob.next().await, typing);
        let nameless = json!({"op": "typing", "ticket": ticket, "on": true, "role": "agent"});
        assert_eq!(customer.next().await, nameless, "customers hear that, not who");
        for _ in 0..5 {
            ann.send(&json!({"op": "typing", "ticket": ticket, "on": true})).await;
        }
        assert!(bob.is_silent(Duration::from_millis(300)).await, "it is throttled");
        customer.send(&json!({"op": "presence", "ticket": ticket, "state": "viewing"})).await;
        assert_eq!(customer.next().await["problem"]["code"], "forbidden");
        let auditor = site.token("auditor", "aud");
        let mut auditor = Socket::open(node.address(), &auditor).await;
        auditor.send(&json!({"op": "typing", "ticket": ticket, "on": true})).await;
        assert_eq!(auditor.next().await["problem"]["code"], "forbidden");
        assert!(ann.is_silent(Duration::from_millis(100)).await, "nobody hears themselves");
        assert_eq!(Feed::read(&agent).await.events.len(), 1, "the opening alone was written");
    })
    .await;
}

/// A write that nobody drives while its session looks at the same ticket would keep both from it, and everybody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_and_looks_at_one_ticket_at_once_gets_both() {
    on_both_backends(async |site: &Site, node: &Node| {
        let agent = node.client(&site.token("agent", "ann"));
        let (ticket, _) = open(&agent, "cus_0").await;
        let mut sockets = Vec::new();
        for number in 0..SOCKETS {
            let customer = format!("cus_{number}");
            let follower = format!("/v1/tickets/{ticket}/followers/{customer}");
            let _ = agent.put(&follower).send().await.expect_status(200);
            let token = site.token("customer", &customer);
            sockets.push(Socket::open(node.address(), &token).await);
        }
        for round in 0..ROUNDS {
            for socket in &mut sockets {
                let id = format!("m{round}");
                let said = json!({"op": "message", "id": id, "ticket": ticket, "body": "Help"});
                socket.send(&said).await;
                let typing = json!({"op": "typing", "ticket": ticket, "on": round % 2 == 0});
                socket.send(&typing).await;
            }
        }
        for socket in &mut sockets {
            for round in 0..ROUNDS {
                let ack = timeout(Duration::from_secs(60), socket.until("ack")).await;
                assert_eq!(ack.unwrap()["id"], format!("m{round}"));
            }
        }
        let _ = say(&agent, &ticket, "to the next", true).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_writes_is_told_by_the_other() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    let agent = nodes[0].client(&backend.site.token("agent", "ann"));
    let (ticket, _) = open(&agent, "cus_1").await;
    let token = backend.site.token("agent", "bob");
    let mut socket = Socket::open(nodes[1].address(), &token).await;
    socket.subscribe("all", json!({"all": true})).await;
    socket.subscribe("one", json!({"tickets": [ticket]})).await;
    let mut stream = EventStream::open(nodes[1].address(), &token, "/v1/feed", &[]).await.unwrap();
    assert_eq!(stream.next().await, Some(Said::Other("retry: 2000".to_owned())));
    let said = say(&agent, &ticket, "across", true).await;
    let mut subs = Vec::new();
    for _ in 0..2 {
        let frame = socket.next().await;
        assert_eq!(frame["event"]["text"]["body"], "across");
        subs.push(frame["sub"].as_str().unwrap().to_owned());
    }
    subs.sort();
    assert_eq!(subs, ["all", "one"]);
    let (_, event) = stream.event().await.unwrap();
    assert_eq!(event["text"]["body"], said["message"]["body"]);
    // Whatever node a command line writes on: a poll hears it.
    let reader = nodes[1].client(&token);
    let page = reader.get("/v1/events?limit=1000").send().await.json();
    let poll = format!("/v1/events?after={}&wait=20s", page["after_cursor"].as_str().unwrap());
    let (page, _) = tokio::join!(reader.get(&poll).send(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        say(&agent, &ticket, "once more", true).await
    });
    assert_eq!(page.json()["events"][0]["text"]["body"], "once more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_ends_polls_and_streams_and_says_restart_to_sockets() {
    on_both_backends(async |site: &Site, _: &Node| {
        let mut node = site.serve().await;
        let token = site.token("agent", "ann");
        let mut socket = Socket::open(node.address(), &token).await;
        let path = "/v1/feed?after=";
        let mut stream = EventStream::open(node.address(), &token, path, &[]).await.unwrap();
        let client = node.client(&token);
        let polling = tokio::spawn(async move {
            client.get("/v1/events?wait=60s").send().await.expect_status(200).json()
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        node.terminate();
        assert_eq!(polling.await.unwrap()["end_of_stream"], true);
        assert_eq!(stream.event().await, None);
        assert_eq!(socket.closed().await, 1012);
        assert!(node.ended().await.success());
    })
    .await;
}
