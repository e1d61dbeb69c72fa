//! Whispers on NATS: typing and presence between the nodes of a region, lost where nobody can hear them.

use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use docket_engine::in_process_ephemeral::InProcessEphemeral;
use docket_engine::ports::ephemeral::{Ephemeral, WHISPER_BYTES_MAX, Whisper};
use docket_schemas::{Tenant, TicketId};
use futures_util::StreamExt as _;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::link::Link;
use crate::subject;

/// Whispers that wait to be sent to other nodes; more are dropped.
const WHISPERS_LEAVING_MAX: usize = 1_024;

/// How long the client may take to take a whisper before it is given up.
const HAND_OVER_WITHIN: Duration = Duration::from_millis(200);

/// How long to wait before listening is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Carries whispers to the readers of this node at once, and to those of the region's others while NATS is up.
#[derive(Debug)]
pub struct NatsEphemeral {
    here: Arc<InProcessEphemeral>,
    leaving: mpsc::Sender<Whisper>,
    /// Ends the tasks when it is dropped.
    _tasks: JoinSet<()>,
}

impl NatsEphemeral {
    /// Begins to listen. A server that is down is waited for.
    #[must_use]
    pub fn start(link: &Link, region: &str) -> Self {
        let here = Arc::new(InProcessEphemeral::default());
        let (leaving, queue) = mpsc::channel(WHISPERS_LEAVING_MAX);
        let prefix = subject::whispers(region);
        let mut tasks = JoinSet::new();
        tasks.spawn(send(link.clone(), prefix.clone(), queue));
        tasks.spawn(listen(link.clone(), prefix, here.clone()));
        Self { here, leaving, _tasks: tasks }
    }
}

impl Ephemeral for NatsEphemeral {
    fn publish(&self, tenant: &Tenant, ticket: TicketId, bytes: &[u8]) {
        if bytes.len() > WHISPER_BYTES_MAX {
            return;
        }
        let whisper = Whisper { tenant: tenant.clone(), ticket, bytes: bytes.into() };
        self.here.deliver(whisper.clone());
        // An error says that too many wait: this one is lost.
        let _ = self.leaving.try_send(whisper);
    }

    fn subscribe(&self) -> broadcast::Receiver<Whisper> {
        self.here.subscribe()
    }
}

async fn send(link: Link, prefix: String, mut queue: mpsc::Receiver<Whisper>) {
    while let Some(whisper) = queue.recv().await {
        if !link.is_up() {
            continue;
        }
        let subject = format!("{prefix}.{}.{}", whisper.tenant, whisper.ticket);
        let handed = link.client().publish(subject, Bytes::copy_from_slice(&whisper.bytes));
        if timeout(HAND_OVER_WITHIN, handed).await.is_err() {
            tracing::debug!("nats.whisper.lost");
        }
    }
}

async fn listen(link: Link, prefix: String, here: Arc<InProcessEphemeral>) {
    loop {
        if let Ok(mut heard) = link.client().subscribe(format!("{prefix}.*.*")).await {
            while let Some(message) = heard.next().await {
                if let Some(whisper) = read(&message) {
                    here.deliver(whisper);
                }
            }
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Another node's whisper; none for what no node of this release says.
fn read(message: &Message) -> Option<Whisper> {
    let mut tokens = message.subject.rsplit('.');
    let (ticket, tenant) = (tokens.next()?.parse().ok()?, tokens.next()?.parse().ok()?);
    let whole = message.payload.len() <= WHISPER_BYTES_MAX;
    whole.then(|| Whisper { tenant, ticket, bytes: message.payload.as_ref().into() })
}
