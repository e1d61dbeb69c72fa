//! Who is calling: tokens, the keys that sign them, and the extractor that asks for one.

mod bearer;
mod cache;
mod jwks;
mod key_source;
mod signing_key;
mod trust;
mod verifier;

use std::sync::Arc;

use docket_schemas::{Role, Tenant, Timestamp};

pub use bearer::bearer_text;
pub use jwks::{JwksError, KeySet};
pub use key_source::{KeySource, KeySourceError};
pub use signing_key::{Claims, SigningKey, SigningKeyError};
pub use trust::Trust;
pub use verifier::{TokenError, Verifier};

/// The audience of every token for Docket.
pub const AUDIENCE: &str = "docket";
/// The issuer where no flag says otherwise.
pub const ISSUER_DEFAULT: &str = "docket";
/// Longest subject of a token, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Longest device of a token, in bytes.
pub const DEVICE_BYTES_MAX: usize = 64;

/// What a verified token says. Cheap to clone.
///
/// As an extractor it answers 401 `unauthenticated` without a valid bearer token, and 429 `rate_limited`
/// when its subject has used up its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose data.
    pub tenant: Tenant,
    /// What the bearer may do.
    pub role: Role,
    /// Who the bearer is, by the id that the issuer uses.
    pub subject: Arc<str>,
    /// On which device; empty where the token names none.
    pub device: Arc<str>,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// The key that signed it: where that is withdrawn, the token ends before its time.
    pub key: Trust,
}
