//! A row of the log that cannot be read: it hides itself, and neither what stands behind it nor anybody else's work.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::time::Duration;

use docket_tests::{Answer, Backend, Client, EventStream, Node, Socket, Token, eventually};
use serde_json::{Value, json};

/// How long what is written may take until it is shown or told.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Whatever this device writes is damaged on its way into the table, before anybody has read it.
const DAMAGED_DEVICE: &str = "hammer";

const DAMAGES_ON_SQLITE: &str = "CREATE TRIGGER damage AFTER INSERT ON event \
     WHEN NEW.device = 'hammer' \
     BEGIN UPDATE event SET event_type = 'no.type' WHERE place = NEW.place; END";

const DAMAGES_ON_POSTGRES: &str = "\
     CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN NEW.type := 'no.type'; RETURN NEW; END $$; \
     CREATE TRIGGER damage BEFORE INSERT ON event FOR EACH ROW \
     WHEN (NEW.device = 'hammer') EXECUTE FUNCTION damage()";

async fn opens(client: &Client, subject: &str) -> String {
    let body = json!({"subject": subject, "body": "It smokes.", "requester": {"id": "cus_1"}});
    let opened = client.post("/v1/tickets").json(&body).send().await.expect_status(201);
    opened.json()["ticket"]["id"].as_str().unwrap().to_owned()
}

async fn says(client: &Client, ticket: &str, body: &str) -> Answer {
    let path = format!("/v1/tickets/{ticket}/messages");
    client.post(&path).json(&json!({"body": body})).send().await.expect_status(201)
}

fn said(event: &Value) -> &str {
    event["text"]["body"].as_str().unwrap_or_default()
}

/// The whole feed in small pages: what was said, and the places that it lacks.
async fn feed(client: &Client) -> (Vec<String>, Vec<Value>) {
    let (mut texts, mut lacking, mut after) = (Vec::new(), Vec::new(), String::new());
    loop {
        let path = format!("/v1/events?limit=3&after={after}");
        let page = client.get(&path).send().await.expect_status(200).json();
        texts.extend(page["events"].as_array().unwrap().iter().map(|one| said(one).to_owned()));
        lacking.extend(page["unreadable"].as_array().into_iter().flatten().cloned());
        page["after_cursor"].as_str().unwrap().clone_into(&mut after);
        if page["end_of_stream"] == true {
            return (texts, lacking);
        }
    }
}

async fn metric(node: &Node, name: &str) -> f64 {
    let text = node.anonymous().get("/metrics").send().await.expect_status(200);
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Hears `text` on every door that was opened before it was written.
struct Doors {
    all: Socket,
    one: Socket,
    stream: EventStream,
}

impl Doors {
    async fn open(node: &Node, token: &str, ticket: &str) -> Self {
        let mut all = Socket::open(node.address(), token).await;
        let _ = all.subscribe("all", json!({"all": true})).await;
        let mut one = Socket::open(node.address(), token).await;
        let _ = one.subscribe("one", json!({"tickets": [ticket]})).await;
        let mut stream = EventStream::open(node.address(), token, "/v1/feed", &[]).await.unwrap();
        let _ = stream.next().await;
        Self { all, one, stream }
    }

    async fn hear(&mut self, text: &str) {
        for socket in [&mut self.all, &mut self.one] {
            loop {
                let frame = socket.next().await;
                assert_eq!(frame["op"], "event", "{frame}");
                if said(&frame["event"]) == text {
                    break;
                }
            }
        }
        while said(&self.stream.event().await.expect("the stream goes on").1) != text {}
    }
}

async fn goes_on(backend: Backend, damages: &str) {
    let site = &backend.site;
    let mut node = site.serve().await;
    backend.change_log(damages).await;
    let token = site.token("agent", "ann");
    let agent = node.client(&token);
    let hammer = Token {
        role: "agent",
        subject: "ann",
        tenant: None,
        device: Some(DAMAGED_DEVICE),
        ttl: None,
    };
    let hammer = node.client(&site.sign(&hammer));
    let (healthy, damaged) = (opens(&agent, "Smoke").await, opens(&agent, "Fire").await);
    let mut doors = Doors::open(&node, &token, &healthy).await;
    let polled = {
        let (agent, mut after) = (agent.clone(), String::new());
        let page = agent.get("/v1/events?limit=1000").send().await.expect_status(200).json();
        page["after_cursor"].as_str().unwrap().clone_into(&mut after);
        tokio::spawn(async move {
            let mut heard = Vec::new();
            while !heard.contains(&"behind it".to_owned()) {
                let path = format!("/v1/events?wait=20s&after={after}");
                let page = agent.get(&path).send().await.expect_status(200).json();
                let events = page["events"].as_array().unwrap();
                assert!(!events.is_empty(), "a long poll ends with nothing: {page}");
                heard.extend(events.iter().map(|event| said(event).to_owned()));
                page["after_cursor"].as_str().unwrap().clone_into(&mut after);
            }
        })
    };

    let _ = says(&hammer, &damaged, "damaged").await;
    let written = says(&agent, &healthy, "behind it").await;
    doors.hear("behind it").await;
    tokio::time::timeout(TOLD_WITHIN, polled).await.expect("the poll ends").unwrap();
    let (texts, lacking) = feed(&agent).await;
    assert!(texts.iter().any(|text| text == "behind it"), "{texts:?}");
    assert!(texts.iter().all(|text| text != "damaged"), "{texts:?}");
    assert_eq!(lacking.len(), 1, "{lacking:?}");
    shows(&agent, &written).await;

    // In its own ticket's history it is named too, as long as the ticket is in memory.
    let path = format!("/v1/tickets/{damaged}/events");
    let history = agent.get(&path).send().await.expect_status(200).json();
    assert_eq!(history["events"].as_array().unwrap().len(), 1, "{history:#}");
    assert_eq!(history["unreadable"], json!(lacking));
    merges(&agent, 8).await;
    assert!((metric(&node, "docket_log_unreadable_rows").await - 1.0).abs() < 0.5);
    assert_eq!(node.log().matches("log.row.unreadable").count(), 1, "reported once");

    // A node that begins behind it meets it as well.
    node.restart().await;
    let mut doors = Doors::open(&node, &token, &healthy).await;
    let written = says(&agent, &healthy, "after the restart").await;
    doors.hear("after the restart").await;
    shows(&agent, &written).await;
    assert_eq!(feed(&agent).await.1, lacking);
    let _ = agent.ticket(&healthy).await;
    let problem = agent.get(&path).send().await.expect_status(500).json();
    assert_eq!(problem["code"], "internal");
    assert!(problem["detail"].as_str().unwrap().contains("cannot be read"), "{problem}");
    merges(&agent, 8).await;
}

/// The view gets to what was written.
async fn shows(client: &Client, written: &Answer) {
    let position = written.header("docket-position").unwrap().to_owned();
    let shown = eventually(TOLD_WITHIN, async || {
        let list = client.get("/v1/tickets").header("docket-after", &position).send().await;
        let list = list.expect_status(200).json();
        (list["as_of"]["stale"] == false).then_some(())
    });
    shown.await.expect("the view goes on");
}

/// Merges in many partitions end.
async fn merges(client: &Client, count: usize) {
    let mut begun = Vec::new();
    for _ in 0..count {
        let (source, into) = (opens(client, "Source").await, opens(client, "Target").await);
        begun.push(client.merge(&source, &into).await);
    }
    for merge in &begun {
        let saga = client.ended(merge).await;
        assert_eq!(saga["state"], "done", "{saga:#}");
    }
}

#[tokio::test]
async fn a_damaged_row_stops_nobody_on_sqlite() {
    goes_on(Backend::sqlite(), DAMAGES_ON_SQLITE).await;
}

#[tokio::test]
async fn a_damaged_row_stops_nobody_on_postgres() {
    goes_on(Backend::postgres().await, DAMAGES_ON_POSTGRES).await;
}

/// A saga whose own row is damaged rests; the node starts all the same, and carries the others.
async fn other_sagas_go_on(backend: Backend, damage: &str) {
    let site = &backend.site;
    let mut node = site.serve().await;
    let client = |role, subject| node.client(&site.token(role, subject));
    let (agent, admin) = (client("agent", "ann"), client("admin", "root"));
    let ticket = opens(&agent, "Smoke").await;
    let paused = admin.post("/v1/sagas/definitions/bulk-update/pause").json(&json!({}));
    let _ = paused.send().await.expect_status(200);
    let job = json!({"kind": "bulk-update", "tickets": [ticket], "set": {"priority": "high"}});
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let begun = agent.post("/v1/jobs").json(&job).send().await.expect_status(202);
        jobs.push(begun.json()["job"].take());
    }
    node.kill();
    let id = jobs[0]["saga_id"].as_str().unwrap().replace('-', "");
    backend.change_log(&damage.replace("$ID", &id)).await;
    node.restart().await;
    let resumed = admin.post("/v1/sagas/definitions/bulk-update/resume").json(&json!({}));
    let _ = resumed.send().await.expect_status(200);
    let path = format!("/v1/jobs/{}", jobs[1]["id"].as_str().unwrap());
    let done = eventually(TOLD_WITHIN, async || {
        let job = agent.get(&path).send().await.expect_status(200).json();
        (job["job"]["state"] == "done").then_some(())
    });
    done.await.expect("the other job ends");
    merges(&agent, 8).await;
    assert!(metric(&node, "docket_log_unreadable_rows").await > 0.5);
}

#[tokio::test]
async fn a_damaged_saga_stops_no_other_on_sqlite() {
    let damage = "UPDATE event SET event_type = 'no.type' WHERE stream_id = unhex('$ID')";
    other_sagas_go_on(Backend::sqlite(), damage).await;
}

#[tokio::test]
async fn a_damaged_saga_stops_no_other_on_postgres() {
    let damage = "UPDATE event SET type = 'no.type' WHERE stream_id = '$ID'::uuid";
    other_sagas_go_on(Backend::postgres().await, damage).await;
}

/// A repair of the rows beside it does not forget an event that cannot be read.
async fn stays_noted(backend: Backend, damage: &str) {
    let site = &backend.site;
    let mut node = site.serve().await;
    let agent = node.client(&site.token("agent", "ann"));
    for number in 0..40 {
        let _ = opens(&agent, &format!("Smoke {number}")).await;
    }
    let _ = node.stop().await;
    backend.change_log(damage).await;
    let _ = site.run(&["projection", "rebuild", "tickets"]).expect_code(0);
    let noted = || {
        let list = site.run(&["projection", "list"]).expect_code(0).stdout;
        list.lines().filter(|line| line.contains("parked: an event")).count()
    };
    assert_eq!(noted(), 1);
    let beside = "DELETE FROM ticket_b WHERE partition = (SELECT partition FROM parked)";
    backend.change_view(beside).await;
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(1);
    let mended = site.run(&["projection", "diff", "tickets", "--repair"]).expect_code(0);
    assert!(mended.stdout.contains("the row is missing"), "{}", mended.stdout);
    assert_eq!(noted(), 1, "it cannot be read still");
    let _ = site.run(&["projection", "diff", "tickets"]).expect_code(0);
}

/// The first ticket of the partition that has most.
const DAMAGES_ONE_OF_MANY: &str = "UPDATE event SET $TYPE = 'no.type' WHERE event_id = \
     (SELECT event_id FROM event WHERE $TYPE = 'ticket.opened' AND partition = \
       (SELECT partition FROM event WHERE $TYPE = 'ticket.opened' \
        GROUP BY partition ORDER BY count(*) DESC LIMIT 1) \
      ORDER BY position LIMIT 1)";

#[tokio::test]
async fn an_event_that_cannot_be_read_stays_noted_through_a_repair_on_sqlite() {
    let damage = DAMAGES_ONE_OF_MANY.replace("$TYPE", "event_type");
    stays_noted(Backend::sqlite(), &damage).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stays_noted_through_a_repair_on_postgres() {
    let damage = DAMAGES_ONE_OF_MANY.replace("$TYPE", "type");
    stays_noted(Backend::postgres().await, &damage).await;
}

/// A message that was indexed and cannot be read any more: its ticket is found, without the part that says why.
async fn is_found_without_it(backend: Backend, damage: &str) {
    let site = &backend.site;
    let mut node = site.serve().await;
    let agent = node.client(&site.token("agent", "ann"));
    for number in 0..2 {
        let ticket = opens(&agent, &format!("Smoke {number}")).await;
        let _ = says(&agent, &ticket, "There was fire as well.").await;
    }
    let found = async |agent: &Client| {
        let answer = agent.get("/v1/search?q=fire").send().await.expect_status(200).json();
        answer["results"].as_array().unwrap().clone()
    };
    let indexed =
        eventually(TOLD_WITHIN, async || (found(&agent).await.len() == 2).then_some(())).await;
    assert!(indexed.is_some());
    let _ = node.stop().await;
    backend.change_log(damage).await;
    node.restart().await;
    let results = found(&node.client(&site.token("agent", "ann"))).await;
    let mut highlights: Vec<usize> =
        results.iter().map(|result| result["highlights"].as_array().unwrap().len()).collect();
    highlights.sort_unstable();
    assert_eq!(highlights, [0, 1]);
}

const DAMAGES_A_MESSAGE: &str = "UPDATE event SET $TYPE = 'no.type' WHERE event_id = \
     (SELECT event_id FROM event WHERE $TYPE = 'ticket.message_added' ORDER BY event_id LIMIT 1)";

#[tokio::test]
async fn a_message_that_cannot_be_read_hides_no_hit_on_sqlite() {
    let damage = DAMAGES_A_MESSAGE.replace("$TYPE", "event_type");
    is_found_without_it(Backend::sqlite(), &damage).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_hides_no_hit_on_postgres() {
    let damage = DAMAGES_A_MESSAGE.replace("$TYPE", "type");
    is_found_without_it(Backend::postgres().await, &damage).await;
}
