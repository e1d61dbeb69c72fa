//! The flags that say where an installation is.

use std::path::PathBuf;

use clap::Args;

use super::keys::KeyArgs;
use super::postgres_url::PostgresUrl;
use super::region::parse_region;
use crate::wire::Installation;
use crate::wire::nats::NatsPlace;

/// The region where no flag says otherwise.
const REGION_DEFAULT: &str = "local";

/// Where log and keys are; the data directory is among [`KeyArgs`].
#[derive(Debug, Clone, Args)]
pub(super) struct InstallationArgs {
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// PostgreSQL that holds the log, such as postgres://user@host/docket [default: SQLite in the data directory]
    #[arg(long, env = "DOCKET_DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = PostgresUrl)]
    database_url: Option<String>,
    /// PostgreSQL that holds the key store [default: SQLite in the data directory]
    #[arg(long = "keys", env = "DOCKET_KEYS", value_name = "URL", hide_env_values = true, value_parser = PostgresUrl)]
    keys_url: Option<String>,
    /// Master key that wraps the key store, made on the first run; the 64 hexadecimal digits themselves belong in the
    /// environment only [default: in the data directory]
    #[arg(long, env = "DOCKET_MASTER_KEY", value_name = "FILE", hide_env_values = true)]
    master_key: Option<PathBuf>,
    /// Directory in which each node keeps its search index, by the address at which it listens [default: `index` in the
    /// data directory]
    #[arg(long, env = "DOCKET_INDEX", value_name = "DIR")]
    index: Option<PathBuf>,
    /// This region's name
    #[arg(long, env = "DOCKET_REGION", value_name = "NAME", default_value = REGION_DEFAULT, value_parser = parse_region)]
    region: String,
    /// NATS to which the log is published, such as nats://host:4222; of a cluster several with commas between
    #[arg(long, env = "DOCKET_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// File of the nkey seed or the credentials by which Docket is known to NATS [default: what the URL says]
    #[arg(long, env = "DOCKET_NATS_CREDENTIALS", value_name = "FILE", requires = "nats_url")]
    nats_credentials: Option<PathBuf>,
}

impl InstallationArgs {
    /// The installation that the flags name.
    pub(super) fn installation(&self) -> Installation {
        Installation {
            data: self.keys.data.clone(),
            database_url: self.database_url.clone(),
            keys_url: self.keys_url.clone(),
            master_key: self.master_key.clone(),
            index: self.index.clone(),
            region: self.region.clone(),
            nats: self.nats_url.clone().map(|url| {
                let credentials = self.nats_credentials.clone();
                NatsPlace { url, credentials }
            }),
        }
    }
}
