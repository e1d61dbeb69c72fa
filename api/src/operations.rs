//! What operators look at: metrics, and whether the server is ready.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock;
use crate::metrics::Metrics;

/// How long the outcome of a probe is used, so that readers cannot make it a load.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time that a probe may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// Why the server takes no writes now.
pub type NotReady = &'static str;

/// Asks whether the next write would succeed.
pub type Probe = Box<dyn Fn() -> BoxFuture<'static, Result<(), NotReady>> + Send + Sync>;

/// One per process.
pub struct Operations {
    /// What is counted and timed.
    pub metrics: Metrics,
    /// Whether requests should be sent here.
    pub readiness: Readiness,
}

/// Ready while the probe succeeds, until the drain begins.
pub struct Readiness {
    draining: AtomicBool,
    probe: Probe,
    last: Mutex<Option<(Instant, Result<(), NotReady>)>>,
}

impl Readiness {
    /// Ready whenever `probe` is.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self { draining: AtomicBool::new(false), probe, last: Mutex::new(None) }
    }

    /// Never ready again: load balancers are to look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether requests should be sent here.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), NotReady> {
        if self.draining.load(Ordering::Acquire) {
            return Err("the server is shutting down");
        }
        let mut last = self.last.lock().await;
        match *last {
            Some((at, outcome)) if at.elapsed() < PROBE_INTERVAL => outcome,
            _ => {
                let probed = timeout(PROBE_TIME_MAX, (self.probe)()).await;
                let outcome = probed.unwrap_or(Err("the log does not answer"));
                *last = Some((clock::monotonic(), outcome));
                outcome
            }
        }
    }
}
