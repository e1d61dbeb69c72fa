//! The coordinator: carries the sagas of the partitions that this node leads, one task for each saga under way.

mod attempt;
mod commit;
mod flight;
mod lane;
mod listed;
mod live;
mod load;
mod looking;
mod operators;
mod pauses;
mod projector;
mod runner;
mod start;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::desk::{Desk, DeskError};
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::LogError;
use docket_engine::ports::nodes::Nodes;
use docket_engine::ports::sagas::{SagaTable, Standing};
use docket_engine::tail::Tail;
use docket_schemas::{Partition, PayloadError, Tenant};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::registry::Registry;
use live::Live;
pub use live::LiveLimits;
pub use operators::{Noted, Operation, Operator};
use pauses::Pauses;
pub use start::{Start, StartedSaga};

/// Most sagas that act at once on a node; others wait for their turn, those that sleep count for nothing.
pub const SAGAS_ACTING_MAX: usize = 512;

/// Most sagas under way on a node before new ones are told to come back.
pub const SAGAS_LIVE_MAX: usize = 100_000;

/// Most bytes that the states of those sagas hold: what they were started with and what their steps came to. The
/// bookkeeping beside the tasks that carry them takes as much again.
pub const SAGAS_LIVE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How often a node looks which definitions are paused.
const PAUSES_LOOKED_UP_EVERY: Duration = Duration::from_secs(1);

/// How often a node looks how far view and index have come while a saga waits for them.
const SHOWN_LOOKED_UP_EVERY: Duration = Duration::from_millis(50);

/// Why the coordinator does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    /// There is no such saga.
    #[error("there is no such saga")]
    NotFound,
    /// No release knows the definition.
    #[error("there is no saga definition `{0}`")]
    NoDefinition(String),
    /// It does not go with how the saga stands.
    #[error("{0}")]
    NotNow(String),
    /// As much as a node takes on is under way.
    #[error(
        "the sagas under way on this node have reached {limit}, which is {most}: try again when some have ended"
    )]
    Full {
        /// The limit's name.
        limit: &'static str,
        /// What it is.
        most: usize,
    },
    /// Others have written to the stream each time that an act was to be.
    #[error("others keep writing to its stream: try again")]
    Overtaken,
    /// The same key started something else.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A saga cannot be carried on: its version is gone.
    #[error(
        "sagas are under way under versions that this release does not know: {0}; start the release that they were begun under, or bring the versions back"
    )]
    VersionGone(String),
    /// A stored row cannot be read.
    #[error("a saga cannot be read")]
    Damaged(#[from] PayloadError),
    /// The log refused or failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The table failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl SagaError {
    /// Whether the saga's own stream cannot be read, so that trying again does not help.
    fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged(_)
                | Self::Log(LogError::Damaged { .. })
                | Self::Desk(DeskError::Damaged(_))
        )
    }
}

/// How far what is derived from the log has come.
#[async_trait]
pub trait Shown: Send + Sync + 'static {
    /// What the view, and the index of every node that lives, have all reached.
    async fn reached(&self) -> Result<Positions, LogError>;
}

/// What a coordinator stands on.
pub struct CoordinatorPorts {
    /// Reads tickets and writes units.
    pub desk: Desk,
    /// What is under way.
    pub table: Arc<dyn SagaTable>,
    /// Which node leads which partitions.
    pub leases: Arc<dyn Leases>,
    /// How many nodes share the work.
    pub nodes: Arc<dyn Nodes>,
    /// What the log newly holds.
    pub tail: Tail,
    /// How far view and index have come.
    pub shown: Arc<dyn Shown>,
    /// This node.
    pub node: Uuid,
    /// How much it takes on.
    pub limits: LiveLimits,
}

pub(crate) struct Shared {
    ports: CoordinatorPorts,
    registry: Registry,
    live: Live,
    acting: Arc<Semaphore>,
    paused: Pauses,
    shown: watch::Sender<Positions>,
    /// How many watch `shown`.
    standing: parking_lot::Mutex<HashMap<(String, Standing), i64>>,
}

/// A node's coordinator. Cheap to clone; sagas go on until the last clone's tasks are dropped with [`Coordinating`].
#[derive(Clone)]
pub struct Coordinator {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Coordinator({})", self.shared.ports.node)
    }
}

/// Ends the coordinator's work on this node when it is dropped; other nodes take over.
pub struct Coordinating {
    tasks: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Coordinating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Coordinating({})", self.shared.ports.node)
    }
}

impl Coordinating {
    /// Ends the work and lets go of what this node leads, so that others need not wait until the leases run out.
    pub async fn end(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        for number in 0..lane::LANES {
            lane::let_go(&self.shared, number).await;
        }
    }
}

impl Drop for Coordinating {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Coordinator {
    /// Begins to lead what no other node leads.
    ///
    /// # Errors
    /// [`SagaError::VersionGone`] when a saga is under way that this release cannot carry on.
    pub async fn begin(
        ports: CoordinatorPorts,
        registry: Registry,
    ) -> Result<(Self, Coordinating), SagaError> {
        check_versions(&ports, &registry).await?;
        // Before anything is carried, for what is paused must not go on.
        let paused = Pauses::default();
        paused.look(&*ports.table).await?;
        let (coordinator, mut tasks) = Self::shared(ports, registry, paused);
        let shared = &coordinator.shared;
        for number in 0..lane::LANES {
            tasks.push(tokio::spawn(lane::lead(Arc::clone(shared), number)));
        }
        let shared = Arc::clone(shared);
        Ok((coordinator, Coordinating { tasks, shared }))
    }

    /// Leads nothing: for a command beside the nodes that do. What it writes they follow.
    #[must_use]
    pub fn beside(ports: CoordinatorPorts, registry: Registry) -> (Self, Coordinating) {
        let (coordinator, tasks) = Self::shared(ports, registry, Pauses::default());
        let shared = Arc::clone(&coordinator.shared);
        (coordinator, Coordinating { tasks, shared })
    }

    fn shared(
        ports: CoordinatorPorts,
        registry: Registry,
        paused: Pauses,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let shared = Arc::new(Shared {
            ports,
            registry,
            live: Live::default(),
            acting: Arc::new(Semaphore::new(SAGAS_ACTING_MAX)),
            paused,
            shown: watch::Sender::new(Positions::START),
            standing: parking_lot::Mutex::default(),
        });
        let tasks = vec![
            tokio::spawn(follow_pauses(Arc::clone(&shared))),
            tokio::spawn(follow_shown(Arc::clone(&shared))),
        ];
        (Self { shared }, tasks)
    }

    /// Whether a saga is under way on this node, or the table is behind one that was.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.live.len() > 0
    }

    /// Whether this node leads a partition.
    #[must_use]
    pub fn leads(&self, partition: Partition) -> bool {
        self.shared.live.leads(partition)
    }

    /// The definitions that this node carries.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The table of sagas.
    #[must_use]
    pub fn table(&self) -> &dyn SagaTable {
        &*self.shared.ports.table
    }

    /// Whether a tenant's definition rests.
    #[must_use]
    pub fn is_paused(&self, tenant: &Tenant, definition: &str) -> bool {
        self.shared.is_paused(tenant, definition)
    }

    /// Looks at once which definitions the table says are paused.
    #[cfg(test)]
    pub(crate) async fn look_for_pauses(&self) {
        self.shared.paused.look(self.table()).await.expect("the table answers");
    }

    /// Sagas of the partitions that this node leads, by definition and standing; those that ended, since it leads them.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, Standing, i64)> {
        let counts = self.shared.standing.lock();
        counts.iter().map(|((name, standing), count)| (name.clone(), *standing, *count)).collect()
    }
}

impl Shared {
    fn is_paused(&self, tenant: &Tenant, definition: &str) -> bool {
        self.paused.holds(tenant, definition)
    }

    fn count(&self, definition: &str, standing: Standing, by: i64) {
        let mut counts = self.standing.lock();
        *counts.entry((definition.to_owned(), standing)).or_default() += by;
    }
}

/// A saga keeps the version that it began under: without that version nobody could carry it on.
async fn check_versions(ports: &CoordinatorPorts, registry: &Registry) -> Result<(), SagaError> {
    let mut live: BTreeSet<(String, u16)> = BTreeSet::new();
    for partition in Partition::all() {
        live.extend(live_versions(ports, partition).await?);
    }
    let gone: Vec<String> = live
        .iter()
        .filter(|(name, version)| registry.find(name, *version).is_none())
        .map(|(name, version)| format!("`{name}` version {version}"))
        .collect();
    if gone.is_empty() { Ok(()) } else { Err(SagaError::VersionGone(gone.join(", "))) }
}

/// The versions of what is under way by the table and by what the log holds beyond it.
async fn live_versions(
    ports: &CoordinatorPorts,
    partition: Partition,
) -> Result<BTreeSet<(String, u16)>, SagaError> {
    let mut after = ports.table.reached(partition).await?;
    let rows = ports.table.unended(partition).await?.into_iter();
    let mut begun: HashMap<(Tenant, Uuid), (String, u16)> =
        rows.map(|row| ((row.tenant, row.id.uuid()), (row.definition, row.version))).collect();
    loop {
        let page = load::saga_events(ports, partition, after).await?;
        for event in &page.events {
            // Whoever carries the saga stops at it, and says so.
            let Ok(payload) = event.saga_payload() else { continue };
            let key = (event.tenant.clone(), event.stream.id);
            if let Some(start) = payload.start() {
                begun.insert(key.clone(), (start.definition.clone(), start.version));
            }
            if payload.end().is_some() {
                begun.remove(&key);
            }
        }
        match page.upto {
            Some(upto) => after = upto,
            None => return Ok(begun.into_values().collect()),
        }
    }
}

async fn follow_pauses(shared: Arc<Shared>) {
    loop {
        if let Err(error) = shared.paused.look(&*shared.ports.table).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "saga.pauses.unknown");
        }
        tokio::time::sleep(PAUSES_LOOKED_UP_EVERY).await;
    }
}

/// One look for all sagas that wait, and none while nobody does.
async fn follow_shown(shared: Arc<Shared>) {
    loop {
        if shared.shown.receiver_count() > 0 {
            match shared.ports.shown.reached().await {
                Ok(reached) => {
                    shared.shown.send_replace(reached);
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "saga.shown.unknown");
                }
            }
        }
        tokio::time::sleep(SHOWN_LOOKED_UP_EVERY).await;
    }
}
