//! Hostile tokens: whatever is not exactly a token of this installation is 401; tenants never meet.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::fs;

use docket_tests::{Answer, Client, Node, Site, Token, on_both_backends};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header, encode};
use serde_json::{Value, json};

/// In seconds since the Unix epoch: the year 2100.
const FAR: u64 = 4_102_444_800;

/// Signs with the key of one installation whatever it is given.
struct Forge {
    key: EncodingKey,
    kid: String,
}

impl Forge {
    fn of(site: &Site) -> Self {
        let kid = decode_header(site.token("admin", "root")).unwrap().kid.unwrap();
        let pem = fs::read(site.data().join("signing-key.pem")).unwrap();
        Self { key: EncodingKey::from_ed_pem(&pem).unwrap(), kid }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &self.key).unwrap()
    }
}

fn claims() -> Value {
    json!({"iss": "docket", "aud": "docket", "sub": "root", "exp": FAR, "tenant": "default", "role": "admin"})
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => _ = claims.as_object_mut().unwrap().remove(claim),
        value => claims[claim] = value,
    }
    claims
}

#[track_caller]
fn check_refused(answer: Answer) {
    let answer = answer.expect_problem(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

async fn feed(node: &Node, token: &str) -> Answer {
    node.client(token).get("/v1/events").send().await
}

#[tokio::test]
async fn every_claim_has_to_be_there_and_right() {
    on_both_backends(async |site, node| {
        let forge = Forge::of(site);
        let _ = feed(node, &forge.sign(&claims())).await.expect_status(200);
        let wrong = [
            ("iss", vec![json!("somebody"), json!(["docket"]), Value::Null]),
            ("aud", vec![json!("other"), json!(7), Value::Null]),
            ("sub", vec![json!(""), json!(7), json!("x".repeat(256)), json!("a\0b"), Value::Null]),
            ("exp", vec![json!(1_000_000_000), json!("tomorrow"), json!(-1), Value::Null]),
            ("nbf", vec![json!(FAR - 1), json!("now")]),
            (
                "tenant",
                vec![
                    json!("Default"),
                    json!("a/b"),
                    json!(""),
                    json!("x".repeat(64)),
                    json!(["default"]),
                    Value::Null,
                ],
            ),
            ("role", vec![json!("root"), json!("Admin"), json!(["admin"]), json!(""), Value::Null]),
            ("device", vec![json!(7), json!("x".repeat(10_000))]),
        ];
        for (claim, values) in wrong {
            for value in values {
                check_refused(feed(node, &forge.sign(&with(claim, value))).await);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_has_to_be_signed_by_this_installations_key_with_its_algorithm() {
    on_both_backends(async |site, node| {
        let forge = Forge::of(site);
        let token = forge.sign(&claims());
        let (head, rest) = token.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();

        let stranger = Site::embedded();
        let _ = stranger.token("admin", "root");
        let mut other = Forge::of(&stranger);
        check_refused(feed(node, &other.sign(&claims())).await);
        other.kid.clone_from(&forge.kid);
        check_refused(feed(node, &other.sign(&claims())).await);

        let public = fs::read(site.data().join("signing-key.pem")).unwrap();
        for secret in [public.as_slice(), b"", b"secret"] {
            let header = Header { kid: Some(forge.kid.clone()), ..Header::new(Algorithm::HS256) };
            let forged = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
            check_refused(feed(node, &forged).await);
        }
        // `{"alg":"none"}`, with and without the name of the key's form.
        for none in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"] {
            check_refused(feed(node, &format!("{none}.{payload}.")).await);
            check_refused(feed(node, &format!("{none}.{payload}.{signature}")).await);
        }
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let bent = format!("{head}.{payload}.{flipped}{}", &signature[1..]);
        for broken in [
            format!("{head}.{payload}."),
            format!("{head}.{payload}"),
            bent,
            format!("{token}."),
            format!("{token}x"),
            String::new(),
            "x".into(),
            "a.b.c".into(),
            "😀".into(),
            format!("{head}.e30.{signature}"),
            "x".repeat(20_000),
        ] {
            check_refused(feed(node, &broken).await);
        }
        let no_kid = encode(&Header::new(Algorithm::EdDSA), &claims(), &forge.key).unwrap();
        check_refused(feed(node, &no_kid).await);
    })
    .await;
}

#[tokio::test]
async fn the_header_authorization_is_one_bearer_token() {
    on_both_backends(async |site, node| {
        let token = site.token("admin", "root");
        let ask = async |values: &[&str]| {
            let mut request = node.anonymous().get("/v1/events");
            for value in values {
                request = request.header("Authorization", value);
            }
            request.send().await
        };
        let bearer = format!("Bearer {token}");
        for fine in [bearer.clone(), format!("bearer {token}"), format!("BEARER  {token}")] {
            let _ = ask(&[&fine]).await.expect_status(200);
        }
        let wrong: [&[&str]; 9] = [
            &[],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &[&token],
            &[&format!("Basic {token}")],
            &[&format!("Bearer{token}")],
            &[&format!("Bearer {token}, Bearer {token}")],
            &[&bearer, &bearer],
        ];
        for values in wrong {
            check_refused(ask(values).await);
        }
        let query = node.anonymous().get(&format!("/v1/events?access_token={token}")).send().await;
        check_refused(query);
        for open in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"] {
            let _ = node.client("nonsense").get(open).send().await.expect_status(200);
        }
        // Who may not enter learns nothing: not whether a path takes a method, nor what is wrong with a body.
        let broken = node.anonymous().post("/v1/tickets").bytes("{").send().await;
        check_refused(broken);
        check_refused(node.anonymous().get("/v1/tickets/nothing").send().await);
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_is_refused_even_when_it_was_remembered() {
    on_both_backends(async |site, node| {
        let brief = |ttl| {
            let (role, subject) = ("admin", "root");
            site.sign(&Token { role, subject, tenant: None, device: None, ttl: Some(ttl) })
        };
        // A busy machine may need longer than a token lives to show it for the first time.
        let mut client = node.client(&brief("3s"));
        if client.get("/v1/events").send().await.status != 200 {
            client = node.client(&brief("15s"));
            let _ = client.get("/v1/events").send().await.expect_status(200);
        }
        let over = docket_tests::eventually(std::time::Duration::from_secs(40), async || {
            let answer = client.get("/v1/events").send().await;
            (answer.status != 200).then_some(answer)
        });
        check_refused(over.await.expect("an end of the token"));
    })
    .await;
}

async fn open(client: &Client) -> Value {
    let body =
        json!({"subject": "S", "body": "B", "requester": {"id": "cus_1"}, "external_id": "E-1"});
    let request = client.post("/v1/tickets").header("Idempotency-Key", "same").json(&body);
    request.send().await.expect_status(201).json()["ticket"].clone()
}

#[tokio::test]
async fn two_tenants_never_see_each_other() {
    on_both_backends(async |site, node| {
        let of = |tenant| {
            let tenant = Some(tenant);
            node.client(&site.sign(&Token {
                role: "admin",
                subject: "root",
                tenant,
                device: None,
                ttl: None,
            }))
        };
        let (red, blue) = (of("red"), of("blue"));
        let (reds, blues) = (open(&red).await, open(&blue).await);
        assert_ne!(reds["id"], blues["id"]);
        for (client, own, other) in [(&red, &reds, &blues), (&blue, &blues, &reds)] {
            let found =
                client.get("/v1/tickets?external_id=E-1").send().await.expect_status(200).json();
            assert_eq!(found["tickets"], json!([own]));
            let feed = client.get("/v1/events").send().await.expect_status(200).json();
            let events = feed["events"].as_array().unwrap();
            assert!(events.iter().all(|event| event["tenant"] != other["tenant"]));
            assert_eq!(
                events.iter().map(|event| &event["stream"]["id"]).collect::<Vec<_>>(),
                [&own["id"]]
            );
            let foreign = format!("/v1/tickets/{}", other["id"].as_str().unwrap());
            let _ = client.get(&foreign).send().await.expect_problem(404, "not_found");
            let claim = client.post(&format!("{foreign}/claim")).send().await;
            let _ = claim.expect_problem(404, "not_found");
            let observed = json!({"priority": "low", "observed": other["version"]});
            let path = format!("/v1/tickets/{}", own["id"].as_str().unwrap());
            let _ = client
                .patch(&path)
                .json(&observed)
                .send()
                .await
                .expect_problem(409, "version_unknown");
        }
    })
    .await;
}
