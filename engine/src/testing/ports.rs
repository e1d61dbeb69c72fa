//! Ports that do the same on every run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use docket_schemas::Timestamp;
use docket_schemas::canonical::Fields;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::ports::bus::Bus;
use crate::ports::clock::Clock;
use crate::ports::ids::Ids;
use crate::ports::witness::{Witness, Witnessed};

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.micros()))
    }

    /// Moves it by `micros`, backwards too.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Ids and bytes counted up from a seed: no two are equal, and every run has the same.
#[derive(Debug)]
pub struct CountedIds {
    seed: u64,
    next: AtomicU64,
}

impl CountedIds {
    /// The ids of this seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(1) }
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }
}

impl Ids for CountedIds {
    fn time_ordered(&self) -> Uuid {
        let number = self.next();
        let (time, low) = (0x0198_0000_0000 + number, (self.seed << 32) | number);
        Uuid::from_u64_pair((time << 16) | 0x7000, 0x8000_0000_0000_0000 | low)
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let hash = Fields::new("docket/test-bytes")
                .field(self.seed.to_be_bytes())
                .field(self.next().to_be_bytes())
                .finish();
            chunk.copy_from_slice(&hash[..chunk.len()]);
        }
    }
}

/// A bus within one process.
#[derive(Debug)]
pub struct WatchedBus(watch::Sender<u64>);

impl Default for WatchedBus {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Bus for WatchedBus {
    fn wake(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// A witness in memory, which outlives the log that it witnesses when a test restores one.
#[derive(Debug, Default)]
pub struct NotedWitness(Mutex<BTreeMap<u8, Witnessed>>);

#[async_trait::async_trait]
impl Witness for NotedWitness {
    fn record(&self, reached: &[Witnessed]) {
        let mut notes = self.0.lock();
        notes.extend(reached.iter().map(|seen| (seen.partition.number(), *seen)));
    }

    async fn recall(&self) -> Result<Vec<Witnessed>, String> {
        Ok(self.0.lock().values().copied().collect())
    }
}
