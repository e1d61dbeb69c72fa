//! The wiring: which log, key store and bus a process stands on.

pub mod nats;
pub mod scratch;
mod search;
pub use search::search_index;
mod views;
pub use views::view_store;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use docket_engine::desk::{Desk, Ports, start};
use docket_engine::in_process_ephemeral::InProcessEphemeral;
use docket_engine::keyring::Keyring;
use docket_engine::ports::bus::Bus;
use docket_engine::ports::ephemeral::Ephemeral;
use docket_engine::ports::keys::KeyStore as _;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::EventLog;
use docket_engine::ports::nodes::Nodes;
use docket_engine::ports::sagas::SagaTable;
use docket_engine::ports::witness::Witness;
use docket_engine::tail::Tail;
use docket_nats::{NatsBus, NatsEphemeral};
use docket_postgres::{PostgresBus, PostgresKeyStore, PostgresLog, PostgresOptions};
use docket_sagas::{CoordinatorPorts, LiveLimits, Shown};
use docket_sqlite::{SqliteBus, SqliteKeyStore, SqliteLog};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::clock::SystemClock;
use crate::ids::SystemIds;
use crate::master_key;
use crate::witness::{WitnessFile, Witnesses};
use nats::{Nats, NatsPlace};

/// Why a process cannot stand; its sources say how it came to that.
pub type WireError = Box<dyn Error + Send + Sync>;

/// Where an installation is.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Directory of keys, witnesses, and of the log unless a database is named.
    pub data: PathBuf,
    /// PostgreSQL, instead of SQLite in the data directory.
    pub database_url: Option<String>,
    /// The key store's database, instead of SQLite in the data directory.
    pub keys_url: Option<String>,
    /// The master key's file, instead of the one in the data directory.
    pub master_key: Option<PathBuf>,
    /// Where nodes keep their indexes, instead of the data directory.
    pub index: Option<PathBuf>,
    /// The region's name.
    pub region: String,
    /// NATS, to which the log is published and over which nodes wake each other.
    pub nats: Option<NatsPlace>,
}

impl Installation {
    /// The log, where no database holds it.
    fn log_file(&self) -> PathBuf {
        self.data.join("docket.db")
    }
}

/// A node at work, and what it stands on beside its desk's own ports.
pub struct Opened {
    /// Where writes and reads go.
    pub desk: Desk,
    /// Ends when every desk is dropped and what waited is written.
    pub appender: JoinHandle<()>,
    /// Whether the log was found restored from a backup, so that a new incarnation began.
    pub restored: bool,
    /// Who of the nodes does what only one needs to do.
    pub leases: Arc<dyn Leases>,
    /// Who is at work on the log.
    pub nodes: Arc<dyn Nodes>,
    /// What goes on in several steps.
    pub table: Arc<dyn SagaTable>,
    /// Typing and presence.
    pub ephemeral: Arc<dyn Ephemeral>,
    /// NATS, where the installation has it.
    pub nats: Option<Nats>,
}

/// Told of every append: microseconds and rows.
pub type OnAppend = Box<dyn Fn(u64, usize) + Send + Sync>;

/// Opens an installation that is there. Whoever only looks at one or operates it makes none, as where its directory is
/// mistyped.
///
/// # Errors
/// See [`open`]; and where there is none.
pub async fn open_existing(
    installation: &Installation,
    process: &str,
) -> Result<Opened, WireError> {
    if installation.database_url.is_none() && !installation.log_file().exists() {
        let data = installation.data.display();
        return Err(format!(
            "there is no installation in {data}: name its directory with --data, or its database with --database-url"
        )
        .into());
    }
    open(installation, process, Box::new(|_, _| {})).await
}

/// Opens an installation, makes one where there is none, and begins to append; `process` names its witness.
///
/// # Errors
/// Naming what was wrong, where, and what to do about it.
pub async fn open(
    installation: &Installation,
    process: &str,
    on_append: OnAppend,
) -> Result<Opened, WireError> {
    let data = &installation.data;
    std::fs::create_dir_all(data)
        .map_err(|error| format!("cannot make the data directory {}: {error}", data.display()))?;
    let nats = match &installation.nats {
        Some(place) => Some(Nats::connect(place, &installation.region).await?),
        None => None,
    };
    let Log { log, leases, nodes, table, bus } = log_and_bus(installation, nats.as_ref()).await?;
    let keyring = Arc::new(keyring(installation, &*log).await?);
    let witness = WitnessFile::open(data, process).map_err(|error| {
        format!("cannot write in the data directory {}: {error}", data.display())
    })?;
    let mut witnesses: Vec<Arc<dyn Witness>> = vec![Arc::new(witness)];
    witnesses.extend(nats.as_ref().map(Nats::witness));
    let ephemeral: Arc<dyn Ephemeral> = match &nats {
        Some(nats) => Arc::new(NatsEphemeral::start(&nats.link, &installation.region)),
        None => Arc::new(InProcessEphemeral::default()),
    };
    let ports = Ports {
        log,
        keyring,
        bus,
        witness: Arc::new(Witnesses(witnesses)),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        on_append,
    };
    let started = start(ports, &installation.region).await?;
    let (desk, appender, restored) = (started.desk, started.appender, started.restored);
    Ok(Opened { desk, appender, restored, leases, nodes, table, ephemeral, nats })
}

impl Opened {
    /// What a coordinator on this node stands on.
    #[must_use]
    pub fn coordinator_ports(
        &self,
        tail: Tail,
        shown: Arc<dyn Shown>,
        node: Uuid,
    ) -> CoordinatorPorts {
        CoordinatorPorts {
            desk: self.desk.clone(),
            table: Arc::clone(&self.table),
            leases: Arc::clone(&self.leases),
            nodes: Arc::clone(&self.nodes),
            tail,
            shown,
            node,
            limits: LiveLimits::default(),
        }
    }
}

/// A log with what its nodes share beside it.
struct Log {
    log: Arc<dyn EventLog>,
    leases: Arc<dyn Leases>,
    nodes: Arc<dyn Nodes>,
    table: Arc<dyn SagaTable>,
    bus: Arc<dyn Bus>,
}

/// Processes that share a file hear each other by it; nodes that share a database over NATS, or by NOTIFY.
async fn log_and_bus(installation: &Installation, nats: Option<&Nats>) -> Result<Log, WireError> {
    let Some(url) = &installation.database_url else {
        let path = installation.log_file();
        let log = Arc::new(SqliteLog::open(&path).await?);
        let bus = Arc::new(SqliteBus::open(&path).await?);
        return Ok(Log { leases: log.clone(), nodes: log.clone(), table: log.clone(), log, bus });
    };
    let options = PostgresOptions::default();
    let log = Arc::new(PostgresLog::connect(url, &options).await?);
    let bus: Arc<dyn Bus> = match nats {
        Some(nats) => Arc::new(NatsBus::start(&nats.link, &installation.region)),
        None => Arc::new(PostgresBus::connect(url, &options).await?),
    };
    Ok(Log { leases: log.clone(), nodes: log.clone(), table: log.clone(), log, bus })
}

/// A log that names a key store is never given a new one: what it sealed could not be opened.
async fn keyring(installation: &Installation, log: &dyn EventLog) -> Result<Keyring, WireError> {
    let named = log.key_store().await?;
    let file = installation.data.join("keys.db");
    let missing = |what: &str| -> WireError {
        format!(
            "this log was sealed with a key store that is not at {what}: restore it, or name it with --keys or --data"
        )
        .into()
    };
    if let Some(url) = &installation.keys_url {
        let store = PostgresKeyStore::connect(url, &PostgresOptions::default()).await?;
        let made = store.secrets().await?.is_some();
        if named.is_some() && !made {
            return Err(missing("the database of --keys"));
        }
        let key = master_key(installation, made.then_some("the key store of --keys"))?;
        return Ok(Keyring::open(Arc::new(store), &key, Arc::new(SystemIds)).await?);
    }
    let place = file.display().to_string();
    let made = file.exists();
    if named.is_some() && !made {
        return Err(missing(&place));
    }
    // The master key comes first: a key store is never made without one.
    let key = master_key(installation, made.then_some(place.as_str()))?;
    let store = SqliteKeyStore::open(&file).await?;
    Ok(Keyring::open(Arc::new(store), &key, Arc::new(SystemIds)).await?)
}

fn master_key(
    installation: &Installation,
    existing_store: Option<&str>,
) -> Result<zeroize::Zeroizing<[u8; docket_engine::seal::KEY_BYTES]>, WireError> {
    let path =
        installation.master_key.clone().unwrap_or_else(|| installation.data.join("master.key"));
    Ok(master_key::open_or_create(&path, existing_store, &SystemIds)?)
}
