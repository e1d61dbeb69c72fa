//! `docket token`: prints a token signed with the installation's own key.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use docket_schemas::{Role, Tenant};

use super::Failure;
use super::keys::KeyArgs;
use super::output::print_line;
use super::ttl::parse_ttl;
use crate::auth::{AUDIENCE, Claims, DEVICE_BYTES_MAX, SUBJECT_BYTES_MAX};
use crate::clock;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// What the bearer may do
    #[arg(long, env = "DOCKET_ROLE", value_parser = role_parser())]
    role: Role,
    /// Who the bearer is, such as `ann` or an e-mail address
    #[arg(long, env = "DOCKET_SUBJECT", value_name = "ID", value_parser = parse_subject)]
    subject: String,
    /// Whose data the token opens
    #[arg(long, env = "DOCKET_TENANT", default_value = "default")]
    tenant: Tenant,
    /// The bearer's device
    #[arg(long, env = "DOCKET_DEVICE", default_value = "cli", value_parser = parse_device)]
    device: String,
    /// How long the token is valid: 90s, 15m, 24h, 7d
    #[arg(long, env = "DOCKET_TTL", default_value = "24h", value_parser = parse_ttl)]
    ttl: Duration,
    #[command(flatten)]
    keys: KeyArgs,
}

pub(super) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let now = u64::try_from(clock::now().seconds()).unwrap_or_default();
    let claims = Claims {
        iss: &args.keys.issuer,
        aud: AUDIENCE,
        sub: &args.subject,
        exp: now + args.ttl.as_secs(),
        tenant: &args.tenant,
        role: args.role,
        device: &args.device,
    };
    Ok(print_line(args.keys.signing_key()?.sign(&claims)?)?)
}

fn role_parser() -> impl clap::builder::TypedValueParser<Value = Role> {
    let names = Role::ALL.map(Role::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Role>())
}

pub(super) fn parse_subject(text: &str) -> Result<String, String> {
    match text.len() {
        1..=SUBJECT_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("a subject is 1 to {SUBJECT_BYTES_MAX} bytes")),
    }
}

fn parse_device(text: &str) -> Result<String, String> {
    match text.len() {
        0..=DEVICE_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("a device is at most {DEVICE_BYTES_MAX} bytes")),
    }
}
