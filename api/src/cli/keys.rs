//! The flags that say who signs tokens.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use docket_schemas::{Role, Tenant};

use crate::auth::{AUDIENCE, Claims, ISSUER_DEFAULT, SigningKey, SigningKeyError};
use crate::clock;

/// The signing key's file in the data directory.
const SIGNING_KEY_FILE: &str = "signing-key.pem";

/// Where the installation keeps its own key, and whom it trusts.
#[derive(Debug, Clone, Args)]
pub(super) struct KeyArgs {
    /// Directory that holds all data; `serve`, `import` and `token` make it where there is none
    #[arg(long, env = "DOCKET_DATA", value_name = "DIR", default_value = "./docket-data")]
    pub(super) data: PathBuf,
    /// Ed25519 key that signs tokens (PKCS#8 PEM), made where there is none [default: in the data directory]
    #[arg(long, env = "DOCKET_SIGNING_KEY", value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// The `iss` of every token
    #[arg(long, env = "DOCKET_ISSUER", value_name = "NAME", default_value = ISSUER_DEFAULT, value_parser = NonEmptyStringValueParser::new())]
    pub(super) issuer: String,
}

impl KeyArgs {
    /// The installation's own key.
    pub(super) fn signing_key(&self) -> Result<SigningKey, SigningKeyError> {
        let in_data = || self.data.join(SIGNING_KEY_FILE);
        let path = self.signing_key.as_deref().map_or_else(in_data, Path::to_owned);
        SigningKey::open_or_create(&path)
    }

    /// A token for a day, signed with the installation's own key.
    pub(super) fn demo_token(
        &self,
        role: Role,
        subject: &str,
        tenant: &Tenant,
    ) -> Result<String, SigningKeyError> {
        let now = u64::try_from(clock::now().seconds()).unwrap_or_default();
        let (iss, exp) = (self.issuer.as_str(), now + DEMO_TOKEN_SECONDS);
        let claims = Claims { iss, aud: AUDIENCE, sub: subject, exp, tenant, role, device: "demo" };
        self.signing_key()?.sign(&claims)
    }
}

/// How long the tokens of the demo are valid.
const DEMO_TOKEN_SECONDS: u64 = 24 * 3_600;
