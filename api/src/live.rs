//! What is live on a node: the tail of the log, handed to everybody who listens.

pub mod feed;
pub mod hub;
pub mod outbox;
pub mod shown;
pub mod wheel;

use std::sync::Arc;
use std::time::Duration;

use docket_engine::desk::Desk;
use docket_engine::ports::ephemeral::Ephemeral;
use docket_engine::ports::log::LogError;
use docket_engine::tail::Tail;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use hub::Hub;
use wheel::Wheel;

/// Longest time that a reader may ask to wait for news.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Most sockets of a node.
pub const SOCKETS_MAX: usize = 20_000;

/// Most bytes of writes that wait on all sockets of a node for the ones before them.
const WAITING_WRITES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest time for the sockets of a stopping node to be closed.
const SOCKETS_CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// What every live door of a node stands on.
pub struct Live {
    /// What the node has newly read of the log.
    pub tail: Tail,
    /// Who listens to which ticket.
    pub hub: Hub,
    /// Who types or looks at what.
    pub whispers: Arc<dyn Ephemeral>,
    /// Heartbeats of all sockets.
    pub wheel: Wheel,
    /// Turns true when the node begins to stop.
    pub drain: watch::Receiver<bool>,
    /// Places for sockets.
    pub sockets: Arc<Semaphore>,
    /// Bytes that may still wait to be written on sockets.
    pub waiting_writes: Arc<Semaphore>,
    /// Pages of other hosts that may open a socket, such as `https://desk.example`.
    pub origins: Vec<String>,
}

impl Live {
    /// Begins to follow the desk's log.
    ///
    /// # Errors
    /// When the log does not say how far it has come.
    pub async fn start(
        desk: &Desk,
        whispers: Arc<dyn Ephemeral>,
        drain: watch::Receiver<bool>,
        origins: Vec<String>,
    ) -> Result<Arc<Self>, LogError> {
        let tail = desk.follow().await?;
        let hub = Hub::start(desk.clone(), tail.clone(), &*whispers);
        let wheel = Wheel::start(drain.clone());
        let sockets = Arc::new(Semaphore::new(SOCKETS_MAX));
        let waiting_writes = Arc::new(Semaphore::new(WAITING_WRITES_BYTES_MAX));
        Ok(Arc::new(Self { tail, hub, whispers, wheel, drain, sockets, waiting_writes, origins }))
    }

    /// Waits until the node begins to stop.
    pub async fn draining(&self) {
        let mut drain = self.drain.clone();
        if drain.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until every socket is closed, once the node stops.
    pub async fn closed(&self) {
        let all = u32::try_from(SOCKETS_MAX).unwrap_or(u32::MAX);
        let _ = timeout(SOCKETS_CLOSE_WITHIN, self.sockets.acquire_many(all)).await;
    }
}
