//! Which tokens are accepted.

use serde_json::json;

use super::*;
use crate::auth::SigningKey;
use crate::clock::now;
use crate::testing::TempDir;

struct Fixture {
    key: SigningKey,
    pem: Vec<u8>,
    verifier: Verifier,
}

fn fixture() -> Fixture {
    let directory = TempDir::new();
    let path = directory.path().join("key.pem");
    let key = SigningKey::open_or_create(&path).unwrap();
    let keys = KeySet::parse(key.jwks().to_string().as_bytes()).unwrap();
    let verifier = Verifier::new(KeySource::fixed(keys), "docket");
    Fixture { key, pem: std::fs::read(&path).unwrap(), verifier }
}

fn good_claims() -> Value {
    json!({
        "iss": "docket", "aud": "docket", "sub": "ann", "tenant": "default", "role": "agent",
        "device": "web", "exp": now().seconds() + 60,
    })
}

impl Fixture {
    fn header(&self) -> jsonwebtoken::Header {
        let kid = self.key.jwks()["keys"][0]["kid"].as_str().unwrap().to_owned();
        jsonwebtoken::Header {
            kid: Some(kid),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA)
        }
    }

    fn sign(&self, header: &jsonwebtoken::Header, claims: &Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_ed_pem(&self.pem).unwrap();
        jsonwebtoken::encode(header, claims, &key).unwrap()
    }

    async fn verify(&self, claims: &Value) -> Result<Token, TokenError> {
        self.verifier.verify(&self.sign(&self.header(), claims), now()).await
    }
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let fixture = fixture();
    let token = fixture.verify(&good_claims()).await.unwrap();
    assert_eq!((&*token.subject, token.role, &*token.device), ("ann", Role::Agent, "web"));
    assert_eq!(token.tenant.as_str(), "default");
}

#[tokio::test]
async fn each_claim_is_required_and_checked() {
    let fixture = fixture();
    for (claim, value, refusal) in [
        ("iss", json!("other"), TokenError::Claim("iss")),
        ("iss", json!(["docket"]), TokenError::Claim("iss")),
        ("iss", Value::Null, TokenError::Claim("iss")),
        ("aud", json!("other"), TokenError::Claim("aud")),
        ("aud", Value::Null, TokenError::Claim("aud")),
        ("sub", json!(""), TokenError::Claim("sub")),
        ("sub", json!("x".repeat(256)), TokenError::Claim("sub")),
        ("sub", json!("a\0b"), TokenError::Claim("sub")),
        ("sub", json!(7), TokenError::Claim("sub")),
        ("tenant", Value::Null, TokenError::Claim("tenant")),
        ("tenant", json!("Upper"), TokenError::Claim("tenant")),
        ("role", json!("root"), TokenError::Claim("role")),
        ("role", Value::Null, TokenError::Claim("role")),
        ("device", json!("x".repeat(65)), TokenError::Claim("device")),
        ("exp", Value::Null, TokenError::Claim("exp")),
        ("exp", json!("soon"), TokenError::Claim("exp")),
        ("exp", json!(now().seconds()), TokenError::Expired),
        ("nbf", json!(now().seconds() + 60), TokenError::NotYet),
    ] {
        let mut claims = good_claims();
        claims[claim] = value.clone();
        assert_eq!(fixture.verify(&claims).await, Err(refusal), "{claim}: {value}");
    }
}

#[tokio::test]
async fn device_and_nbf_may_be_left_out_and_a_list_of_audiences_is_fine() {
    let fixture = fixture();
    let mut claims = good_claims();
    claims["aud"] = json!(["other", "docket"]);
    claims.as_object_mut().unwrap().remove("device");
    assert_eq!(&*fixture.verify(&claims).await.unwrap().device, "");
}

#[tokio::test]
async fn the_algorithm_is_the_keys_and_the_key_is_a_known_one() {
    let fixture = fixture();
    let claims = good_claims();
    let unnamed = jsonwebtoken::Header { kid: None, ..fixture.header() };
    let unknown = jsonwebtoken::Header { kid: Some("other".into()), ..fixture.header() };
    let critical = jsonwebtoken::Header { crit: Some(vec!["exp".into()]), ..fixture.header() };
    for (header, refusal) in [
        (unnamed, TokenError::UnknownKey),
        (unknown, TokenError::UnknownKey),
        (critical, TokenError::Malformed),
    ] {
        let text = fixture.sign(&header, &claims);
        assert_eq!(fixture.verifier.verify(&text, now()).await, Err(refusal));
    }
    let symmetric =
        jsonwebtoken::Header { alg: jsonwebtoken::Algorithm::HS256, ..fixture.header() };
    let secret = jsonwebtoken::EncodingKey::from_secret(b"docket");
    let text = jsonwebtoken::encode(&symmetric, &claims, &secret).unwrap();
    assert_eq!(fixture.verifier.verify(&text, now()).await, Err(TokenError::Algorithm));
}

#[tokio::test]
async fn a_changed_token_does_not_verify() {
    let fixture = fixture();
    let good = fixture.sign(&fixture.header(), &good_claims());
    let other = fixture.sign(&fixture.header(), &json!({"sub": "root"}));
    let parts: Vec<_> = good.split('.').collect();
    let mixed = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    assert_eq!(fixture.verifier.verify(&mixed, now()).await, Err(TokenError::Signature));
    for wrong in ["", "a", "a.b", "a.b.c", "....", &"x".repeat(10_000), "é.é.é"] {
        assert_eq!(
            fixture.verifier.verify(wrong, now()).await,
            Err(TokenError::Malformed),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_verified_token_is_remembered_until_it_expires() {
    let fixture = fixture();
    let text = fixture.sign(&fixture.header(), &good_claims());
    assert_eq!(fixture.verifier.remembered(&text, now()), None);
    let token = fixture.verifier.verify(&text, now()).await.unwrap();
    assert_eq!(fixture.verifier.remembered(&text, now()), Some(token.clone()));
    assert_eq!(fixture.verifier.remembered(&text, token.expires_at), None);
    assert_eq!(fixture.verifier.verify(&text, token.expires_at).await, Err(TokenError::Expired));
}
