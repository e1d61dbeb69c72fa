//! The sagas of a node: which definitions there are, and how the coordinator begins.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::faults;
use docket_engine::ports::log::LogError;
use docket_engine::ports::nodes::{NODE_GONE_AFTER, Nodes};
use docket_engine::tail::Tail;
use docket_projections::store::ViewStore;
use docket_sagas::{
    Coordinating, Coordinator, Registry, SagaError, Shown, bulk_update, four, merge_tickets,
    unmerge_tickets,
};

use uuid::Uuid;

use crate::wire::Opened;

/// Every definition, in every version that sagas may still be under way under.
///
/// # Panics
/// When one of them is wrong, which a test excludes.
#[must_use]
pub fn registry() -> Registry {
    Registry::new([four(), merge_tickets(), unmerge_tickets(), bulk_update()])
        .expect("the definitions of this release are good")
}

/// What the tickets view, and the index of every node that lives, have all reached.
pub struct ViewsAndIndexes {
    /// The tickets view, which all nodes share.
    pub views: Arc<dyn ViewStore>,
    /// The nodes with how far each one's index has come.
    pub nodes: Arc<dyn Nodes>,
}

#[async_trait]
impl Shown for ViewsAndIndexes {
    async fn reached(&self) -> Result<Positions, LogError> {
        if faults::fails_at("index.read") {
            return Err(LogError::Unavailable("a fault on purpose".into()));
        }
        let unavailable = |error| LogError::Unavailable(Box::new(error));
        let view = self.views.reached().await.map_err(unavailable)?;
        let nodes = self.nodes.seen(NODE_GONE_AFTER).await?;
        Ok(nodes.iter().fold(view, |reached, node| reached.min(&node.index)))
    }
}

/// Where nothing is derived from the log, whatever was written is shown.
pub struct NothingDerived;

#[async_trait]
impl Shown for NothingDerived {
    async fn reached(&self) -> Result<Positions, LogError> {
        let mut all = Positions::START;
        for partition in docket_schemas::Partition::all() {
            all.set(partition, u64::MAX);
        }
        Ok(all)
    }
}

/// Begins to carry sagas on this node.
///
/// # Errors
/// When a saga is under way under a version that this release does not know, or the log fails.
pub async fn begin(
    opened: &Opened,
    tail: Tail,
    shown: impl Shown,
    node: Uuid,
) -> Result<(Coordinator, Coordinating), SagaError> {
    Coordinator::begin(opened.coordinator_ports(tail, Arc::new(shown), node), registry()).await
}

/// Operates beside the nodes that carry them.
///
/// # Errors
/// When the log does not say how far it has come.
pub async fn beside(opened: &Opened) -> Result<(Coordinator, Coordinating), SagaError> {
    let ports = opened.desk.ports();
    let tail = Tail::follow(Arc::clone(&ports.log), &*ports.bus).await?;
    let node = ports.ids.time_ordered();
    let ports = opened.coordinator_ports(tail, Arc::new(NothingDerived), node);
    Ok(Coordinator::beside(ports, registry()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definitions_of_this_release_are_good() {
        assert!(super::registry().names().contains(&"bench-four"));
    }
}
