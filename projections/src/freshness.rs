//! Freshness: waiting until the view has reached what a caller has written, and how far it is behind.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::{Cursor, Positions};
use docket_engine::ports::log::LogError;
use docket_engine::tail::Tail;
use docket_schemas::{Incarnation, Partition, Timestamp};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use crate::progress::Progress;
use crate::query::Basis;
use crate::store::{Phase, StoreError, ViewStore};

/// Longest wait of a read for a write.
pub const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often the store is asked while somebody waits: another node may feed what is waited for.
const ASKED_EVERY: Duration = Duration::from_millis(5);

/// Knows how fresh the view is, on any node.
pub struct Freshness {
    store: Arc<dyn ViewStore>,
    tail: Tail,
    progress: Arc<Progress>,
    /// One waiter asks for all.
    asking: Mutex<()>,
}

/// How far a partition is behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Which partition.
    pub partition: Partition,
    /// Events that are not in the view.
    pub events: u64,
    /// When the oldest of them was recorded; none where there is none.
    pub since: Option<Timestamp>,
}

impl Freshness {
    /// The freshness of a store that is fed from a log, here or elsewhere.
    #[must_use]
    pub fn new(store: Arc<dyn ViewStore>, tail: Tail, progress: Arc<Progress>) -> Self {
        Self { store, tail, progress, asking: Mutex::new(()) }
    }

    /// How far the active version is known to have come here.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Positions> {
        self.progress.reached()
    }

    /// Waits until the active version has come to this place, [`WAIT_MAX`] at most; says whether it has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn wait_for(&self, cursor: &Cursor) -> Result<bool, StoreError> {
        let asked = self.ask(Some(cursor), || self.stands(), |basis| *basis);
        Ok(asked.await?.1)
    }

    /// Asks the view once it has come to `wanted`, [`WAIT_MAX`] at most. `basis` says what an answer rests on, and so
    /// whether it has what was wanted: another version may have become the active one since it was waited for.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn ask<T, F>(
        &self,
        wanted: Option<&Cursor>,
        question: impl Fn() -> F + Send,
        basis: impl Fn(&T) -> Basis + Send,
    ) -> Result<(T, bool), StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let Some(wanted) = wanted else { return Ok((question().await?, true)) };
        let mut deadline = pin!(sleep(WAIT_MAX));
        loop {
            let in_time = tokio::select! {
                waited = self.wait(wanted) => waited.map(|()| true)?,
                () = &mut deadline => false,
            };
            let answer = question().await?;
            let stands = positions_within(basis(&answer), wanted);
            if stands.covers(&wanted.positions) {
                return Ok((answer, true));
            }
            if !in_time || deadline.is_elapsed() {
                return Ok((answer, false));
            }
            // What was known of another version says nothing of this one.
            self.progress.set(stands);
        }
    }

    /// Waits until the view is believed to have come to this place.
    async fn wait(&self, wanted: &Cursor) -> Result<(), StoreError> {
        let positions = &wanted.positions;
        let mut reached = self.progress.reached();
        if reached.borrow_and_update().covers(positions) {
            return Ok(());
        }
        let _waiting = self.progress.wait();
        loop {
            tokio::select! {
                // The sender is ours: it cannot be gone.
                _ = reached.changed() => {}
                () = sleep(ASKED_EVERY) => self.look(wanted).await?,
            }
            if reached.borrow_and_update().covers(positions) {
                return Ok(());
            }
        }
    }

    async fn look(&self, wanted: &Cursor) -> Result<(), StoreError> {
        let _turn = self.asking.lock().await;
        if !self.progress.reached().borrow().covers(&wanted.positions) {
            self.progress.raise(&positions_within(self.stands().await?, wanted));
        }
        Ok(())
    }

    /// What the active version rests on. Which it is, is asked first: the one that takes its place is no older.
    async fn stands(&self) -> Result<Basis, StoreError> {
        let versions = self.store.versions().await?;
        let active = versions.iter().find(|version| version.phase == Phase::Active);
        let incarnation = active.and_then(|version| version.incarnation.as_ref());
        let incarnation = incarnation.map(Incarnation::number);
        let positions = self.store.reached().await?;
        Ok(Basis { positions, incarnation, newest_visible: None })
    }

    /// How far positions are behind what this node has read of the log, partition by partition.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn lag(&self, positions: &Positions) -> Result<Vec<Lag>, LogError> {
        let heads = *self.tail.heads().borrow();
        let mut lags = Vec::with_capacity(docket_schemas::PARTITIONS.into());
        for (partition, head) in heads.iter() {
            let at = positions.get(partition);
            let events = head.saturating_sub(at);
            let since = match events {
                0 => None,
                _ => {
                    let next = self.tail.read(partition, at, 1).await?;
                    next.events.first().map(|event| event.recorded_at)
                }
            };
            lags.push(Lag { partition, events, since });
        }
        Ok(lags)
    }
}

/// How far a view has come on the way to a place, in that place's incarnation.
fn positions_within(basis: Basis, wanted: &Cursor) -> Positions {
    let basis = basis.within(wanted.incarnation.number());
    basis.map_or(Positions::START, |basis| basis.positions)
}
