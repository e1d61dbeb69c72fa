//! Progress: how far a projection is known to have come, for those who wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};

use docket_engine::cursor::Positions;
use tokio::sync::{Notify, watch};

/// How far a projection has come, as this node knows. Shared between its feeder and its readers.
#[derive(Debug)]
pub struct Progress {
    reached: watch::Sender<Positions>,
    waiting: AtomicUsize,
    hurry: Notify,
}

impl Default for Progress {
    fn default() -> Self {
        let reached = watch::Sender::new(Positions::START);
        Self { reached, waiting: AtomicUsize::new(0), hurry: Notify::new() }
    }
}

impl Progress {
    /// How far it is known to have come.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Positions> {
        self.reached.subscribe()
    }

    /// It has come so far, at least.
    pub fn raise(&self, positions: &Positions) {
        self.reached.send_if_modified(|reached| {
            if reached.covers(positions) {
                return false;
            }
            for (partition, position) in positions.iter() {
                reached.advance(partition, position);
            }
            true
        });
    }

    /// It begins again: the log was restored, or another version answers.
    pub fn set(&self, positions: Positions) {
        self.reached.send_replace(positions);
    }

    /// Says that somebody waits, until the answer is dropped: the feeder does not pause meanwhile.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.hurry.notify_waiters();
        Waiting(self)
    }

    /// Whether somebody waits.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Ends when somebody waits.
    pub async fn hurried(&self) {
        loop {
            let hurry = self.hurry.notified();
            if self.is_awaited() {
                return;
            }
            hurry.await;
        }
    }
}

/// Somebody waits for a projection.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Progress);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
