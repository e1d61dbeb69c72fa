//! `docket nats-config`: prints a nats-server configuration with an account for each tenant.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use docket_schemas::Tenant;

use super::Failure;
use super::address::parse_listen;
use super::output::Output;
use super::region::parse_region;
use crate::wire::nats::{RELAY_KEY, tenant_accounts, tenant_key};

#[derive(Debug, Args)]
pub(super) struct NatsConfigArgs {
    /// Tenants that are to read their own events, with commas between
    #[arg(long, env = "DOCKET_TENANT", value_name = "T,U", value_delimiter = ',', required = true)]
    tenant: Vec<Tenant>,
    /// The region whose events they read
    #[arg(long, env = "DOCKET_REGION", value_name = "NAME", default_value = "local", value_parser = parse_region)]
    region: String,
    /// Directory of the keys, one for each tenant and one for Docket; those that are there already are kept
    #[arg(long, env = "DOCKET_NATS_DIR", value_name = "DIR", default_value = "./docket-nats")]
    nats_dir: PathBuf,
    /// Address and port at which the NATS server listens, or its port alone
    #[arg(
        long,
        env = "DOCKET_NATS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:4222",
        value_parser = parse_listen
    )]
    nats_listen: String,
}

pub(super) fn run(args: &NatsConfigArgs) -> Result<(), Failure> {
    let mut tenants = args.tenant.clone();
    tenants.sort();
    tenants.dedup();
    let config = tenant_accounts(&args.nats_dir, &args.region, &args.nats_listen, &tenants)?;
    write!(Output::open(), "{config}")?;
    let file = |name: &str| args.nats_dir.join(name).display().to_string();
    eprintln!("Docket's key is in {}, to be given with --nats-credentials.", file(RELAY_KEY));
    for tenant in &tenants {
        eprintln!("The key of {tenant} is in {}.", file(&tenant_key(tenant)));
    }
    let names: Vec<&str> = tenants.iter().map(Tenant::as_str).collect();
    eprintln!("Serve with --nats-tenants {}, so that their consumers are made.", names.join(","));
    Ok(())
}
