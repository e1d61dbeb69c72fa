//! Jobs: one change to many tickets, each with a result of its own, ended and taken back.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::time::Duration;

use docket_tests::{Answer, Client, Node, Site, eventually, is_long, on_both_backends};
use serde_json::{Value, json};

/// How long a job may take.
const ENDS_WITHIN: Duration = Duration::from_secs(120);
/// A ticket that nobody has.
const NOBODYS: &str = "00000000-0000-4000-8000-000000000001";

async fn open(client: &Client, number: usize) -> String {
    let body = json!({"subject": format!("No {number}"), "body": "It smokes.", "tags": ["old"],
        "requester": {"id": "cus_1"}});
    let answer = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    answer.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

async fn begin(client: &Client, body: &Value) -> Answer {
    client.post("/v1/jobs").json(body).send().await
}

/// Waits until a job rests, and answers it.
async fn ended(client: &Client, job: &Value) -> Value {
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let rests = ["done", "undone", "cancelled", "parked"];
    let found = eventually(ENDS_WITHIN, async || {
        let job = client.get(&path).send().await.expect_status(200).json()["job"].take();
        rests.contains(&job["state"].as_str().unwrap()).then_some(job)
    });
    found.await.expect("a job ends")
}

async fn act(client: &Client, job: &Value, what: &str) -> Answer {
    client.post(&format!("/v1/jobs/{}/{what}", job["id"].as_str().unwrap())).send().await
}

/// All results of a job, walked in small pages.
async fn results(client: &Client, job: &Value) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let id = job["id"].as_str().unwrap();
        let path = format!("/v1/jobs/{id}/results?page[size]=7&page[after]={after}");
        let page = client.get(&path).send().await.expect_status(200).json();
        all.extend(page["results"].as_array().unwrap().iter().cloned());
        match page["meta"]["after_cursor"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return all,
        }
    }
}

async fn changes_many(site: &Site, node: &Node) {
    let client = |role, subject| node.client(&site.token(role, subject));
    let (agent, admin) = (client("agent", "ann"), client("admin", "root"));
    let mut tickets = Vec::new();
    for number in 0..12 {
        tickets.push(open(&agent, number).await);
    }
    let closed = tickets[11].clone();
    let path = format!("/v1/tickets/{closed}");
    let _ = admin.patch(&path).json(&json!({"status": "closed"})).send().await.expect_status(200);
    let mut named = tickets.clone();
    named.extend([NOBODYS.to_owned(), tickets[0].clone()]);
    let set = json!({"status": "pending", "priority": "urgent", "assignee_id": "bob",
        "add_tags": ["vip"], "remove_tags": ["old"], "custom_fields": {"wave": 3}});
    let body = json!({"kind": "bulk-update", "tickets": named, "set": set});
    let begun = begin(&agent, &body).await.expect_status(202);
    let job = begun.json()["job"].take();
    assert_eq!(job["total"], 13, "each ticket once");
    let job = ended(&agent, &job).await;
    assert_eq!(
        (&job["state"], &job["done"], &job["failed"]),
        (&json!("done"), &json!(11), &json!(2))
    );
    let told = results(&agent, &job).await;
    assert_eq!(told.len(), 13);
    let codes: Vec<&Value> = told.iter().map(|one| &one["problem"]["code"]).collect();
    assert_eq!((codes[11], codes[12]), (&json!("closed"), &json!("not_found")));
    assert!(codes[..11].iter().all(|code| code.is_null()));
    let first = agent.ticket(&tickets[0]).await;
    assert_eq!(first["assignee_id"], "bob");
    assert_eq!((&first["status"], &first["priority"]), (&json!("pending"), &json!("urgent")));
    assert_eq!((&first["tags"], &first["custom_fields"]), (&json!(["vip"]), &json!({"wave": 3})));

    // Taken back, but for what was written since.
    let path = format!("/v1/tickets/{}", tickets[1]);
    let since = json!({"priority": "low", "add_tags": ["mine"]});
    let _ = agent.patch(&path).json(&since).send().await.expect_status(200);
    let _ = act(&agent, &job, "cancel").await.expect_status(409);
    let _ = act(&agent, &job, "undo").await.expect_status(200);
    let job = ended(&agent, &job).await;
    assert_eq!(job["state"], "undone");
    let first = agent.ticket(&tickets[0]).await;
    assert_eq!((&first["status"], &first["priority"]), (&json!("new"), &json!("normal")));
    assert_eq!((&first["tags"], &first["assignee_id"]), (&json!(["old"]), &Value::Null));
    assert_eq!(first["custom_fields"], json!({}));
    let second = agent.ticket(&tickets[1]).await;
    assert_eq!((&second["priority"], &second["status"]), (&json!("low"), &json!("new")));
    assert_eq!(second["tags"], json!(["mine", "old"]));
    assert_eq!(agent.ticket(&closed).await["status"], "closed");
    let _ = act(&agent, &job, "undo").await.expect_status(409);
}

#[tokio::test]
async fn many_tickets_are_changed_each_with_its_result_and_taken_back() {
    on_both_backends(changes_many).await;
}

async fn by_filter(site: &Site, node: &Node) {
    let agent = node.client(&site.token("agent", "ann"));
    let count = if is_long() { 10_000 } else { 250 };
    let mut after = String::new();
    for number in 0..count {
        let body = json!({"subject": format!("No {number}"), "body": "It smokes.",
            "requester": {"id": "cus_1"}, "tags": ["wave"]});
        let answer = agent.post("/v1/tickets").json(&body).send().await.expect_status(201);
        answer.header("docket-position").unwrap().clone_into(&mut after);
    }
    // One position names one partition; the view has the others soon.
    let caught_up = eventually(ENDS_WITHIN, async || {
        let answer = agent.get("/v1/tickets/count?tag=wave").send().await.expect_status(200);
        (answer.json()["count"] == count).then_some(())
    });
    assert!(caught_up.await.is_some());
    let body = json!({"kind": "bulk-update", "filter": "tag=wave&status=new",
        "set": {"status": "open"}});
    let begin = || agent.post("/v1/jobs").header("Idempotency-Key", "wave-1").json(&body).send();
    let begun = begin().await.expect_status(202);
    let job = begun.json()["job"].take();
    assert_eq!(job["total"], count);
    let job = ended(&agent, &job).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(count)));
    let again = begin().await.expect_status(202);
    assert_eq!(again.json()["job"]["id"], job["id"], "a retry is the same job");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let shown = agent.get("/v1/tickets/count?tag=wave&status=open").send().await;
    assert_eq!(shown.json()["count"], count, "a job that is done is shown");
    let _ = act(&agent, &job, "undo").await.expect_status(200);
    assert_eq!(ended(&agent, &job).await["state"], "undone");
    let shown = agent.get("/v1/tickets/count?tag=wave&status=new").send().await;
    assert_eq!(shown.json()["count"], count, "and so is one that is undone");
    // A number sign is a character of a value like any other, and ends nothing.
    let none = json!({"kind": "bulk-update", "filter": "tag=wave#&status=new",
        "set": {"status": "open"}});
    let _ = agent.post("/v1/jobs").json(&none).send().await.expect_status(422);
}

#[tokio::test]
async fn a_filter_names_the_tickets_of_a_job_once_and_for_all() {
    on_both_backends(by_filter).await;
}

#[tokio::test]
async fn a_filter_that_cannot_see_what_it_was_to_see_begins_no_job() {
    let site = Site::embedded().failing("projection.before:unavailable:5");
    let node = site.serve().await;
    let client = |role, subject| node.client(&site.token(role, subject));
    let (agent, admin) = (client("agent", "ann"), client("admin", "root"));
    let opened = json!({"subject": "Smoke", "body": "It smokes.", "tags": ["wave"],
        "requester": {"id": "cus_1"}});
    let opened = agent.post("/v1/tickets").json(&opened).send().await.expect_status(201);
    let place = opened.header("docket-position").unwrap();
    let body = json!({"kind": "bulk-update", "filter": "status=new&tag=wave",
        "set": {"priority": "high"}});
    let begin = || {
        let asked = agent.post("/v1/jobs").header("Idempotency-Key", "wave-1");
        asked.header("Docket-After", place).json(&body).send()
    };
    let refused = begin().await.expect_status(503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["code"], "unavailable");
    let sagas = admin.get("/v1/sagas").send().await.expect_status(200);
    assert_eq!(sagas.json()["sagas"], json!([]), "nothing has begun");
    let begun = eventually(ENDS_WITHIN, async || {
        let answer = begin().await;
        (answer.status != 503).then_some(answer)
    });
    let mut begun = begun.await.expect("the view goes on").expect_status(202).json();
    assert_eq!(ended(&agent, &begun["job"].take()).await["done"], 1);
}

async fn refuses(site: &Site, node: &Node) {
    let client = |role, subject| node.client(&site.token(role, subject));
    let agent = client("agent", "ann");
    let ticket = open(&agent, 1).await;
    let set = json!({"priority": "high"});
    let job = |extra: Value| {
        let mut body = json!({"kind": "bulk-update", "set": set});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let many: Vec<String> =
        (0..10_001).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect();
    for (body, field) in [
        (job(json!({})), "tickets"),
        (job(json!({"tickets": []})), "tickets"),
        (job(json!({"tickets": [ticket], "filter": "status=new"})), "tickets"),
        (job(json!({"tickets": ["no id"]})), "tickets[0]"),
        (job(json!({"tickets": many})), "tickets"),
        (job(json!({"filter": "tag=nobody-has-it"})), "filter"),
        (job(json!({"filter": "colour=red"})), "filter.colour"),
        (job(json!({"filter": ""})), "filter"),
        (job(json!({"filter": "status=sleepy"})), "filter.status"),
        (job(json!({"tickets": [ticket], "kind": "bulk-delete"})), "kind"),
        (job(json!({"tickets": [ticket], "set": {"subject": "All"}})), "set.subject"),
        (job(json!({"tickets": [ticket], "set": {"observed": "x"}})), "set.observed"),
        (job(json!({"tickets": [ticket], "set": {}})), "set"),
        (job(json!({"tickets": [ticket], "set": {"colour": "red"}})), "set.colour"),
        (job(json!({"tickets": [ticket], "set": {"status": "snoozed"}})), "set.status"),
        (job(json!({"tickets": [ticket], "set": {"add_tags": [""]}})), "set.add_tags[0]"),
    ] {
        let refused = begin(&agent, &body).await.expect_status(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let good = job(json!({"tickets": [ticket]}));
    let asked = agent.post("/v1/jobs").header("Docket-After", "zz").json(&good).send().await;
    assert_eq!(asked.expect_status(400).json()["code"], "cursor_malformed");
    for role in ["customer", "auditor", "integrator"] {
        let _ = begin(&client(role, "cus_1"), &good).await.expect_status(403);
    }
    let begun = begin(&agent, &good).await.expect_status(202).json()["job"].take();
    let _ = ended(&agent, &begun).await;
    let path = format!("/v1/jobs/{}", begun["id"].as_str().unwrap());
    for path in [format!("{path}?x=1"), format!("{path}/results?x=1")] {
        let _ = client("customer", "cus_1").get(&path).send().await.expect_status(403);
        let _ = client("agent", "bob").get(&path).send().await.expect_status(404);
        let _ = agent.get(&path).send().await.expect_status(422);
    }
    let _ = client("agent", "bob").get(&path).send().await.expect_status(404);
    let _ = client("admin", "root").get(&path).send().await.expect_status(200);
    let _ = client("auditor", "aud").get(&path).send().await.expect_status(200);
    let _ = act(&client("auditor", "aud"), &begun, "undo").await.expect_status(403);
    let merge = agent.merge(&ticket, &open(&agent, 2).await).await.expect_status(202);
    let saga = merge.json()["saga"]["id"].as_str().unwrap().to_owned();
    let _ = agent.get(&format!("/v1/jobs/{saga}")).send().await.expect_status(404);
}

#[tokio::test]
async fn a_job_over_nothing_too_much_or_what_one_may_not_is_refused() {
    on_both_backends(refuses).await;
}

async fn stops(site: &Site, node: &Node) {
    let agent = node.client(&site.token("agent", "ann"));
    let mut tickets = Vec::new();
    for number in 0..300 {
        tickets.push(open(&agent, number).await);
    }
    let body = json!({"kind": "bulk-update", "tickets": tickets, "set": {"priority": "high"}});
    let job = begin(&agent, &body).await.expect_status(202).json()["job"].take();
    let stopped = act(&agent, &job, "cancel").await;
    let job = ended(&agent, &job).await;
    let done = job["done"].as_u64().unwrap();
    if stopped.status == 200 {
        assert_eq!(job["state"], "cancelled", "{job}");
    } else {
        // It was quicker.
        let _ = stopped.expect_status(409);
        assert_eq!((&job["state"], done), (&json!("done"), 300));
    }
    let high = eventually(ENDS_WITHIN, async || {
        let answer = agent.get("/v1/tickets/count?priority=high").send().await.expect_status(200);
        (answer.json()["count"] == done).then_some(())
    });
    assert!(high.await.is_some(), "what was done is kept: {job}");
    let undo = async || {
        let path = format!("/v1/jobs/{}/undo", job["id"].as_str().unwrap());
        let asked = agent.post(&path).header("Idempotency-Key", "undo-1");
        asked.send().await.expect_status(200)
    };
    let first = undo().await;
    assert!(first.header("docket-position").is_some());
    assert_eq!(ended(&agent, &job).await["state"], "undone");
    let again = undo().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), first.json(), "the retry gets the first answer");
    let left = agent.get("/v1/tickets/count?priority=high").send().await.expect_status(200);
    assert_eq!(left.json()["count"], 0);
}

#[tokio::test]
async fn a_job_that_is_cancelled_keeps_what_is_done_until_it_is_undone() {
    on_both_backends(stops).await;
}

async fn lists_own(site: &Site, node: &Node) {
    let agent = node.client(&site.token("agent", "ann"));
    let ticket = open(&agent, 1).await;
    let body = json!({"kind": "bulk-update", "tickets": [ticket], "set": {"priority": "high"}});
    let list = |after: &str| agent.get("/v1/sagas").header("Docket-After", after).send();
    for _ in 0..5 {
        let begun = begin(&agent, &body).await.expect_status(202);
        let listed = list(begun.header("docket-position").unwrap()).await.expect_status(200).json();
        assert_eq!(listed["sagas"][0]["id"], begun.json()["job"]["id"]);
        assert_eq!(listed["as_of"]["stale"], false);
        // Another write is no saga's: there is nothing to wait for.
        let path = format!("/v1/tickets/{ticket}");
        let changed = agent.patch(&path).json(&json!({"priority": "low"})).send().await;
        let place = changed.expect_status(200).header("docket-position").unwrap().to_owned();
        let listed = list(&place).await.expect_status(200).json();
        assert_eq!(listed["as_of"]["stale"], false);
    }
    let _ = list("zz").await.expect_status(400);
}

#[tokio::test]
async fn a_list_of_sagas_waits_for_what_its_caller_has_begun() {
    on_both_backends(lists_own).await;
}
