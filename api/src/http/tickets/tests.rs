//! Merged tickets as callers meet them: lists, marks, what a customer gets.

mod pages;
mod refused;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use docket_engine::command::{Caller, MergeMove, MergeWrite, Urgency};
use docket_engine::in_process_ephemeral::InProcessEphemeral;
use docket_schemas::{CommandId, MergeGoal, Role, Tenant, TicketId};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::app::App;
use crate::auth::{AUDIENCE, Claims, KeySet, KeySource, SigningKey, Verifier};
use crate::clock;
use crate::cores::{self, CoreTasks};
use crate::gate::Gate;
use crate::http::{caller_routes, router};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::operations::{Operations, Readiness};
use crate::testing::TempDir;
use crate::wire::{self, Installation, Opened};

const ISSUER: &str = "docket";
const MERGE: [MergeMove; 3] =
    [MergeMove::Begin(MergeGoal::Merge), MergeMove::Attach(Urgency::Wanted), MergeMove::End];
const UNMERGE: [MergeMove; 3] =
    [MergeMove::Begin(MergeGoal::Unmerge), MergeMove::Detach, MergeMove::End];

/// An installation on SQLite, and its door without a socket.
struct House {
    _folder: TempDir,
    _drain: watch::Sender<bool>,
    _kept: CoreTasks,
    started: Opened,
    key: SigningKey,
    router: Router,
}

impl House {
    async fn open() -> Self {
        let folder = TempDir::new();
        let installation = Installation {
            data: folder.path().join("data"),
            database_url: None,
            keys_url: None,
            master_key: None,
            index: None,
            region: "local".to_owned(),
            nats: None,
        };
        let started = wire::open(&installation, "tickets", Box::new(|_, _| {})).await.unwrap();
        let key = SigningKey::open_or_create(&folder.path().join("signing-key.pem")).unwrap();
        let keys = KeySet::parse(key.jwks().to_string().as_bytes()).unwrap();
        let gate = Gate::new(Verifier::new(KeySource::fixed(keys), ISSUER), None);
        let readiness = Readiness::new(Box::new(|| Box::pin(async { Ok(()) })));
        let operations = Arc::new(Operations { metrics: Metrics::default(), readiness });
        let (drain, draining) = watch::channel(false);
        let whispers = Arc::new(InProcessEphemeral::default());
        let live = Live::start(&started.desk, whispers, draining, Vec::new()).await.unwrap();
        let (cores, kept) =
            cores::start(&started, &installation, "tickets", &live.tail).await.unwrap();
        let app = App::new(started.desk.clone(), Arc::new(gate), live, cores);
        let router = router(caller_routes(), app, operations);
        Self { _folder: folder, _drain: drain, _kept: kept, started, key, router }
    }

    fn token(&self, role: Role, sub: &str) -> String {
        let exp = u64::try_from(clock::now().seconds()).unwrap() + 3_600;
        let (tenant, device) = (tenant(), "web");
        let claims = Claims { iss: ISSUER, aud: AUDIENCE, sub, exp, tenant: &tenant, role, device };
        self.key.sign(&claims).unwrap()
    }

    async fn call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", path)
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[track_caller]
    fn ok((status, body): (u16, Value)) -> Value {
        assert!((200..300).contains(&status), "{status} {body}");
        body
    }

    async fn get(&self, token: &str, path: &str) -> Value {
        Self::ok(self.call(token, "GET", path, None).await)
    }

    async fn open_ticket(&self, customer: &str) -> TicketId {
        let token = self.token(Role::Customer, customer);
        let body = json!({"subject": format!("of {customer}"), "body": "B"});
        let opened = Self::ok(self.call(&token, "POST", "/v1/tickets", Some(body)).await);
        opened["ticket"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Without a key: said as often as it is asked.
    async fn say(&self, token: &str, ticket: TicketId, body: &str) -> Value {
        self.write(token, ticket, &json!({"body": body})).await
    }

    async fn write(&self, token: &str, ticket: TicketId, message: &Value) -> Value {
        let path = format!("/v1/tickets/{ticket}/messages");
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(message.to_string()));
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 201);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    async fn does(&self, (source, into): (TicketId, TicketId), steps: &[MergeMove]) {
        let desk = &self.started.desk;
        let person = desk.ports().keyring.person(&tenant(), "ann").await.unwrap();
        let principal = docket_schemas::Principal::Person(person.id);
        let caller =
            Caller { tenant: tenant(), role: Role::Agent, principal, device: "web".into() };
        let saga_id = desk.ports().ids.time_ordered();
        for &step in steps {
            let write = MergeWrite {
                caller: caller.clone(),
                source,
                into,
                saga_id,
                command_id: CommandId::new(desk.ports().ids.time_ordered()),
                request_mac: None,
                precondition: None,
                correlation_id: None,
                occurred_at: clock::now(),
                step,
            };
            desk.join(Arc::new(write)).await.unwrap();
        }
    }

    /// A walk over all pages of a ticket's messages, from a cursor on.
    async fn walk(&self, token: &str, ticket: TicketId, size: usize, after: &str) -> Vec<Value> {
        let (mut after, mut messages) = (after.to_owned(), Vec::new());
        loop {
            let path = format!(
                "/v1/tickets/{ticket}/messages?page%5Bsize%5D={size}&page%5Bafter%5D={after}"
            );
            let page = self.get(token, &path).await;
            messages.extend(page["messages"].as_array().unwrap().iter().cloned());
            match page["meta"]["after_cursor"].as_str() {
                Some(cursor) => after = cursor.to_owned(),
                None => {
                    assert_eq!(page["meta"]["has_more"], false);
                    return messages;
                }
            }
        }
    }
}

fn tenant() -> Tenant {
    "default".parse().unwrap()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_target_lists_its_source_s_messages_page_by_page_and_the_source_lists_the_same() {
    let house = House::open().await;
    let agent = house.token(Role::Agent, "ann");
    let (target, source) = (house.open_ticket("mia").await, house.open_ticket("ben").await);
    for number in 0..4 {
        let ticket = [target, source][number % 2];
        house.say(&agent, ticket, &format!("{number}")).await;
    }
    let first = house.get(&agent, &format!("/v1/tickets/{target}/messages?page%5Bsize%5D=1")).await
        ["meta"]["after_cursor"]
        .clone();
    house.does((source, target), &MERGE).await;
    house.say(&agent, source, "4").await;
    let expected = ["B", "B", "0", "1", "2", "3", "4"];
    for size in [1, 2, 5, 100] {
        for ticket in [target, source] {
            let walked = house.walk(&agent, ticket, size, "").await;
            assert_eq!(bodies(&walked), expected, "{size}");
        }
    }
    let rest = house.walk(&agent, target, 2, first.as_str().unwrap()).await;
    assert_eq!(bodies(&rest), expected[1..], "a walk that began before the merge goes on");
    let walked = house.walk(&agent, target, 100, "").await;
    let origins: BTreeSet<_> =
        walked.iter().map(|message| message["ticket_id"].as_str().unwrap()).collect();
    assert_eq!(origins.len(), 2, "each says where it was written");
    let ticket = house.get(&agent, &format!("/v1/tickets/{target}")).await;
    assert_eq!(ticket["ticket"]["message_count"], 7);
    house.does((source, target), &UNMERGE).await;
    assert_eq!(bodies(&house.walk(&agent, source, 2, "").await), ["B", "1", "3"]);
    assert_eq!(bodies(&house.walk(&agent, target, 2, "").await), ["B", "0", "2", "4"]);
}

#[tokio::test]
async fn a_merge_is_marked_in_every_answer_until_it_is_over() {
    let house = House::open().await;
    let agent = house.token(Role::Agent, "ann");
    let (target, source) = (house.open_ticket("mia").await, house.open_ticket("ben").await);
    let get = async |ticket: TicketId| {
        house.get(&agent, &format!("/v1/tickets/{ticket}")).await["ticket"].clone()
    };
    assert_eq!(get(source).await["merge"], Value::Null);
    house.does((source, target), &MERGE[..2]).await;
    let (from, into) = (get(target).await, get(source).await);
    assert_eq!((&from["merge"]["state"], &from["status"]), (&json!("merging"), &json!("new")));
    assert_eq!((&into["merge"]["state"], &into["status"]), (&json!("merging"), &json!("closed")));
    assert_eq!(from["merge"]["from"], json!([source]));
    assert_eq!((&from["merge"]["into"], &into["merge"]["into"]), (&Value::Null, &json!(target)));
    assert_eq!(from["merge"]["saga_id"], into["merge"]["saga_id"]);
    let patch = json!({"status": "open"});
    let refused = house.call(&agent, "PATCH", &format!("/v1/tickets/{source}"), Some(patch)).await;
    assert_eq!((refused.0, &refused.1["code"]), (409, &json!("closed")));
}

#[tokio::test]
async fn customers_of_both_see_public_messages_of_both_and_nothing_else_of_the_other_s_ticket() {
    let house = House::open().await;
    let (agent, mia) = (house.token(Role::Agent, "ann"), house.token(Role::Customer, "mia"));
    let ben = house.token(Role::Customer, "ben");
    let (target, source) = (house.open_ticket("mia").await, house.open_ticket("ben").await);
    for ticket in [target, source] {
        let note = json!({"body": "a secret", "public": false});
        let path = format!("/v1/tickets/{ticket}/messages");
        House::ok(house.call(&agent, "POST", &path, Some(note)).await);
    }
    let tags = json!({"add_tags": ["secret"]});
    let path = format!("/v1/tickets/{source}");
    House::ok(house.call(&agent, "PATCH", &path, Some(tags)).await);
    house.does((source, target), &MERGE).await;
    let forwarded = house.say(&ben, source, "from ben").await;
    assert_eq!(forwarded["ticket"]["id"], json!(target));
    assert_eq!(forwarded["message"]["ticket_id"], json!(target));
    for (token, ticket) in [(&mia, target), (&ben, target), (&ben, source)] {
        assert_eq!(bodies(&house.walk(token, ticket, 2, "").await), ["B", "B", "from ben"]);
        for rest in ["", "/events"] {
            let answer = house.get(token, &format!("/v1/tickets/{ticket}{rest}")).await;
            assert!(!answer.to_string().contains("secret"), "{answer}");
            assert!(!answer.to_string().contains("followers"), "{answer}");
        }
    }
    let shown = house.get(&mia, &format!("/v1/tickets/{target}")).await;
    assert_eq!(shown["ticket"]["message_count"], 3);
    for rest in ["", "/messages", "/events"] {
        let hidden = house.call(&mia, "GET", &format!("/v1/tickets/{source}{rest}"), None).await;
        assert_eq!(hidden.0, 404, "the source is not hers");
    }
    let follower = format!("/v1/tickets/{target}/followers/ben");
    House::ok(house.call(&agent, "DELETE", &follower, None).await);
    assert_eq!(bodies(&house.walk(&ben, source, 2, "").await), ["B"], "his own, and no more");
    let answer = house.say(&ben, source, "again").await;
    assert_eq!(answer["ticket"]["id"], json!(source));
    assert_eq!(house.walk(&mia, target, 9, "").await.len(), 4);
}

#[tokio::test]
async fn a_message_to_a_merged_ticket_sent_again_gets_the_first_answer_byte_for_byte() {
    let house = House::open().await;
    let agent = house.token(Role::Agent, "ann");
    let (target, source) = (house.open_ticket("mia").await, house.open_ticket("ben").await);
    house.does((source, target), &MERGE).await;
    let path = format!("/v1/tickets/{source}/messages");
    let body = || Some(json!({"body": "once"}));
    let first = house.call(&agent, "POST", &path, body()).await;
    house.say(&agent, target, "later").await;
    house.does((source, target), &UNMERGE).await;
    assert_eq!(house.call(&agent, "POST", &path, body()).await, first);
    assert_eq!(first.0, 201);
    assert_eq!(bodies(&house.walk(&agent, target, 9, "").await), ["B", "once", "later"]);
}
