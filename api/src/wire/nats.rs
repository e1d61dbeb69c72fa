//! NATS beside the log: the bus between nodes, the relay, and the server configuration for tenants.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docket_engine::desk::Desk;
use docket_engine::ports::ids::Ids as _;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::witness::Witness;
use docket_engine::tail::Tail;
use docket_nats::{
    Accounts, Link, NatsOptions, Relay, RelayOptions, RelayPorts, Relaying, StreamWitness, UserKey,
    bench,
};
use docket_schemas::Tenant;

use super::WireError;
use crate::clock::SystemClock;
use crate::ids::SystemIds;
use crate::private_file;

/// Where NATS is, and who Docket is there.
#[derive(Debug, Clone)]
pub struct NatsPlace {
    /// One server, or several of a cluster with commas between.
    pub url: String,
    /// The file of an nkey seed, or a credentials file; none where the URL says who.
    pub credentials: Option<PathBuf>,
}

/// A process' connections to NATS.
#[derive(Debug)]
pub struct Nats {
    options: NatsOptions,
    region: String,
    /// Carries wake-ups and whispers.
    pub(super) link: Link,
}

/// A relay at work or waiting for its turn. Dropped, it ends.
#[derive(Debug)]
pub struct NatsRelay(Relaying);

impl NatsRelay {
    /// Ends it and has another node relay at once.
    pub async fn end(self) {
        self.0.end().await;
    }
}

/// Events that are not in the stream yet, asked whenever somebody measures; none while another node relays.
pub type RelayLag = Box<dyn Fn() -> Option<u64> + Send + Sync>;

impl NatsPlace {
    fn options(&self) -> Result<NatsOptions, WireError> {
        let secret = match &self.credentials {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                format!("cannot read the NATS credentials {}: {error}", path.display())
            })?),
            None => None,
        };
        Ok(NatsOptions { url: self.url.clone(), secret })
    }

    /// Messages of `text` by the second that NATS core delivers there to so many clients, each on its own subject.
    ///
    /// # Errors
    /// When the server does not take them.
    pub async fn publish_subscribe(
        &self,
        clients: usize,
        over: Duration,
        text: &'static str,
    ) -> Result<f64, WireError> {
        let prefix = format!("docket.bench.{}", SystemIds.time_ordered().simple());
        let text = text.as_bytes().into();
        let options = self.options()?;
        Ok(bench::publish_subscribe(&options, &prefix, clients, over, text).await?)
    }
}

impl Nats {
    /// Begins to connect; a server that is down is waited for in the background.
    ///
    /// # Errors
    /// When the URL or the credentials cannot be right.
    pub async fn connect(place: &NatsPlace, region: &str) -> Result<Self, WireError> {
        let options = place.options()?;
        let link = Link::connect(&options, "docket").await?;
        Ok(Self { options, region: region.to_owned(), link })
    }

    /// The stream, which knows how far the log had come.
    #[must_use]
    pub fn witness(&self) -> Arc<dyn Witness> {
        Arc::new(StreamWitness::new(&self.link, &self.region))
    }

    /// Begins to relay whenever this node holds the lease, over a connection of its own.
    ///
    /// # Errors
    /// When the options cannot be right.
    pub async fn relay(
        &self,
        desk: &Desk,
        tail: Tail,
        leases: Arc<dyn Leases>,
        tenants: Vec<Tenant>,
    ) -> Result<(NatsRelay, RelayLag), WireError> {
        let link = Link::connect(&self.options, "docket-relay").await?;
        let compared = desk.clone();
        let compare_log = Box::new(move || {
            let desk = compared.clone();
            Box::pin(async move {
                if let Err(error) = desk.compare_with_witnesses().await {
                    tracing::error!(error = &error as &dyn std::error::Error, "log.compare.failed");
                }
            }) as _
        });
        let log = Arc::clone(&desk.ports().log);
        let ports = RelayPorts { log, tail, leases, clock: Arc::new(SystemClock), compare_log };
        let holder = SystemIds.time_ordered();
        let options = RelayOptions { region: self.region.clone(), holder, tenants };
        let relay = Relay::new(ports, options, link);
        let progress = relay.progress();
        let relaying = NatsRelay(relay.begin());
        Ok((relaying, Box::new(move || progress.lag_events())))
    }
}

/// A server configuration with an account for each tenant; keys that are not in `directory` yet are made there.
///
/// # Errors
/// When a key can be neither read nor made.
pub fn tenant_accounts(
    directory: &Path,
    region: &str,
    listen: &str,
    tenants: &[Tenant],
) -> Result<String, WireError> {
    std::fs::create_dir_all(directory)
        .map_err(|error| format!("cannot make the directory {}: {error}", directory.display()))?;
    let relay = public_key(directory, RELAY_KEY)?;
    let mut keys = Vec::new();
    for tenant in tenants {
        keys.push((tenant.clone(), public_key(directory, &tenant_key(tenant))?));
    }
    let store = std::path::absolute(directory)?.join("jetstream").display().to_string();
    let (region, listen) = (region.to_owned(), listen.to_owned());
    Ok(Accounts { region, relay, tenants: keys, listen, store }.config())
}

/// The file of the nodes' own key.
pub const RELAY_KEY: &str = "relay.nk";

/// The file of a tenant's key. A tenant's name holds nothing that a path could mind, and no underscore.
#[must_use]
pub fn tenant_key(tenant: &Tenant) -> String {
    format!("tenant_{tenant}.nk")
}

fn public_key(directory: &Path, name: &str) -> Result<String, WireError> {
    let path = directory.join(name);
    let failed = |error: &dyn std::fmt::Display| -> WireError {
        format!("cannot read or make the key {}: {error}", path.display()).into()
    };
    if !path.exists() {
        let mut random = [0; 32];
        SystemIds.fill(&mut random);
        let key = UserKey::from_random(random).map_err(|error| failed(&error))?;
        let seed = format!("{}\n", key.seed);
        private_file::create(&path, seed.as_bytes()).map_err(|error| failed(&error))?;
    }
    let seed = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    Ok(UserKey::from_seed(&seed).map_err(|error| failed(&error))?.public)
}
