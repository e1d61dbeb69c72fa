//! A set of public keys, each pinned to one algorithm and found by its `kid`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::Trust;

/// Most keys of a set; identity providers publish two or three.
const KEYS_MAX: usize = 64;
/// Shortest RSA modulus, in bytes (2,048 bits, RFC 7518).
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// Why a document is no key set.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It is not of the form of RFC 7517.
    #[error("not a JSON Web Key Set")]
    Format(#[source] serde_json::Error),
    /// None of its keys can verify a token.
    #[error("no key with a `kid` and one of EdDSA (Ed25519), ES256, RS256")]
    NoUsableKey,
    /// It has more keys than are looked at.
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
}

/// A public key and the one algorithm that it verifies.
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    pub(super) trust: Trust,
    /// As it was published, to be told from another of its name.
    published: AlgorithmParameters,
}

/// The keys that may sign tokens, by `kid`.
pub struct KeySet(HashMap<String, PublicKey>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a key set (RFC 7517), leaving out keys that no token for Docket may be signed with.
    ///
    /// # Errors
    /// When the document is no key set, or none of its keys is left.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let Document { keys } = serde_json::from_slice(document).map_err(JwksError::Format)?;
        if keys.len() > KEYS_MAX {
            return Err(JwksError::TooMany);
        }
        let usable: HashMap<_, _> = keys.into_iter().filter_map(usable).collect();
        if usable.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(Self(usable)) }
    }

    /// Takes the place of an older set, whose keys are withdrawn where they are not in this one.
    #[must_use]
    pub(super) fn in_place_of(mut self, older: &Self) -> Self {
        for (kid, old) in &older.0 {
            match self.0.get_mut(kid).filter(|key| key.published == old.published) {
                Some(key) => key.trust = old.trust.clone(),
                None => old.trust.withdraw(),
            }
        }
        self
    }

    pub(super) fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    /// The names of the keys, sorted.
    #[must_use]
    pub fn kids(&self) -> Vec<&str> {
        let mut kids: Vec<_> = self.0.keys().map(String::as_str).collect();
        kids.sort_unstable();
        kids
    }
}

fn usable(value: serde_json::Value) -> Option<(String, PublicKey)> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let algorithm = algorithm(&jwk.algorithm)?;
    let named = match jwk.common.key_algorithm {
        None => None,
        Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
        Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
        Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
        Some(_) => return None,
    };
    if named.is_some_and(|named| named != algorithm) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let (trust, published) = (Trust::default(), jwk.algorithm);
    Some((jwk.common.key_id?, PublicKey { algorithm, key, trust, published }))
}

/// The one algorithm that the key's own form allows.
fn algorithm(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    match parameters {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some(Algorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::RSA(key) => {
            let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
            (modulus.len() >= RSA_MODULUS_BYTES_MIN).then_some(Algorithm::RS256)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[track_caller]
    fn check(key: serde_json::Value, kids: &[&str]) {
        let good = json!({"kty": "OKP", "crv": "Ed25519", "kid": "good", "x": X});
        let document = json!({"keys": [good, key]}).to_string();
        assert_eq!(KeySet::parse(document.as_bytes()).unwrap().kids(), kids);
    }

    #[test]
    fn two_keys_may_overlap() {
        check(json!({"kty": "OKP", "crv": "Ed25519", "kid": "next", "x": X}), &["good", "next"]);
    }

    #[test]
    fn keys_of_other_uses_forms_and_algorithms_are_left_out() {
        let base = json!({"kty": "OKP", "crv": "Ed25519", "kid": "other", "x": X});
        for (member, value) in [
            ("use", json!("enc")),
            ("alg", json!("RS256")),
            ("alg", json!("HS256")),
            ("crv", json!("P-256")),
            ("kid", json!(null)),
            ("x", json!(7)),
        ] {
            let mut key = base.clone();
            key[member] = value;
            check(key, &["good"]);
        }
        check(json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}), &["good"]);
        check(json!({"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"}), &["good"]);
        check(json!("not a key"), &["good"]);
    }

    #[test]
    fn a_key_that_is_left_out_or_another_of_its_name_is_withdrawn() {
        let set = |keys: &[(&str, &str)]| {
            let key = |(kid, x): &(&str, &str)| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x});
            let keys: Vec<_> = keys.iter().map(key).collect();
            KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
        };
        let other = format!("A{}", &X[1..]);
        let first = set(&[("stays", X), ("goes", X), ("changes", X)]);
        let trust = ["stays", "goes", "changes"].map(|kid| first.get(kid).unwrap().trust.clone());
        let next = set(&[("stays", X), ("changes", &other), ("comes", X)]).in_place_of(&first);
        assert_eq!(trust.each_ref().map(Trust::is_withdrawn), [false, true, true]);
        assert!(next.get("stays").unwrap().trust == trust[0]);
        let now =
            ["stays", "changes", "comes"].map(|kid| next.get(kid).unwrap().trust.is_withdrawn());
        assert_eq!(now, [false; 3]);
    }

    #[test]
    fn a_set_without_a_usable_key_is_refused() {
        assert!(matches!(KeySet::parse(b"{\"keys\":[]}"), Err(JwksError::NoUsableKey)));
        assert!(matches!(KeySet::parse(b"[]"), Err(JwksError::Format(_))));
    }
}
