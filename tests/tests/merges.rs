//! Merging over HTTP: two tickets become one and come apart again, in answers, lists, counts and search alike.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use docket_tests::{Answer, Backend, Client, Node, Site, eventually, is_long, on_both_backends};
use serde_json::{Value, json};

/// How long list, count and search may take to show what stands in the log.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);

struct Cast {
    agent: Client,
    admin: Client,
    customer: Client,
    stranger: Client,
}

impl Cast {
    fn of(site: &Site, node: &Node) -> Self {
        let client = |role, subject| node.client(&site.token(role, subject));
        Self {
            agent: client("agent", "ann"),
            admin: client("admin", "root"),
            customer: client("customer", "cus_1"),
            stranger: client("customer", "cus_2"),
        }
    }
}

async fn opens(client: &Client, subject: &str, body: &str) -> String {
    let body = json!({"subject": subject, "body": body});
    let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    opened.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

async fn says(client: &Client, ticket: &str, body: &str) -> Value {
    let path = format!("/v1/tickets/{ticket}/messages");
    client.post(&path).json(&json!({"body": body})).send().await.expect_status(201).json()
}

async fn sets(client: &Client, ticket: &str, fields: Value) -> Value {
    let path = format!("/v1/tickets/{ticket}");
    client.patch(&path).json(&fields).send().await.expect_status(200).json()["ticket"].take()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["body"].as_str().unwrap()).collect()
}

async fn found(client: &Client, word: &str) -> Vec<Value> {
    let answer = client.get(&format!("/v1/search?q={word}")).send().await.expect_status(200).json();
    let results = answer["results"].as_array().unwrap();
    results.iter().map(|result| result["ticket"].clone()).collect()
}

async fn listed(client: &Client, query: &str) -> Vec<Value> {
    let path = format!("/v1/tickets?{query}");
    let mut answer = client.get(&path).send().await.expect_status(200).json();
    answer["tickets"].take().as_array().unwrap().clone()
}

async fn count(client: &Client, query: &str) -> u64 {
    let path = format!("/v1/tickets/count?{query}");
    client.get(&path).send().await.expect_status(200).json()["count"].as_u64().unwrap()
}

/// Waits until list, count and search say of a ticket what it says itself, and `word` finds it alone.
async fn shows(client: &Client, ticket: &str, word: &str, closed: u64) {
    let shown = eventually(SHOWN_WITHIN, async || {
        let itself = client.ticket(ticket).await;
        let in_list = listed(client, "").await.contains(&itself);
        let in_search = found(client, word).await == [itself];
        (in_list && in_search && count(client, "status=closed").await == closed).then_some(())
    });
    assert!(shown.await.is_some(), "{word} does not find {:#}", client.ticket(ticket).await);
}

async fn merges_and_unmerges(site: &Site, node: &Node) {
    let cast = Cast::of(site, node);
    let source = opens(&cast.customer, "Smoke", "It smokes, says Zacharias.").await;
    let into = opens(&cast.stranger, "Fire", "It burns, says Walpurga.").await;
    let _ = sets(&cast.agent, &source, json!({"add_tags": ["vip"], "priority": "high"})).await;
    let before = cast.agent.ticket(&source).await;

    let begun = cast.agent.merge(&source, &into).await.expect_status(202);
    let saga = begun.json()["saga"].take();
    assert_eq!((&saga["definition"], &saga["subject"]), (&json!("merge-tickets"), &json!(source)));
    assert_eq!(saga["started_by"], "ann");
    for (ticket, goes) in [(&source, json!(into)), (&into, Value::Null)] {
        let mark = &cast.agent.ticket(ticket).await["merge"];
        assert_eq!((&mark["saga_id"], &mark["into"]), (&saga["id"], &goes), "{mark:#}");
    }
    let ended = cast.agent.ended(&begun).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let names = ended["steps"].as_array().unwrap().iter().map(|step| &step["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["begin", "attach", "shown", "end"]);

    let (gone, whole) = (cast.agent.ticket(&source).await, cast.agent.ticket(&into).await);
    assert_eq!((&gone["status"], &gone["merge"]["state"]), (&json!("closed"), &json!("merged")));
    assert_eq!(whole["merge"]["from"], json!([source]));
    assert_eq!((&whole["tags"], &whole["message_count"]), (&json!(["vip"]), &json!(2)));
    let both = ["It smokes, says Zacharias.", "It burns, says Walpurga."];
    assert_eq!(bodies(&cast.agent.messages(&into).await), both);
    assert_eq!(cast.agent.messages(&source).await, cast.agent.messages(&into).await);
    shows(&cast.agent, &into, "Zacharias", 1).await;
    shows(&cast.agent, &into, "Walpurga", 1).await;
    // The source's customer follows the target now.
    assert_eq!(cast.customer.ticket(&into).await["merge"]["from"], json!([source]));

    // A reply to the source goes to the target, and stays there.
    let said = says(&cast.customer, &source, "Is anybody there, asks Ottilie?").await;
    assert_eq!(
        (&said["ticket"]["id"], &said["message"]["ticket_id"]),
        (&json!(into), &json!(into))
    );
    let _ = says(&cast.agent, &into, "Yes, says Leocadia.").await;
    let _ = sets(&cast.agent, &into, json!({"add_tags": ["hot"], "status": "pending"})).await;

    let begun = cast.agent.unmerge(&source).await;
    assert_eq!(cast.agent.ended(&begun).await["state"], "done");
    let (back, rest) = (cast.agent.ticket(&source).await, cast.agent.ticket(&into).await);
    for field in ["status", "priority", "tags", "message_count", "conflicts", "merge"] {
        assert_eq!(back[field], before[field], "{field}");
    }
    assert_eq!((&rest["tags"], &rest["merge"]), (&json!(["hot"]), &Value::Null));
    assert_eq!((&rest["status"], &rest["message_count"]), (&json!("pending"), &json!(3)));
    assert_eq!(bodies(&cast.agent.messages(&source).await), both[..1]);
    let stay = [both[1], "Is anybody there, asks Ottilie?", "Yes, says Leocadia."];
    assert_eq!(bodies(&cast.agent.messages(&into).await), stay);
    shows(&cast.agent, &source, "Zacharias", 0).await;
    shows(&cast.agent, &into, "Ottilie", 0).await;
    shows(&cast.agent, &into, "Leocadia", 0).await;
}

#[tokio::test]
async fn two_tickets_become_one_everywhere_and_come_apart_after_others_have_written() {
    on_both_backends(merges_and_unmerges).await;
}

async fn one_of_two_wins(site: &Site, node: &Node) {
    let cast = Cast::of(site, node);
    for _ in 0..8 {
        let a = opens(&cast.customer, "A", "a").await;
        let b = opens(&cast.customer, "B", "b").await;
        let (one, other) = tokio::join!(cast.agent.merge(&a, &b), cast.admin.merge(&b, &a));
        let (won, lost, source) =
            if one.status == 202 { (one, other, &a) } else { (other, one, &b) };
        let _ = lost.expect_problem(409, "not_mergeable");
        assert_eq!(cast.admin.ended(&won).await["state"], "done");
        let closed = [&a, &b].map(async |id| cast.agent.ticket(id).await["status"] == "closed");
        let [first, second] = closed;
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first, second), (source == &a, source == &b));
    }
}

#[tokio::test]
async fn of_two_opposite_merges_one_wins() {
    on_both_backends(one_of_two_wins).await;
}

/// Nothing of either ticket has changed.
async fn is_refused(cast: &Cast, answer: Answer, code: &str, reason: &str, of: &[&String]) {
    let status = if code == "not_found" { 404 } else { 409 };
    let problem = answer.expect_problem(status, code).json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(reason), "{detail}");
    for id in of {
        let history = cast.agent.get(&format!("/v1/tickets/{id}/events")).send().await.json();
        let begun = history["events"].as_array().unwrap().iter();
        let begun = begun.filter(|event| event["type"] == "ticket.merge_begun").count();
        let marked = !cast.agent.ticket(id).await["merge"].is_null();
        assert_eq!(begun > 0, marked, "{id}");
    }
}

async fn refuses(site: &Site, node: &Node) {
    let cast = Cast::of(site, node);
    let [a, b, c, closed] = [
        opens(&cast.customer, "A", "a").await,
        opens(&cast.customer, "B", "b").await,
        opens(&cast.stranger, "C", "c").await,
        opens(&cast.stranger, "D", "d").await,
    ];
    let _ = sets(&cast.admin, &closed, json!({"status": "closed"})).await;
    let foreign = site.sign(&docket_tests::Token {
        role: "customer",
        subject: "eve",
        tenant: Some("other"),
        device: None,
        ttl: None,
    });
    let foreign = opens(&node.client(&foreign), "E", "e").await;
    let agent = &cast.agent;
    is_refused(&cast, agent.merge(&a, &a).await, "not_mergeable", "into itself", &[&a]).await;
    is_refused(&cast, agent.merge(&a, &closed).await, "not_mergeable", "closed", &[&a]).await;
    is_refused(&cast, agent.merge(&a, &foreign).await, "not_found", "", &[&a]).await;
    let unknown = "01920000-0000-7000-8000-000000000000".to_owned();
    is_refused(&cast, agent.merge(&a, &unknown).await, "not_found", "", &[&a]).await;
    is_refused(&cast, agent.merge(&unknown, &a).await, "not_found", "", &[&a]).await;
    is_refused(&cast, agent.merge(&foreign, &a).await, "not_found", "", &[&a]).await;
    is_refused(&cast, agent.unmerge(&a).await, "not_mergeable", "not merged", &[&a]).await;
    let merge = agent.merge(&a, &b).await;
    let busy = "being merged";
    is_refused(&cast, agent.merge(&a, &c).await, "not_mergeable", busy, &[&c]).await;
    is_refused(&cast, agent.merge(&b, &c).await, "not_mergeable", busy, &[&c]).await;
    is_refused(&cast, agent.merge(&c, &b).await, "not_mergeable", busy, &[&c]).await;
    is_refused(&cast, agent.merge(&c, &a).await, "not_mergeable", busy, &[&c]).await;
    is_refused(&cast, agent.unmerge(&a).await, "not_mergeable", busy, &[]).await;
    assert_eq!(agent.ended(&merge).await["state"], "done");
    let merged = "merged";
    is_refused(&cast, agent.merge(&a, &c).await, "not_mergeable", merged, &[&c]).await;
    is_refused(&cast, agent.merge(&c, &a).await, "not_mergeable", merged, &[&c]).await;
    is_refused(&cast, agent.unmerge(&b).await, "not_mergeable", "not merged", &[]).await;
    let path = format!("/v1/tickets/{a}/unmerge");
    let other = agent.post(&path).json(&json!({ "into": c })).send().await;
    is_refused(&cast, other, "not_mergeable", "another one", &[&c]).await;
    bad_bodies(&cast, &c, &b).await;
    roles(site, node, &cast, &c, &b).await;
    // A target may be merged on; then the last in is the first out.
    assert_eq!(agent.ended(&agent.merge(&b, &c).await).await["state"], "done");
    is_refused(&cast, agent.unmerge(&a).await, "not_mergeable", "unmerge that one first", &[])
        .await;
    assert_eq!(agent.messages(&a).await.len(), 3);
    assert_eq!(agent.ended(&agent.unmerge(&b).await).await["state"], "done");
    assert_eq!(agent.ended(&agent.unmerge(&a).await).await["state"], "done");
}

async fn bad_bodies(cast: &Cast, source: &str, into: &str) {
    let path = format!("/v1/tickets/{source}/merge");
    for body in [json!({}), json!({"into": 7}), json!({"into": "x"}), json!({"into": into, "x": 1})]
    {
        let _ = cast.agent.post(&path).json(&body).send().await.expect_problem(422, "invalid");
    }
    let _ = cast.agent.post(&path).send().await.expect_status(415);
    let body = json!({ "into": into });
    let stale = cast.agent.post(&path).header("if-match", "\"AAAA\"").json(&body).send().await;
    let stale = stale.expect_problem(412, "precondition_failed");
    assert_eq!(stale.json()["current"]["id"], source);
    assert!(cast.agent.ticket(source).await["merge"].is_null());
}

async fn roles(site: &Site, node: &Node, cast: &Cast, own: &str, into: &str) {
    for role in ["bot", "auditor", "integrator"] {
        let client = node.client(&site.token(role, "x"));
        let _ = client.merge(own, into).await.expect_problem(403, "forbidden");
        let _ = client.unmerge(own).await.expect_problem(403, "forbidden");
    }
    let _ = cast.stranger.merge(own, into).await.expect_problem(403, "forbidden");
    let _ = cast.customer.merge(own, into).await.expect_problem(404, "not_found");
    let _ = node.anonymous().merge(own, into).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_cannot_be_merged_is_refused_with_nothing_half_done() {
    on_both_backends(refuses).await;
}

async fn sagas_have_owners(site: &Site, node: &Node) {
    let cast = Cast::of(site, node);
    let a = opens(&cast.customer, "A", "a").await;
    let b = opens(&cast.customer, "B", "b").await;
    let begun = cast.agent.merge(&a, &b).await.expect_status(202);
    let path = begun.header("location").unwrap().to_owned();
    let bob = node.client(&site.token("agent", "bob"));
    let auditor = node.client(&site.token("auditor", "aud"));
    for (client, status) in [
        (&cast.agent, 200),
        (&cast.admin, 200),
        (&auditor, 200),
        (&bob, 404),
        (&cast.customer, 403),
    ] {
        let _ = client.get(&path).send().await.expect_status(status);
    }
    let ended = cast.agent.ended(&begun).await;
    assert_eq!(ended["state"], "done");
    let list = async |client: &Client| {
        let answer = client.get("/v1/sagas?definition=merge-tickets").send().await;
        answer.expect_status(200).json()["sagas"].as_array().unwrap().len()
    };
    let seen = eventually(SHOWN_WITHIN, async || (list(&cast.agent).await == 1).then_some(()));
    assert!(seen.await.is_some());
    assert_eq!((list(&bob).await, list(&cast.admin).await), (0, 1));
    let _ = cast.customer.get("/v1/sagas").send().await.expect_problem(403, "forbidden");
    // What a customer may see of a ticket has its mark.
    assert_eq!(cast.customer.ticket(&a).await["merge"]["into"], json!(b));
}

#[tokio::test]
async fn a_merges_saga_is_its_agents_and_the_admins_to_look_at() {
    on_both_backends(sagas_have_owners).await;
}

async fn retries(site: &Site, node: &Node) {
    let cast = Cast::of(site, node);
    let a = opens(&cast.customer, "A", "a").await;
    let b = opens(&cast.customer, "B", "b").await;
    let c = opens(&cast.customer, "C", "c").await;
    let send = async |client: &Client, what: &str, key: &str, body: Option<Value>| {
        let request =
            client.post(&format!("/v1/tickets/{a}/{what}")).header("idempotency-key", key);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    };
    let agent = &cast.agent;
    let into = json!({ "into": b });
    let together = [(); 4].map(|()| send(agent, "merge", "k1", Some(into.clone())));
    let [w, x, y, z] = together;
    let (w, x, y, z) = tokio::join!(w, x, y, z);
    let first = w.clone().expect_status(202);
    for again in [x, y, z] {
        assert_eq!(again.expect_status(202).body, first.body, "the same answer to all of them");
    }
    assert_eq!(agent.ended(&first).await["state"], "done");
    let again = send(agent, "merge", "k1", Some(into.clone())).await.expect_status(202);
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&first.body, Some("true")));
    let reused = "idempotency_key_reused";
    let other = send(agent, "merge", "k1", Some(json!({ "into": c }))).await;
    let _ = other.expect_problem(422, reused);
    let _ = send(agent, "unmerge", "k1", None).await.expect_problem(422, reused);
    let _ =
        send(agent, "messages", "k1", Some(json!({"body": "x"}))).await.expect_problem(422, reused);
    // Another's key of the same name is another key; and what is refused uses none up.
    let _ = send(&cast.admin, "merge", "k1", Some(into.clone()))
        .await
        .expect_problem(409, "not_mergeable");
    let done = send(agent, "unmerge", "k2", None).await.expect_status(202);
    assert_eq!(agent.ended(&done).await["state"], "done");
    let again = send(agent, "unmerge", "k2", None).await.expect_status(202);
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&done.body, Some("true")));
    // A key that has named something else on this ticket names no merge.
    let _ = send(agent, "messages", "k3", Some(json!({"body": "x"}))).await.expect_status(201);
    let _ = send(agent, "merge", "k3", Some(into.clone())).await.expect_problem(422, reused);
    assert!(agent.ticket(&b).await["merge"].is_null());
    let done = send(&cast.admin, "merge", "k1", Some(into)).await;
    assert_eq!(cast.admin.ended(&done).await["state"], "done");
}

#[tokio::test]
async fn a_retried_merge_is_one_merge() {
    on_both_backends(retries).await;
}

/// Killed at many moments of a merge and started again, a node carries it on.
async fn survives(backend: Backend) {
    let mut node = backend.site.serve().await;
    let cast = Cast::of(&backend.site, &node);
    let mut states = BTreeSet::new();
    let pauses: &[u64] = if is_long() { &[0, 5, 20, 60, 200, 600] } else { &[0, 60] };
    for pause in pauses.iter().copied() {
        let source = opens(&cast.customer, "A", "a").await;
        let into = opens(&cast.customer, "B", "b").await;
        let begun = cast.agent.merge(&source, &into).await.expect_status(202);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        node.kill();
        node.restart().await;
        let cast = Cast::of(&backend.site, &node);
        states.insert(cast.agent.ticket(&source).await["merge"]["state"].to_string());
        assert_eq!(cast.agent.ended(&begun).await["state"], "done");
        let (gone, whole) = (cast.agent.ticket(&source).await, cast.agent.ticket(&into).await);
        assert_eq!((&gone["status"], &gone["merge"]["into"]), (&json!("closed"), &json!(into)));
        assert_eq!(
            (&whole["message_count"], &whole["merge"]["from"]),
            (&json!(2), &json!([source]))
        );
        assert_eq!(cast.agent.messages(&into).await.len(), 2);
    }
    assert!(states.contains("\"merging\""), "killed in the middle: {states:?}");
}

#[tokio::test]
async fn a_merge_goes_on_after_kill_9() {
    survives(Backend::sqlite()).await;
    survives(Backend::postgres().await).await;
}
