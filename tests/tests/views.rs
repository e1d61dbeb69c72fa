//! Lists and counts: they say what a plain reading of the imported file says, and what was just written.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use docket_tests::{Answer, Backend, Client, Incident, Incidents, Node, Site, eventually};
use serde_json::{Value, json};

/// How long the view may take to reach what was imported.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);

/// Waits until every event is in the view.
async fn caught_up(site: &Site, node: &Node) {
    let admin = node.client(&site.token("admin", "root"));
    let lag = eventually(CAUGHT_UP_WITHIN, async || {
        let answer = admin.get("/v1/projections").send().await.expect_status(200);
        (answer.json()["projections"][0]["lag_events"] == 0).then_some(())
    });
    assert!(lag.await.is_some(), "the view does not catch up");
}

async fn get(client: &Client, path: &str) -> Value {
    client.get(path).send().await.expect_status(200).json()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// All tickets of a list, page by page.
async fn walk(client: &Client, query: &str, size: usize) -> Vec<Value> {
    let (mut tickets, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tickets?{query}&page[size]={size}&page[after]={after}");
        let page = get(client, &path.replace('[', "%5B").replace(']', "%5D")).await;
        let found = page["tickets"].as_array().unwrap();
        assert!(found.len() <= size);
        tickets.extend(found.iter().cloned());
        assert_eq!(page["as_of"]["stale"], false);
        match page["meta"]["after_cursor"].as_str() {
            Some(cursor) => after = cursor.to_owned(),
            None => return tickets,
        }
    }
}

async fn count(client: &Client, query: &str) -> (u64, bool) {
    let answer = get(client, &format!("/v1/tickets/count?{query}")).await;
    (answer["count"].as_u64().unwrap(), answer["exact"].as_bool().unwrap())
}

fn numbers(tickets: &[Value]) -> BTreeSet<&str> {
    tickets.iter().map(|ticket| ticket["external_id"].as_str().unwrap()).collect()
}

type Passes<'a> = Box<dyn Fn(&Incident) -> bool + 'a>;

fn filters(incidents: &[Incident]) -> Vec<(String, Passes<'_>)> {
    let mut filters: Vec<(String, Passes<'_>)> = vec![("".to_owned(), Box::new(|_| true))];
    for status in ["new", "open", "pending", "hold", "solved", "closed"] {
        filters.push((format!("status={status}"), Box::new(move |one| one.status == status)));
        let query = format!("status={status}&priority=normal");
        let passes = move |one: &Incident| one.status == status && one.priority == "normal";
        filters.push((query, Box::new(passes)));
    }
    for priority in ["low", "normal", "high", "urgent"] {
        let passes = move |one: &Incident| one.priority == priority;
        filters.push((format!("priority={priority}"), Box::new(passes)));
    }
    let distinct = |of: fn(&Incident) -> Option<&String>| -> BTreeSet<&str> {
        incidents.iter().filter_map(of).map(String::as_str).take(60).collect()
    };
    for group in distinct(|one| one.group.as_ref()) {
        let query = format!("group_id={}", encoded(group));
        filters.push((query, Box::new(move |one| one.group.as_deref() == Some(group))));
    }
    for assignee in distinct(|one| one.assignee.as_ref()) {
        let query = format!("assignee_id={}", encoded(assignee));
        filters.push((query, Box::new(move |one| one.assignee.as_deref() == Some(assignee))));
    }
    for requester in distinct(|one| Some(&one.requester)) {
        let query = format!("requester_id={}", encoded(requester));
        filters.push((query, Box::new(move |one| one.requester == requester)));
    }
    filters.push(("group_id=none".to_owned(), Box::new(|one| one.group.is_none())));
    filters.push(("assignee_id=none".to_owned(), Box::new(|one| one.assignee.is_none())));
    filters.push(("requester_id=nobody-ever".to_owned(), Box::new(|_| false)));
    filters.push(("tag=vip".to_owned(), Box::new(|_| false)));
    filters.push(("type=incident".to_owned(), Box::new(|_| false)));
    let middle = &incidents[incidents.len() / 2].created_at;
    let query = format!("created_after={middle}&status=closed");
    let passes = move |one: &Incident| one.created_at > *middle && one.status == "closed";
    filters.push((query, Box::new(passes)));
    let passes = move |one: &Incident| one.updated_at > *middle && one.assignee.is_none();
    filters.push((format!("updated_after={middle}&assignee_id=none"), Box::new(passes)));
    filters
}

async fn answers_like_the_file(backend: Backend) {
    let site = &backend.site;
    let log = Incidents::of(site);
    let _ = site.run(&["import", &log.file, "--format", "servicenow-csv"]).expect_code(0);
    let node = site.serve().await;
    caught_up(site, &node).await;
    let client = node.client(&site.token("agent", "ann"));
    for (query, passes) in filters(&log.incidents) {
        let expected: BTreeSet<&str> =
            log.incidents.iter().filter(|one| passes(one)).map(|one| one.number.as_str()).collect();
        let found = walk(&client, &query, 100).await;
        assert_eq!(numbers(&found), expected, "{query}");
        assert_eq!(found.len(), expected.len(), "{query} repeats a ticket");
        assert_eq!(count(&client, &query).await, (expected.len() as u64, true), "{query}");
    }
    sorts(&client, &log.incidents).await;
    let found = walk(&client, "status=closed", 100).await;
    for ticket in found.iter().step_by(17) {
        let current =
            get(&client, &format!("/v1/tickets/{}", ticket["id"].as_str().unwrap())).await;
        assert_eq!(*ticket, current["ticket"]);
    }
    assert!(!node.log().contains("panic"));
}

async fn sorts(client: &Client, incidents: &[Incident]) {
    let ranks = HashMap::from([("low", 0), ("normal", 1), ("high", 2), ("urgent", 3)]);
    let by_number: HashMap<&str, &Incident> =
        incidents.iter().map(|one| (one.number.as_str(), one)).collect();
    for sort in ["created_at", "updated_at", "priority"] {
        for (query, size) in [("", 7), ("status=closed", 5), ("assignee_id=none", 100)] {
            let walked = walk(client, &format!("sort={sort}&{query}"), size).await;
            let mut keys = Vec::new();
            for ticket in &walked {
                let incident = by_number[ticket["external_id"].as_str().unwrap()];
                let key = match sort {
                    "created_at" => incident.created_at.clone(),
                    "updated_at" => incident.updated_at.clone(),
                    _ => ranks[incident.priority].to_string(),
                };
                keys.push((key, ticket["id"].as_str().unwrap().to_owned()));
            }
            assert!(keys.is_sorted(), "{sort} {query}");
            let mut back = walk(client, &format!("sort=-{sort}&{query}"), size).await;
            back.reverse();
            assert_eq!(back, walked, "-{sort} {query}");
        }
    }
}

#[tokio::test]
async fn after_an_import_every_list_and_count_is_that_of_the_file_on_sqlite() {
    answers_like_the_file(Backend::sqlite()).await;
}

#[tokio::test]
async fn after_an_import_every_list_and_count_is_that_of_the_file_on_postgres() {
    answers_like_the_file(Backend::postgres().await).await;
}

fn opening(subject: &str, requester: &str) -> Value {
    json!({"subject": subject, "body": "It smokes.", "requester": {"id": requester}})
}

fn id_of(answer: &Answer) -> String {
    answer.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

async fn walks_while_others_write(backend: Backend) {
    let node = backend.site.serve().await;
    let client = node.client(&backend.site.token("agent", "ann"));
    let mut known = BTreeSet::new();
    for number in 0..60 {
        let body = opening(&format!("Before {number}"), "cus_1");
        known
            .insert(id_of(&client.post("/v1/tickets").json(&body).send().await.expect_status(201)));
    }
    caught_up(&backend.site, &node).await;
    let writing = async {
        for number in 0..60 {
            let body = opening(&format!("Meanwhile {number}"), "cus_2");
            let _ = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
            let ticket = known.iter().nth(number * 7 % 60).unwrap();
            let change = json!({"priority": "high", "status": "pending"});
            let path = format!("/v1/tickets/{ticket}");
            let _ = client.patch(&path).json(&change).send().await.expect_status(200);
        }
    };
    let walking = async {
        for sort in ["created_at", "-created_at"] {
            for _ in 0..3 {
                let found = walk(&client, &format!("sort={sort}"), 4).await;
                let ids: Vec<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
                let distinct: BTreeSet<&str> = ids.iter().copied().collect();
                assert_eq!(ids.len(), distinct.len(), "{sort} repeats a ticket");
                let missed = known.iter().find(|id| !distinct.contains(id.as_str()));
                assert_eq!(missed, None, "{sort} misses a ticket");
            }
        }
    };
    tokio::join!(writing, walking);
}

#[tokio::test]
async fn a_walk_by_an_unchanging_key_neither_repeats_nor_misses_on_sqlite() {
    walks_while_others_write(Backend::sqlite()).await;
}

#[tokio::test]
async fn a_walk_by_an_unchanging_key_neither_repeats_nor_misses_on_postgres() {
    walks_while_others_write(Backend::postgres().await).await;
}

/// Each of several writers finds each of its writes in the view, on whatever node it asks.
async fn reads_its_writes(site: &Site, nodes: &[Node]) {
    let writers = (0..4).map(async |writer: usize| {
        let name = format!("cus_{writer}");
        let clients: Vec<Client> =
            nodes.iter().map(|node| node.client(&site.token("agent", &name))).collect();
        let reader = |round: usize| &clients[round % clients.len()];
        for round in 0..25 {
            let opened = clients[0].post("/v1/tickets").json(&opening("Mine", &name)).send().await;
            let opened = opened.expect_status(201);
            let (ticket, place) = (id_of(&opened), opened.header("docket-position").unwrap());
            let path = format!("/v1/tickets/count?requester_id={name}");
            let count = reader(round).get(&path).header("Docket-After", place).send().await;
            let count = count.expect_status(200).json();
            assert_eq!(count["as_of"]["stale"], false);
            assert_eq!(count["count"], round as u64 + 1);
            let path = format!("/v1/tickets/{ticket}");
            let change = json!({"add_tags": [format!("t{writer}-{round}")]});
            let changed = clients[0].patch(&path).json(&change).send().await.expect_status(200);
            let place = changed.header("docket-position").unwrap();
            let path = format!("/v1/tickets?tag=t{writer}-{round}");
            let found = reader(round + 1).get(&path).header("Docket-After", place).send().await;
            let found = found.expect_status(200).json();
            assert_eq!(found["tickets"][0]["id"], ticket.as_str());
            assert_eq!(found["tickets"][0]["version"], changed.json()["ticket"]["version"]);
        }
    });
    let mut writing = Vec::from_iter(writers.map(Box::pin));
    while let Some(writer) = writing.pop() {
        writer.await;
    }
}

#[tokio::test]
async fn a_read_after_a_write_never_misses_it_on_sqlite() {
    let backend = Backend::sqlite();
    let node = backend.site.serve().await;
    reads_its_writes(&backend.site, &[node]).await;
}

#[tokio::test]
async fn a_read_after_a_write_never_misses_it_on_any_node() {
    let backend = Backend::postgres().await;
    let nodes = [backend.site.serve().await, backend.site.serve().await];
    reads_its_writes(&backend.site, &nodes).await;
}

#[tokio::test]
async fn a_customer_lists_own_tickets_by_what_they_may_see() {
    docket_tests::on_both_backends(async |site, node| {
        let agent = node.client(&site.token("agent", "ann"));
        let customer = node.client(&site.token("customer", "cus_1"));
        let mine = agent.post("/v1/tickets").json(&opening("Mine", "cus_1")).send().await;
        let mine = id_of(&mine.expect_status(201));
        let other = agent.post("/v1/tickets").json(&opening("Other", "cus_2")).send().await;
        let other = id_of(&other.expect_status(201));
        let path = format!("/v1/tickets/{mine}");
        let change = json!({"status": "hold", "group_id": "desk", "add_tags": ["vip"]});
        let held = agent.patch(&path).json(&change).send().await.expect_status(200);
        let place = held.header("docket-position").unwrap().to_owned();
        let ask = async |path: &str| {
            let asked = customer.get(path).header("Docket-After", &place).send().await;
            asked.expect_status(200).json()
        };
        let all = ask("/v1/tickets").await;
        assert_eq!(all["tickets"].as_array().unwrap().len(), 1);
        let shown = get(&customer, &path).await;
        assert_eq!(all["tickets"][0], shown["ticket"]);
        assert_eq!(all["tickets"][0]["status"], "open");
        for (filter, number) in [
            ("status=open", 1),
            ("status=hold", 0),
            ("group_id=desk", 0),
            ("group_id=none", 0),
            ("tag=vip", 0),
            ("requester_id=cus_1", 1),
            ("requester_id=cus_2", 0),
        ] {
            assert_eq!(
                ask(&format!("/v1/tickets/count?{filter}")).await["count"],
                number,
                "{filter}"
            );
            let list = ask(&format!("/v1/tickets?{filter}")).await;
            assert_eq!(list["tickets"].as_array().unwrap().len(), number, "{filter}");
        }
        // What they may not see moves nothing that they are shown.
        let note = json!({"body": "Careful.", "public": false});
        let path = format!("/v1/tickets/{mine}/messages");
        let noted = agent.post(&path).json(&note).send().await.expect_status(201);
        let place = noted.header("docket-position").unwrap().to_owned();
        let later = customer.get("/v1/tickets").header("Docket-After", &place).send().await;
        let later = later.expect_status(200).json();
        assert_eq!((&later["tickets"], &later["as_of"]), (&all["tickets"], &all["as_of"]));
        // A follower sees it, and no longer once they follow no more.
        let follow = format!("/v1/tickets/{other}/followers/cus_1");
        let followed = agent.put(&follow).send().await.expect_status(200);
        let place = followed.header("docket-position").unwrap().to_owned();
        let two = customer.get("/v1/tickets/count").header("Docket-After", &place).send().await;
        assert_eq!(two.json()["count"], 2);
        let left = agent.delete(&follow).send().await.expect_status(200);
        let place = left.header("docket-position").unwrap().to_owned();
        let one = customer.get("/v1/tickets/count").header("Docket-After", &place).send().await;
        assert_eq!(one.json()["count"], 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_list_cannot_be_asked_is_refused() {
    docket_tests::on_both_backends(async |site, node| {
        let agent = node.client(&site.token("agent", "ann"));
        for number in 0..3 {
            let body = opening(&format!("No {number}"), "cus_1");
            let _ = agent.post("/v1/tickets").json(&body).send().await.expect_status(201);
        }
        caught_up(site, node).await;
        for wrong in [
            "sort=subject",
            "sort=--created_at",
            "sort=",
            "status=ajar",
            "status=open&status=new",
            "priority=1",
            "type=",
            "created_after=yesterday",
            "updated_after=2026-01-01",
            "assignee_id=",
            "tag=",
            "page%5Bsize%5D=0",
            "page%5Bsize%5D=101",
            "subject=x",
        ] {
            let path = format!("/v1/tickets?{wrong}");
            let _ = agent.get(&path).send().await.expect_problem(422, "invalid");
        }
        let page = get(&agent, "/v1/tickets?page%5Bsize%5D=1&sort=created_at").await;
        let cursor = page["meta"]["after_cursor"].as_str().unwrap();
        for other in ["sort=-created_at&", "sort=created_at&status=new&"] {
            let path = format!("/v1/tickets?{other}page%5Bafter%5D={cursor}");
            let _ = agent.get(&path).send().await.expect_problem(400, "cursor_malformed");
        }
        for after in ["x", "AQ", "%ff"] {
            let asked = agent.get("/v1/tickets").header("Docket-After", after).send().await;
            let _ = asked.expect_problem(400, "cursor_malformed");
            let asked = agent.get("/v1/tickets/count").header("Docket-After", after).send().await;
            let _ = asked.expect_problem(400, "cursor_malformed");
        }
        let integrator = node.client(&site.token("integrator", "sync"));
        for path in ["/v1/tickets", "/v1/tickets/count", "/v1/projections"] {
            let _ = integrator.get(path).send().await.expect_problem(403, "forbidden");
            let _ = node.anonymous().get(path).send().await.expect_problem(401, "unauthenticated");
        }
        let _ = agent.get("/v1/projections").send().await.expect_problem(403, "forbidden");
        let auditor = node.client(&site.token("auditor", "olga"));
        let seen = get(&auditor, "/v1/projections").await;
        assert_eq!(seen["projections"][0]["name"], "tickets");
        assert_eq!(seen["projections"][1]["name"], "search");
        let metrics = node.anonymous().get("/metrics").send().await.expect_status(200);
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        for name in ["docket_projection_lag_events{", "docket_projection_lag_seconds{"] {
            let lines = text.lines().filter(|line| line.starts_with(name)).count();
            assert_eq!(lines, 2 * 16, "{name}: each partition of view and index");
        }
    })
    .await;
}
