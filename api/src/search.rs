//! The search of a node: its index kept up to date behind the log, asked by handlers.

pub mod errands;

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::desk::Desk;
use docket_engine::tail::Tail;
use docket_projections::{Progress, WAIT_MAX};
use docket_search::home::IndexHome;
use docket_search::indexer::{Following, Indexer};
use docket_search::port::SearchIndex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use errands::Errands;

/// How long a node that stops lets the index make durable what it has taken.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// Pages whose highlights are found at once; the others wait.
const HIGHLIGHTED_AT_ONCE_MAX: usize = 4;

/// The search as handlers ask it. Cheap to clone.
#[derive(Clone)]
pub struct Search {
    /// The index.
    pub index: Arc<dyn SearchIndex>,
    /// Who waits for it, and how far it has come.
    visible: Arc<Progress>,
    /// The heads of the log when the node began: before the index has reached them it may have missed a lot.
    began: Positions,
    highlighting: Arc<Semaphore>,
}

/// The task that keeps the index of a node up to date.
pub struct Indexing {
    indexer: Arc<Indexer>,
    following: JoinHandle<()>,
    errands: JoinHandle<()>,
}

/// The indexer of a node, or of a command, on an installation's log.
#[must_use]
pub fn indexer(home: &Arc<IndexHome>, desk: &Desk) -> Arc<Indexer> {
    let (ports, present) = (desk.ports(), desk.clone());
    Arc::new(Indexer::new(
        Arc::clone(home) as Arc<dyn SearchIndex>,
        Arc::clone(&ports.log),
        Arc::clone(&ports.keyring),
        Arc::new(move || present.incarnation()),
    ))
}

/// Begins to keep the index up to date.
#[must_use]
pub fn start(home: Arc<IndexHome>, desk: &Desk, tail: &Tail) -> (Search, Indexing) {
    let ports = desk.ports();
    let index = Arc::clone(&home) as Arc<dyn SearchIndex>;
    let indexer = indexer(&home, desk);
    let visible = Arc::<Progress>::default();
    let heads = tail.heads();
    let began = *heads.borrow();
    let following = Following {
        indexer: Arc::clone(&indexer),
        source: Arc::new(tail.clone()),
        heads,
        restores: tail.restores(),
        visible: Arc::clone(&visible),
        clock: Arc::clone(&ports.clock),
    };
    let following = tokio::spawn(following.run());
    let errands = Errands {
        home,
        indexer: Arc::clone(&indexer),
        keyring: Arc::clone(&ports.keyring),
        log: Arc::clone(&ports.log),
    };
    let errands = tokio::spawn(errands.run());
    let highlighting = Arc::new(Semaphore::new(HIGHLIGHTED_AT_ONCE_MAX));
    (Search { index, visible, began, highlighting }, Indexing { indexer, following, errands })
}

impl Search {
    /// A turn to find the highlights of a page.
    pub async fn highlighting(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.highlighting).acquire_owned().await.ok()
    }

    /// How far the index answers.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Positions> {
        self.visible.reached()
    }

    /// Waits until the index answers from these positions, [`WAIT_MAX`] at most; says whether it does.
    pub async fn wait_for(&self, positions: &Positions) -> bool {
        let mut reached = self.visible.reached();
        if reached.borrow().covers(positions) {
            return true;
        }
        let _waiting = self.visible.wait();
        let reaching = reached.wait_for(|reached| reached.covers(positions));
        timeout(WAIT_MAX, reaching).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Whether an answer from these positions has all that was written before the node began.
    #[must_use]
    pub fn has_caught_up(&self, positions: &Positions) -> bool {
        positions.covers(&self.began)
    }
}

impl Indexing {
    /// Stops, with what was taken made durable, so that the next start has less to catch up.
    pub async fn stop(self) {
        self.errands.abort();
        self.following.abort();
        // Aborted or ended: nothing is fed any more.
        let _ = self.following.await;
        let _ = timeout(COMMIT_WITHIN, self.indexer.commit()).await;
    }
}
