//! The views of a node: kept up to date behind the log, asked by handlers.

pub mod gauges;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::desk::Desk;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::nodes::{NODE_REPORT_EVERY, Nodes};
use docket_engine::tail::Tail;
use docket_projections::store::ViewStore;
use docket_projections::{Freshness, Keeper, PartitionSet, Progress, Sharing};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How long a node that stops waits until it has let go of its leases.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// The views as handlers ask them. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    /// The tickets view.
    pub store: Arc<dyn ViewStore>,
    /// Who waits for it, and how far it is behind.
    pub freshness: Arc<Freshness>,
}

/// The tasks that keep the views of a node up to date.
pub struct Keeping {
    keeper: JoinHandle<()>,
    sharing: JoinHandle<()>,
    reporting: JoinHandle<()>,
    nodes: Arc<dyn Nodes>,
    node: Uuid,
}

/// Begins to keep the views up to date behind what the node newly reads of the log; beside it stands how far the node's
/// index has come, under its node's name.
#[must_use]
pub fn start(
    store: Arc<dyn ViewStore>,
    desk: &Desk,
    (tail, indexed): (Tail, watch::Receiver<Positions>),
    leases: Arc<dyn Leases>,
    (nodes, node): (Arc<dyn Nodes>, Uuid),
) -> (Views, Keeping) {
    let ports = desk.ports();
    let (give, share) = watch::channel(PartitionSet::NONE);
    let sharing = Sharing {
        leases: Arc::clone(&leases),
        nodes: Arc::clone(&nodes),
        node,
        name: "view/tickets".to_owned(),
    };
    let progress = Arc::<Progress>::default();
    let keeper = Keeper {
        store: Arc::clone(&store),
        log: Arc::clone(&ports.log),
        tail: tail.clone(),
        clock: Arc::clone(&ports.clock),
        share,
        progress: Arc::clone(&progress),
        leases,
        node,
    };
    let keeping = Keeping {
        keeper: tokio::spawn(keeper.run()),
        sharing: tokio::spawn(sharing.run(give)),
        reporting: tokio::spawn(report(Arc::clone(&nodes), node, indexed)),
        nodes,
        node,
    };
    let freshness = Arc::new(Freshness::new(Arc::clone(&store), tail, progress));
    (Views { store, freshness }, keeping)
}

impl Keeping {
    /// Stops, and lets other nodes take over at once.
    pub async fn stop(self) {
        self.keeper.abort();
        self.reporting.abort();
        // Nobody listens to what the share is any more.
        let _ = self.keeper.await;
        let _ = self.reporting.await;
        let _ = timeout(LET_GO_WITHIN, self.sharing).await;
        // Nobody waits for an index that has stopped.
        let _ = timeout(LET_GO_WITHIN, self.nodes.leave(self.node)).await;
    }
}

/// Says that this node lives, and how far its index has come.
async fn report(nodes: Arc<dyn Nodes>, node: Uuid, indexed: watch::Receiver<Positions>) {
    loop {
        let positions = *indexed.borrow();
        if let Err(error) = nodes.report(node, &positions).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "node.report.failed");
        }
        sleep(NODE_REPORT_EVERY).await;
    }
}
