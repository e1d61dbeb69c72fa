//! The tally: what an import has done so far, told as it goes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bad_row::BadRow;
use super::progress::Progress;

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Tickets that the file's good rows are about.
    pub tickets: u64,
    /// Events written.
    pub written: u64,
    /// Events that an earlier run, or an earlier row, had written.
    pub already_there: u64,
    /// Rows that change nothing that is kept.
    pub idle: u64,
    /// Rows left out.
    pub bad: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tickets, written, already_there, idle: _, bad } = self;
        write!(
            f,
            "{tickets} tickets, {written} events written, {already_there} already there, {bad} bad rows"
        )
    }
}

/// Counts from several lanes.
pub(super) struct Tally {
    progress: Arc<dyn Progress>,
    tickets: AtomicU64,
    written: AtomicU64,
    already_there: AtomicU64,
    idle: AtomicU64,
    bad: AtomicU64,
}

impl Tally {
    pub(super) fn new(progress: Arc<dyn Progress>) -> Self {
        let zero = || AtomicU64::new(0);
        let (tickets, written, already_there, idle, bad) = (zero(), zero(), zero(), zero(), zero());
        Self { progress, tickets, written, already_there, idle, bad }
    }

    pub(super) fn ticket(&self) {
        self.tickets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn written(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn already_there(&self) {
        self.already_there.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn idle(&self) {
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a row that is left out, and says why.
    pub(super) fn bad(&self, row: &BadRow) {
        self.bad.fetch_add(1, Ordering::Relaxed);
        self.say(row);
    }

    /// Says something of a row.
    pub(super) fn say(&self, row: &BadRow) {
        self.progress.say(&row.to_string());
    }

    /// Says how far the reader has come; lanes are a bounded number of rows behind it.
    pub(super) fn reached(&self, bytes: u64, of_bytes: u64) {
        let Summary { written, already_there, idle, bad, .. } = self.summary();
        self.progress.reached(bytes, of_bytes, written + already_there + idle + bad);
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&self) {
        self.progress.finish();
    }

    pub(super) fn summary(&self) -> Summary {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Summary {
            tickets: read(&self.tickets),
            written: read(&self.written),
            already_there: read(&self.already_there),
            idle: read(&self.idle),
            bad: read(&self.bad),
        }
    }
}
