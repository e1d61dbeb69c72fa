//! The flags that say where an installation is.

use std::path::PathBuf;

use clap::Args;

use super::keys::KeyArgs;
use super::region::parse_region;
use crate::wire::Installation;

/// The region where no flag says otherwise.
const REGION_DEFAULT: &str = "local";

/// Where log and keys are; the data directory is among [`KeyArgs`].
#[derive(Debug, Clone, Args)]
pub(super) struct InstallationArgs {
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// PostgreSQL that holds the log, such as postgres://user@host/docket [default: SQLite in the data directory]
    #[arg(long, env = "DOCKET_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// PostgreSQL that holds the key store [default: SQLite in the data directory]
    #[arg(long = "keys", env = "DOCKET_KEYS", value_name = "URL", hide_env_values = true)]
    keys_url: Option<String>,
    /// Master key that wraps the key store, made on the first run; the 64 hexadecimal digits themselves belong in the
    /// environment only [default: in the data directory]
    #[arg(long, env = "DOCKET_MASTER_KEY", value_name = "FILE", hide_env_values = true)]
    master_key: Option<PathBuf>,
    /// This region's name
    #[arg(long, env = "DOCKET_REGION", value_name = "NAME", default_value = REGION_DEFAULT, value_parser = parse_region)]
    region: String,
}

impl InstallationArgs {
    /// The installation that the flags name.
    pub(super) fn installation(&self) -> Installation {
        Installation {
            data: self.keys.data.clone(),
            database_url: self.database_url.clone(),
            keys_url: self.keys_url.clone(),
            master_key: self.master_key.clone(),
            region: self.region.clone(),
        }
    }
}
