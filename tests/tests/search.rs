//! Searching: words in Chinese and English, filters, highlights, facets, and what customers get of them.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use docket_tests::{Answer, Backend, Client, Node, Site, eventually, on_both_backends};
use serde_json::{Value, json};

/// How long a node may take to catch up after its start.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(20);
/// Newest writes whose places are waited for: as many as a test writes between two questions.
const WRITES_AWAITED: usize = 20;

/// Characters that a query string cannot carry as they are.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

struct Desk {
    agent: Client,
    customer: Client,
    stranger: Client,
    /// Where the newest writes stand.
    after: VecDeque<String>,
}

impl Desk {
    fn open(site: &Site, node: &Node) -> Self {
        let client = |role, subject| node.client(&site.token(role, subject));
        Self {
            agent: client("agent", "ann"),
            customer: client("customer", "cus_1"),
            stranger: client("customer", "cus_2"),
            after: VecDeque::new(),
        }
    }

    fn note(&mut self, answer: &Answer) {
        self.after.push_back(answer.header("docket-position").unwrap().to_owned());
        if self.after.len() > WRITES_AWAITED {
            self.after.pop_front();
        }
    }

    async fn opens(&mut self, who: &Client, subject: &str, body: &str) -> String {
        let body = json!({"subject": subject, "body": body});
        let answer = who.post("/v1/tickets").json(&body).send().await.expect_status(201);
        self.note(&answer);
        answer.json()["ticket"]["id"].as_str().unwrap().to_owned()
    }

    async fn says(&mut self, ticket: &str, public: bool, body: &str) {
        let message = json!({"body": body, "public": public});
        let path = format!("/v1/tickets/{ticket}/messages");
        let answer = self.agent.post(&path).json(&message).send().await.expect_status(201);
        self.note(&answer);
    }

    async fn sets(&mut self, ticket: &str, fields: Value) {
        let path = format!("/v1/tickets/{ticket}");
        let answer = self.agent.patch(&path).json(&fields).send().await.expect_status(200);
        self.note(&answer);
    }

    /// The answer to a query, with everything written so far: each write names the place of its own partition alone.
    async fn asks(&self, who: &Client, query: &str, rest: &str) -> Value {
        let path = format!("/v1/search?q={}{rest}", encoded(query));
        for after in &self.after {
            let request =
                who.get("/v1/search?q=status:new&page[size]=1").header("docket-after", after);
            let _ = request.send().await.expect_status(200);
        }
        // A node that has just started says so until it has caught up.
        let answer = eventually(CAUGHT_UP_WITHIN, async || {
            let answer = who.get(&path).send().await.expect_status(200).json();
            (answer["as_of"]["stale"] == json!(false)).then_some(answer)
        });
        answer.await.unwrap()
    }

    async fn finds(&self, who: &Client, query: &str) -> BTreeSet<String> {
        let answer = self.asks(who, query, "&page[size]=100").await;
        let found: BTreeSet<String> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["ticket"]["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(answer["count"], json!(found.len()), "{query}: {answer}");
        found
    }
}

fn set(tickets: &[&String]) -> BTreeSet<String> {
    tickets.iter().map(|ticket| (*ticket).clone()).collect()
}

async fn found_as_written(site: &Site, node: &Node) {
    let mut desk = Desk::open(site, node);
    let (agent, customer) = (desk.agent.clone(), desk.customer.clone());
    let fire = desk
        .opens(&customer, "Printer on fire", "The HP printer burns. 三楼的打印机着火了！")
        .await;
    let flight = desk.opens(&desk.stranger.clone(), "机票退款", "订单 A2026 的机票还没退。").await;
    desk.says(&fire, false, "blame the cheap toner").await;
    desk.says(&fire, true, "We are sending a new printer.").await;
    desk.sets(
        &fire,
        json!({"status": "hold", "priority": "urgent", "add_tags": ["vip"], "assignee_id": "ann"}),
    )
    .await;
    for (query, expected) in [
        ("printers", set(&[&fire])),
        ("打印机", set(&[&fire])),
        ("票", set(&[&flight])),
        ("打印 OR 机票", set(&[&fire, &flight])),
        ("\"new printer\" -smoke", set(&[&fire])),
        ("pritner~1 burn*", set(&[&fire])),
        ("toner status:hold priority:urgent tag:vip assignee:me", set(&[&fire])),
        ("assignee:ann -tag:none", set(&[&fire])),
        ("requester:cus_2", set(&[&flight])),
        ("requester:nobody-ever", set(&[])),
        ("-printer", set(&[&flight])),
        ("created>2000-01-01 kind:ticket channel:api", set(&[&fire, &flight])),
    ] {
        assert_eq!(desk.finds(&agent, query).await, expected, "{query}");
    }
    for (query, expected) in [
        ("printer status:open", set(&[&fire])),
        ("toner", set(&[])),
        ("-toner", set(&[&fire])),
        ("机票 OR 退款", set(&[])),
        ("tag:vip OR group:none OR status:hold", set(&[])),
    ] {
        assert_eq!(desk.finds(&customer, query).await, expected, "a customer: {query}");
    }
    let answer = desk.asks(&agent, "printer 打印机", "&facets=status,tag,assignee").await;
    let result = &answer["results"][0];
    assert_eq!(result["ticket"]["subject"], "Printer on fire");
    assert!(result["score"].as_f64().unwrap() > 0.0);
    let facets = json!({"status": {"hold": 1}, "tag": {"vip": 1}, "assignee": {"ann": 1}});
    assert_eq!((&answer["facets"], &answer["count_exact"]), (&facets, &json!(true)));
    let highlight = &result["highlights"][0];
    assert_eq!(
        (&highlight["field"], &highlight["ranges"]),
        (&json!("message"), &json!([[7, 14], [25, 28]]))
    );
    let messages = agent.get(&format!("/v1/tickets/{fire}/messages")).send().await.json();
    assert_eq!(highlight["message_id"], messages["messages"][0]["id"]);
    let own = desk.asks(&customer, "printer", "&facets=status,tag").await;
    assert_eq!(own["facets"], json!({"status": {"open": 1}, "tag": {}}));
    assert_eq!(own["results"][0]["ticket"].get("tags"), None);
    let subject = &own["results"][0]["highlights"][0];
    assert_eq!((&subject["field"], &subject["ranges"]), (&json!("subject"), &json!([[0, 7]])));
}

#[tokio::test]
async fn tickets_are_found_by_words_and_filters_as_far_as_one_may_see_them() {
    on_both_backends(found_as_written).await;
}

async fn pages_and_refusals(site: &Site, node: &Node) {
    let mut desk = Desk::open(site, node);
    let (agent, customer) = (desk.agent.clone(), desk.customer.clone());
    let mut opened = BTreeSet::new();
    for number in 0..7 {
        opened.insert(desk.opens(&customer, &format!("fire {number}"), "the same words").await);
    }
    for sort in ["relevance", "-updated_at", "created_at", "-priority"] {
        let (mut walked, mut after) = (Vec::new(), String::new());
        loop {
            let rest = format!("&sort={sort}&page[size]=3&page[after]={after}");
            let page = desk.asks(&agent, "fire", &rest).await;
            assert_eq!(page["count"], json!(7));
            let results = page["results"].as_array().unwrap();
            walked
                .extend(results.iter().map(|one| one["ticket"]["id"].as_str().unwrap().to_owned()));
            if page["meta"]["has_more"] == json!(false) {
                break;
            }
            after = page["meta"]["after_cursor"].as_str().unwrap().to_owned();
        }
        assert_eq!(walked.len(), 7, "{sort}");
        assert_eq!(walked.into_iter().collect::<BTreeSet<_>>(), opened, "{sort}");
    }
    for (query, at) in [
        ("打印 \"机", 3),
        ("fire colour:red", 5),
        ("*ire", 0),
        ("", 0),
        ("a OR", 2),
        (&"x".repeat(10_000), 1_000),
    ] {
        let path = format!("/v1/search?q={}", encoded(query));
        let problem = agent.get(&path).send().await.expect_status(422).json();
        let said = (&problem["code"], &problem["at"], &problem["errors"][0]["field"]);
        assert_eq!(said, (&json!("invalid"), &json!(at), &json!("q")), "{query}: {problem}");
    }
    for (rest, status) in [
        ("", 422),
        ("?q=a&sort=subject", 422),
        ("?q=a&facets=subject", 422),
        ("?q=a&page[size]=101", 422),
        ("?q=a&colour=red", 422),
        ("?q=a&page[after]=AAAA", 400),
    ] {
        let _ = agent.get(&format!("/v1/search{rest}")).send().await.expect_status(status);
    }
    let _ = agent.get("/v1/search?q=a").header("docket-after", "?").send().await.expect_status(400);
    let _ = node.anonymous().get("/v1/search?q=a").send().await.expect_status(401);
    let integrator = node.client(&site.token("integrator", "sync"));
    let _ = integrator.get("/v1/search?q=a").send().await.expect_status(403);
    let auditor = node.client(&site.token("auditor", "aud"));
    assert_eq!(desk.finds(&auditor, "fire").await, opened);
}

#[tokio::test]
async fn a_search_is_walked_in_pages_and_refused_with_the_place() {
    on_both_backends(pages_and_refusals).await;
}

/// How often a node is killed.
const KILLS: usize = 4;

#[tokio::test]
async fn a_node_killed_while_it_indexes_finds_everything_afterwards() {
    let backend = Backend::sqlite();
    let mut node = backend.site.serve().await;
    let mut desk = Desk::open(&backend.site, &node);
    let customer = desk.customer.clone();
    let mut opened = BTreeSet::new();
    for round in 0..KILLS {
        for number in 0..20 {
            let subject = format!("round {round} number {number}");
            opened.insert(desk.opens(&customer, &subject, "着火 words of a crash").await);
        }
        node.kill();
        node.restart().await;
        let found = desk.finds(&desk.agent, "着火 crash").await;
        let (missed, strange) =
            (opened.difference(&found).count(), found.difference(&opened).count());
        assert_eq!((missed, strange), (0, 0), "after kill {round}");
    }
}
