//! The search of a node: its index kept up to date behind the log, asked by handlers.

pub mod errands;

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::{Cursor, Positions};
use docket_engine::desk::Desk;
use docket_engine::tail::Tail;
use docket_projections::{Progress, WAIT_MAX};
use docket_search::home::IndexHome;
use docket_search::indexer::{Following, Indexer, PresentIncarnation};
use docket_search::port::SearchIndex;
use parking_lot::Mutex;
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
    /// How far it answers, in the incarnation that this is known to be of.
    standing: watch::Receiver<Option<Cursor>>,
    /// Before the index has reached this it may have missed a lot.
    began: Arc<Began>,
    highlighting: Arc<Semaphore>,
}

/// The heads of the log when the node began, as far as the log still has them.
struct Began {
    positions: Mutex<Positions>,
    heads: watch::Receiver<Positions>,
}

impl Began {
    fn new(heads: watch::Receiver<Positions>) -> Self {
        let positions = Mutex::new(*heads.borrow());
        Self { positions, heads }
    }

    fn is_reached(&self, reached: &Positions) -> bool {
        let mut began = self.positions.lock();
        // Heads go back where the log is restored from a backup, and nowhere else.
        *began = began.min(&self.heads.borrow());
        reached.covers(&began)
    }
}

/// The task that keeps the index of a node up to date.
pub struct Indexing {
    indexer: Arc<Indexer>,
    following: JoinHandle<()>,
    errands: JoinHandle<()>,
}

/// The indexer of a command on an installation's log.
#[must_use]
pub fn indexer(home: &Arc<IndexHome>, desk: &Desk) -> Arc<Indexer> {
    let present = desk.clone();
    indexer_of(home, desk, Arc::new(move || present.incarnation()))
}

fn indexer_of(home: &Arc<IndexHome>, desk: &Desk, present: PresentIncarnation) -> Arc<Indexer> {
    let ports = desk.ports();
    let index = Arc::clone(home) as Arc<dyn SearchIndex>;
    let (log, keyring) = (Arc::clone(&ports.log), Arc::clone(&ports.keyring));
    Arc::new(Indexer::new(index, log, keyring, present))
}

/// Begins to keep the index up to date.
#[must_use]
pub fn start(home: Arc<IndexHome>, desk: &Desk, tail: &Tail) -> (Search, Indexing) {
    let ports = desk.ports();
    let index = Arc::clone(&home) as Arc<dyn SearchIndex>;
    // Not the desk's: the tail may still hold in memory what the desk knows to be lost.
    let (fed_from, fallback) = (tail.clone(), desk.clone());
    let present = move || fed_from.incarnation().unwrap_or_else(|| fallback.incarnation());
    let indexer = indexer_of(&home, desk, Arc::new(present));
    let visible = Arc::<Progress>::default();
    let heads = tail.heads();
    let began = Arc::new(Began::new(heads.clone()));
    let standing = indexer.standing();
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
    let search = Search { index, visible, standing, began, highlighting };
    (search, Indexing { indexer, following, errands })
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

    /// The number of the incarnation that the index is known to be of; 0 where that is not known yet. Asked before a question,
    /// whose answer is then of no older one.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.standing.borrow().as_ref().map_or(0, |standing| standing.incarnation.number())
    }

    /// Waits until the index answers from this place, [`WAIT_MAX`] at most; says whether it does.
    pub async fn wait_for(&self, place: &Cursor) -> bool {
        let mut standing = self.standing.clone();
        if has_reached(&standing.borrow(), place) {
            return true;
        }
        let _waiting = self.visible.wait();
        let reaching = standing.wait_for(|standing| has_reached(standing, place));
        timeout(WAIT_MAX, reaching).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Whether an answer from these positions has all that was written before the node began and is still there.
    #[must_use]
    pub fn has_caught_up(&self, positions: &Positions) -> bool {
        self.began.is_reached(positions)
    }
}

/// Positions of an older incarnation than the place's say nothing: some may be of what the log has lost.
fn has_reached(standing: &Option<Cursor>, place: &Cursor) -> bool {
    standing.as_ref().is_some_and(|standing| {
        standing.incarnation.number() >= place.incarnation.number()
            && standing.positions.covers(&place.positions)
    })
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

#[cfg(test)]
mod tests {
    use docket_schemas::Partition;

    use super::*;

    fn at(position: u64) -> Positions {
        let mut positions = Positions::START;
        Partition::all().for_each(|partition| positions.set(partition, position));
        positions
    }

    #[test]
    fn positions_of_an_older_incarnation_reach_nothing_of_a_newer_one() {
        let place = |name: &str, position| Cursor {
            incarnation: name.parse().expect("a name"),
            positions: at(position),
        };
        let own_write = place("eu.2", 105);
        assert!(!has_reached(&None, &own_write));
        assert!(!has_reached(&Some(place("eu.1", 150)), &own_write));
        assert!(!has_reached(&Some(place("eu.2", 104)), &own_write));
        assert!(has_reached(&Some(place("eu.2", 105)), &own_write));
        assert!(has_reached(&Some(place("eu.3", 105)), &own_write));
    }

    #[test]
    fn what_a_restore_has_taken_away_need_not_be_reached() {
        let heads = watch::Sender::new(at(150));
        let began = Began::new(heads.subscribe());
        assert!(!began.is_reached(&at(105)));
        heads.send_replace(at(100));
        assert!(!began.is_reached(&at(99)));
        assert!(began.is_reached(&at(100)));
        heads.send_replace(at(120));
        assert!(began.is_reached(&at(105)), "what came since was not there when the node began");
    }
}
