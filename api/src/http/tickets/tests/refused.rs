//! Refused requests: what they are told, and that they leave nothing behind.

use axum::body::Body;
use axum::http::Request;
use docket_schemas::Role;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{House, tenant};

/// Sixteen bytes that no change of any ticket begins with, as `If-Match` names them.
const NEVER_ISSUED: &str = "\"AAAAAAAAAAAAAAAAAAAAAA\"";

/// A caller who writes their own headers.
struct Caller<'a> {
    house: &'a House,
    token: String,
}

impl Caller<'_> {
    async fn ask(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.house.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }
}

fn agent(house: &House) -> Caller<'_> {
    Caller { house, token: house.token(Role::Agent, "ann") }
}

#[track_caller]
fn check(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{}", answer.1);
}

#[track_caller]
fn check_field(answer: &(u16, Value), field: &str, message: &str) {
    check(answer, 422, "invalid");
    let error = &answer.1["errors"][0];
    assert_eq!(error["field"], field, "{error}");
    assert!(error["message"].as_str().unwrap().contains(message), "{error}");
}

#[tokio::test]
async fn a_write_that_its_path_says_takes_no_body_and_reads_one_that_is_sent() {
    let house = House::open().await;
    let (agent, ticket) = (agent(&house), house.open_ticket("mia").await);
    let follower = format!("/v1/tickets/{ticket}/followers/ben");
    let claim = format!("/v1/tickets/{ticket}/claim");
    for write in [("PUT", follower.as_str()), ("DELETE", &follower), ("DELETE", &claim)] {
        check(&agent.ask(write, &[], "{").await, 400, "malformed_json");
        check_field(&agent.ask(write, &[], r#"{"a":1}"#).await, "a", "not a known field");
        check(&agent.ask(write, &[], "[]").await, 422, "invalid");
    }
    assert_eq!(agent.ask(("POST", &claim), &[], "").await.0, 200);
    for write in [("PUT", follower.as_str()), ("DELETE", &follower), ("DELETE", &claim)] {
        let key = format!("{} {}", write.0, write.1);
        let key = [("idempotency-key", key.as_str())];
        let first = agent.ask(write, &key, "").await;
        assert_eq!(first.0, 200, "{}", first.1);
        assert_eq!(agent.ask(write, &key, "{}").await, first, "the same request");
    }
}

#[tokio::test]
async fn a_refused_request_makes_no_person() {
    let house = House::open().await;
    let (agent, ticket) = (agent(&house), house.open_ticket("mia").await);
    let place = format!("/v1/tickets/{ticket}");
    let (follower, claim) = (format!("{place}/followers/zoe"), format!("{place}/claim"));
    let (follow, unfollow) = (("PUT", follower.as_str()), ("DELETE", follower.as_str()));
    let stale = [("if-match", NEVER_ISSUED)];
    check(&agent.ask(follow, &[("idempotency-key", "")], "").await, 422, "invalid");
    check(&agent.ask(follow, &[], r#"{"a":1}"#).await, 422, "invalid");
    let refused = agent.ask(follow, &stale, "").await;
    check(&refused, 412, "precondition_failed");
    let version = refused.1["current"]["version"].as_str().unwrap();
    check(&agent.ask(unfollow, &[], "").await, 404, "not_found");
    let zoe = r#"{"assignee_id":"zoe"}"#;
    check(&agent.ask(("POST", &claim), &stale, zoe).await, 412, "precondition_failed");
    check(&agent.ask(("PATCH", &place), &stale, zoe).await, 412, "precondition_failed");
    let observed = r#"{"assignee_id":"zoe","observed":"!!"}"#;
    check(&agent.ask(("PATCH", &place), &[], observed).await, 400, "version_malformed");
    for over in [r#""tickets":[]"#, r#""tickets":["x"]"#, r#""filter":"tag=nowhere""#] {
        let body = format!(r#"{{"kind":"bulk-update",{over},"set":{zoe}}}"#);
        check(&agent.ask(("POST", "/v1/jobs"), &[], &body).await, 422, "invalid");
    }
    let keyring = &house.started.desk.ports().keyring;
    assert!(keyring.known_person(&tenant(), "zoe").await.unwrap().is_none());

    let current = format!("\"{version}\"");
    let headers = [("if-match", current.as_str()), ("idempotency-key", "once")];
    let first = agent.ask(follow, &headers, "").await;
    assert_eq!(first.0, 200, "{}", first.1);
    assert!(keyring.known_person(&tenant(), "zoe").await.unwrap().is_some());
    assert_eq!(agent.ask(follow, &headers, "").await, first, "the version is current no more");
}

#[tokio::test]
async fn a_version_is_refused_where_there_is_none_yet_and_compared_where_there_is() {
    let house = House::open().await;
    let (agent, ticket) = (agent(&house), house.open_ticket("mia").await);
    let opening = r#"{"subject":"S","body":"B","requester":{"id":"mia"}}"#;
    let job =
        format!(r#"{{"kind":"bulk-update","tickets":["{ticket}"],"set":{{"priority":"low"}}}}"#);
    for version in ["*", NEVER_ISSUED, "!!"] {
        for (path, body) in [("/v1/tickets", opening), ("/v1/jobs", &job)] {
            let answer = agent.ask(("POST", path), &[("if-match", version)], body).await;
            check_field(&answer, "If-Match", "no version yet");
        }
    }
    let patch = ("PATCH", &*format!("/v1/tickets/{ticket}"));
    for version in ["\"!!\"", NEVER_ISSUED, "W/\"x\""] {
        let answer = agent.ask(patch, &[("if-match", version)], r#"{"priority":"high"}"#).await;
        check(&answer, 412, "precondition_failed");
    }
}

#[tokio::test]
async fn a_value_that_is_not_known_is_refused_with_those_that_are() {
    let house = House::open().await;
    let (agent, ticket) = (agent(&house), house.open_ticket("mia").await);
    for (field, all) in [
        ("status", "is not one of new, open, pending, snoozed, hold, solved, closed"),
        ("priority", "is not one of low, normal, high, urgent"),
        ("type", "is not one of question, incident, problem, task"),
    ] {
        for door in ["/v1/tickets", "/v1/tickets/count"] {
            let answer = agent.ask(("GET", &format!("{door}?{field}=bogus")), &[], "").await;
            check_field(&answer, field, all);
        }
    }
    let job = r#"{"kind":"bulk-update","filter":"priority=no","set":{"status":"open"}}"#;
    let answer = agent.ask(("POST", "/v1/jobs"), &[], job).await;
    check_field(&answer, "filter.priority", "is not one of low,");
    let patch = ("PATCH", &*format!("/v1/tickets/{ticket}"));
    for (body, field, message) in [
        (r#"{"status":"no"}"#, "status", "is not one of open, pending, hold, solved, closed"),
        (r#"{"status":7}"#, "status", "is a number"),
        (r#"{"status":null}"#, "status", "cannot be cleared"),
        (r#"{"status":"snoozed"}"#, "status", "of chats only"),
        (r#"{"custom_fields":{"a":{"b":1}}}"#, "custom_fields.a", "neither a string nor a number"),
    ] {
        check_field(&agent.ask(patch, &[], body).await, field, message);
    }
}

#[tokio::test]
async fn a_socket_takes_no_query_and_least_of_all_a_token() {
    let house = House::open().await;
    let stranger = Caller { house: &house, token: String::new() };
    for (caller, query) in
        [(agent(&house), "x=1"), (agent(&house), "token=zzz"), (stranger, "token=zzz")]
    {
        let answer = caller.ask(("GET", &format!("/v1/live?{query}")), &[], "").await;
        check_field(&answer, query.split_once('=').unwrap().0, "not a known parameter");
        assert!(answer.1["detail"].as_str().unwrap().contains("first frame"));
        assert!(!answer.1.to_string().contains("zzz"), "{}", answer.1);
    }
}

#[tokio::test]
async fn a_cursor_of_results_has_one_spelling() {
    let house = House::open().await;
    let (agent, ticket) = (agent(&house), house.open_ticket("mia").await);
    let job =
        format!(r#"{{"kind":"bulk-update","tickets":["{ticket}"],"set":{{"priority":"low"}}}}"#);
    let begun = agent.ask(("POST", "/v1/jobs"), &[], &job).await;
    assert_eq!(begun.0, 202, "{}", begun.1);
    let results = format!("/v1/jobs/{}/results", begun.1["job"]["id"].as_str().unwrap());
    let page = async |after: &str| {
        agent.ask(("GET", &format!("{results}?page%5Bafter%5D={after}")), &[], "").await
    };
    for after in ["", "0", "1"] {
        assert_eq!(page(after).await.0, 200, "{after}");
    }
    for wrong in ["%2B1", "-0", "01", "2", "x", "99999999999999999999"] {
        check(&page(wrong).await, 400, "cursor_malformed");
    }
}

#[tokio::test]
async fn the_first_version_of_a_projection_stands_since_no_known_time() {
    let house = House::open().await;
    let admin = house.token(Role::Admin, "root");
    let projections = house.get(&admin, "/v1/projections").await;
    let first = &projections["projections"][0]["versions"][0];
    assert_eq!((&first["version"], &first["since"]), (&json!(1), &Value::Null), "{first}");
}
