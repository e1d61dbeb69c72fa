//! Verifies tokens: signature, issuer, audience, times and claims.

use std::sync::Arc;

use docket_schemas::{Role, Tenant, Timestamp};
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde_json::Value;

use super::cache::{Cache, Digest};
use super::jwks::PublicKey;
use super::{AUDIENCE, DEVICE_BYTES_MAX, KeySet, KeySource, SUBJECT_BYTES_MAX, Token, Trust};

/// How far an issuer's clock may be ahead, in seconds: `nbf` is compared with this much of tolerance, `exp` with none.
const NOT_BEFORE_LEEWAY_SECONDS: u64 = 5;
/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Why a token is not accepted. The text is for the caller and repeats nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not of the form of a signed JWT.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// An algorithm other than the key's.
    #[error("the token's `alg` is not the one of its key")]
    Algorithm,
    /// No `kid`, or one that is not in the key set.
    #[error("the token's `kid` names no known key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature does not fit its content")]
    Signature,
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// Not yet valid.
    #[error("the token is not valid yet (`nbf`)")]
    NotYet,
    /// A claim is missing, of the wrong form or of another value than required.
    #[error("the token's claim `{0}` is missing or not as required")]
    Claim(&'static str),
}

/// Verifies tokens against keys that may rotate, remembering what it has verified.
pub struct Verifier {
    source: KeySource,
    issuer: String,
    cache: Cache,
}

/// Claims of whatever form, so that each can be named when it is wrong; null where there is none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawClaims {
    sub: Value,
    exp: Value,
    tenant: Value,
    role: Value,
    device: Value,
    iss: Value,
}

impl Verifier {
    /// A verifier that accepts tokens of `issuer`, signed by one of the source's keys.
    #[must_use]
    pub fn new(source: KeySource, issuer: impl Into<String>) -> Self {
        Self { source, issuer: issuer.into(), cache: Cache::default() }
    }

    /// The verified token when it is remembered; costs a SHA-256 of its text and one look-up.
    #[must_use]
    pub fn remembered(&self, text: &str, now: Timestamp) -> Option<Token> {
        self.cache.get(&Cache::digest(text), now)
    }

    /// Verifies a token, or remembers that it was.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub async fn verify(&self, text: &str, now: Timestamp) -> Result<Token, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let digest = Cache::digest(text);
        if let Some(token) = self.cache.get(&digest, now) {
            return Ok(token);
        }
        match self.verify_now(text, &self.source.keys(), digest, now) {
            Err(TokenError::UnknownKey) => {
                let keys = self.source.refresh().await;
                self.verify_now(text, &keys, digest, now)
            }
            verified => verified,
        }
    }

    /// Follows the key source for as long as the server runs; withdrawn keys end their tokens with the next look.
    pub async fn follow_keys(&self) {
        self.source.follow().await;
    }

    fn verify_now(
        &self,
        text: &str,
        keys: &KeySet,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Token, TokenError> {
        let header = jsonwebtoken::decode_header(text).map_err(|_| TokenError::Malformed)?;
        // RFC 7515, 4.1.11: an extension that is not understood makes the token invalid; none is.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let key = keys.get(&kid).ok_or(TokenError::UnknownKey)?;
        if header.alg != key.algorithm {
            return Err(TokenError::Algorithm);
        }
        let token = self.claims(text, key)?;
        if token.expires_at <= now {
            return Err(TokenError::Expired);
        }
        self.cache.put(digest, token.clone(), now);
        Ok(token)
    }

    fn claims(&self, text: &str, key: &PublicKey) -> Result<Token, TokenError> {
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = NOT_BEFORE_LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let decoded = jsonwebtoken::decode::<RawClaims>(text, &key.key, &validation);
        let raw = decoded.map_err(|error| refused(error.kind()))?.claims;
        raw.parse(key.trust.clone())
    }
}

impl RawClaims {
    fn parse(self, key: Trust) -> Result<Token, TokenError> {
        let seconds = self.exp.as_f64().ok_or(TokenError::Claim("exp"))?;
        let subject = text(&self.sub, "sub")?;
        if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) || subject.contains('\0') {
            return Err(TokenError::Claim("sub"));
        }
        // jsonwebtoken also takes a list of issuers; a token has one.
        text(&self.iss, "iss")?;
        let device = if self.device.is_null() { "" } else { text(&self.device, "device")? };
        if device.len() > DEVICE_BYTES_MAX || device.contains('\0') {
            return Err(TokenError::Claim("device"));
        }
        let tenant: Result<Tenant, _> = text(&self.tenant, "tenant")?.parse();
        let role: Result<Role, _> = text(&self.role, "role")?.parse();
        Ok(Token {
            tenant: tenant.map_err(|_| TokenError::Claim("tenant"))?,
            role: role.map_err(|_| TokenError::Claim("role"))?,
            subject: Arc::from(subject),
            device: Arc::from(device),
            expires_at: Timestamp::from_micros((seconds * 1e6) as i64),
            key,
        })
    }
}

fn text<'a>(claim: &'a Value, name: &'static str) -> Result<&'a str, TokenError> {
    claim.as_str().ok_or(TokenError::Claim(name))
}

fn refused(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYet,
        ErrorKind::InvalidIssuer => TokenError::Claim("iss"),
        ErrorKind::InvalidAudience => TokenError::Claim("aud"),
        ErrorKind::InvalidSubject => TokenError::Claim("sub"),
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            let known = ["exp", "iss", "aud", "sub", "nbf"];
            known
                .into_iter()
                .find(|known| known == name)
                .map_or(TokenError::Malformed, TokenError::Claim)
        }
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;
