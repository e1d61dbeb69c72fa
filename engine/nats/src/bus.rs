//! The bus on NATS: coalesced wake-ups between the nodes of a region, and at once within each.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::bus::Bus;
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::link::Link;
use crate::subject;

/// At most one wake-up is sent in this time.
pub const WAKE_EVERY: Duration = Duration::from_millis(2);

/// How long the client may take to take a wake-up before it is given up.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(1);

/// How long to wait before listening is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Wakes the followers of one region's log, here and on its other nodes.
///
/// A wake-up is lost while NATS is down. Those of this node are not, and when the connection stands again everyone
/// is woken: followers look at the log now and then by themselves.
#[derive(Debug)]
pub struct NatsBus {
    pending: Arc<Notify>,
    wakes: watch::Sender<u64>,
    /// Ends the tasks when the bus is dropped.
    _tasks: JoinSet<()>,
}

impl NatsBus {
    /// Begins to listen. A server that is down is waited for.
    #[must_use]
    pub fn start(link: &Link, region: &str) -> Self {
        let pending = Arc::new(Notify::new());
        let wakes = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        let subject = subject::wake(region);
        tasks.spawn(tell(link.clone(), subject.clone(), pending.clone()));
        tasks.spawn(listen(link.clone(), subject, wakes.clone()));
        tasks.spawn(wake_after_turns(link.turns(), wakes.clone()));
        Self { pending, wakes, _tasks: tasks }
    }
}

impl Bus for NatsBus {
    fn wake(&self) {
        bump(&self.wakes);
        self.pending.notify_one();
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }
}

async fn tell(link: Link, subject: String, pending: Arc<Notify>) {
    loop {
        pending.notified().await;
        if link.is_up() {
            let handed = link.client().publish(subject.clone(), bytes::Bytes::new());
            if !matches!(timeout(HAND_OVER_WITHIN, handed).await, Ok(Ok(()))) {
                tracing::debug!("nats.wake.lost");
            }
        }
        tokio::time::sleep(WAKE_EVERY).await;
    }
}

/// The client listens again by itself after a reconnect.
async fn listen(link: Link, subject: String, wakes: watch::Sender<u64>) {
    loop {
        if let Ok(mut heard) = link.client().subscribe(subject.clone()).await {
            bump(&wakes);
            while heard.next().await.is_some() {
                bump(&wakes);
            }
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// What was said while nobody could hear it is unknown.
async fn wake_after_turns(mut turns: watch::Receiver<u64>, wakes: watch::Sender<u64>) {
    while turns.changed().await.is_ok() {
        bump(&wakes);
    }
}

fn bump(wakes: &watch::Sender<u64>) {
    wakes.send_modify(|count| *count = count.wrapping_add(1));
}
