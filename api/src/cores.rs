//! What a node keeps up behind the log: its views, its index, its sagas.

use std::sync::Arc;

use docket_engine::tail::Tail;
use docket_sagas::{Coordinating, Coordinator};

use crate::sagas::ViewsAndIndexes;
use crate::search::{self, Indexing, Search};
use crate::views::{self, Keeping, Views};
use crate::wire::{self, Installation, Opened, WireError};

/// The three, as handlers ask them.
pub struct Cores {
    /// Lists and counts.
    pub views: Views,
    /// Texts found.
    pub search: Search,
    /// Work in several steps.
    pub sagas: Coordinator,
}

/// Their tasks.
pub struct CoreTasks {
    keeping: Keeping,
    indexing: Indexing,
    coordinating: Coordinating,
}

/// Begins all three; `process` names the node's index.
///
/// # Errors
/// Naming which of them cannot begin, and why.
pub async fn start(
    opened: &Opened,
    installation: &Installation,
    process: &str,
    tail: &Tail,
) -> Result<(Cores, CoreTasks), WireError> {
    let store = wire::view_store(installation).await?;
    let index = wire::search_index(installation, process).await?;
    let desk = &opened.desk;
    let node = index.node(desk.ports().ids.time_ordered())?;
    let (search, indexing) = search::start(index, desk, tail);
    let followed = (tail.clone(), search.reached());
    let (leases, nodes) = (Arc::clone(&opened.leases), Arc::clone(&opened.nodes));
    let (views, keeping) = views::start(Arc::clone(&store), desk, followed, leases, (nodes, node));
    let shown = ViewsAndIndexes { views: store, nodes: Arc::clone(&opened.nodes) };
    let (sagas, coordinating) = crate::sagas::begin(opened, tail.clone(), shown, node).await?;
    Ok((Cores { views, search, sagas }, CoreTasks { keeping, indexing, coordinating }))
}

impl CoreTasks {
    /// Stops them, and lets other nodes take over at once.
    pub async fn stop(self) {
        self.coordinating.end().await;
        self.keeping.stop().await;
        self.indexing.stop().await;
    }
}
