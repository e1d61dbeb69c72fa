//! The relay: the one node of a region that publishes the log to the region's stream.
//!
//! A lease saves the others the work. What protects the stream is in every message: it expects the stream's last
//! sequence and the id of its predecessor, so that nothing lands but in its place, whoever else publishes and whatever
//! was lost on the way. JetStream carries, the log decides: after any trouble the relay stops, lets what flies come down,
//! reads the stream's end and goes on from there.

mod live;
mod publish;
mod retention;
mod saved;
mod source;
mod start;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use docket_engine::cursor::Positions;
use docket_engine::ports::clock::Clock;
use docket_engine::ports::leases::{LEASE_RENEW_EVERY, LEASE_TTL, Leases};
use docket_engine::ports::log::{EventLog, LogError};
use docket_engine::tail::Tail;
use docket_schemas::Tenant;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::consumers::Consumers;
use crate::link::Link;
use crate::stream_config::StreamError;
use publish::{Publisher, SkippedEvents};
use source::Source;
use start::Found;

/// Messages that JetStream has not acknowledged yet.
pub const WINDOW_MESSAGES_MAX: usize = 256;

/// How long JetStream may take to acknowledge a message.
pub const ACK_WITHIN: Duration = Duration::from_secs(5);

/// How long JetStream may take to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the relay rests after trouble, first and at most.
const REST_MIN: Duration = Duration::from_millis(50);
pub(crate) const REST_MAX: Duration = Duration::from_secs(2);

/// How often the relay begins anew without a word because the log is otherwise than it was, while nothing gets through.
const QUIET_TURNS_MAX: u32 = 40;

/// How often a relay that waits for its server looks whether it is there.
const LOOKS_UP_EVERY: Duration = Duration::from_secs(1);

/// The lease's name.
const LEASE: &str = "relay";

/// Has the log compared with its witnesses, of which the stream is one, and a new incarnation begun where the log
/// was restored from a backup.
pub type CompareLog = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a relay stands on.
pub struct RelayPorts {
    /// The truth.
    pub log: Arc<dyn EventLog>,
    /// What is new in it.
    pub tail: Tail,
    /// Who relays.
    pub leases: Arc<dyn Leases>,
    /// The time, for what the stream no longer keeps.
    pub clock: Arc<dyn Clock>,
    /// Called where the stream is ahead of the log.
    pub compare_log: CompareLog,
}

/// Who this relay is, and for whom it works.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// The region's name, without its incarnation.
    pub region: String,
    /// This node, among those that would relay.
    pub holder: Uuid,
    /// Tenants that get durable consumers of their own.
    pub tenants: Vec<Tenant>,
}

/// Why the relay stopped; it goes on by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("jetstream did not take an event")]
    Publish(#[source] async_nats::Error),
    #[error("the connection to NATS was lost")]
    Disconnected,
    #[error("another stream takes the relay's subjects: {0}")]
    OtherStream(String),
    #[error("the stream knows some of these events already")]
    Known,
    #[error("the log has begun another incarnation, or lies behind the stream")]
    LogChanged,
}

/// How far the relay of this region has come, for those who measure it.
#[derive(Debug, Clone)]
pub struct RelayProgress {
    published: watch::Receiver<Option<Positions>>,
    heads: watch::Receiver<Positions>,
}

impl RelayProgress {
    /// Events of the log that the stream has not acknowledged; none while another node relays.
    #[must_use]
    pub fn lag_events(&self) -> Option<u64> {
        let published = *self.published.borrow();
        published.map(|published| self.heads.borrow().total().saturating_sub(published.total()))
    }
}

/// A relay in a task of its own. Dropped, it ends; whoever waits then waits until its lease has run out.
#[derive(Debug)]
pub struct Relaying {
    task: JoinHandle<()>,
    leases: Leasing,
}

impl Relaying {
    /// Ends the relay and has another node relay at once.
    pub async fn end(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.leases.let_go().await;
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The right to relay, as this node asks for it.
#[derive(Clone)]
struct Leasing {
    leases: Arc<dyn Leases>,
    holder: Uuid,
}

impl std::fmt::Debug for Leasing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Leasing({})", self.holder)
    }
}

impl Leasing {
    async fn hold(&self) -> Result<Option<u64>, LogError> {
        self.leases.hold(LEASE, self.holder, LEASE_TTL).await
    }

    async fn let_go(&self) {
        // Whoever does not hear of it waits for the lease to run out.
        if let Err(error) = self.leases.release(LEASE, self.holder).await {
            tracing::debug!(%error, "nats.relay.lease_kept");
        }
    }
}

/// A relay at work or waiting for its turn.
pub struct Relay {
    ports: RelayPorts,
    options: RelayOptions,
    link: Link,
    context: Context,
    published: watch::Sender<Option<Positions>>,
}

impl Relay {
    /// A relay that has not begun.
    #[must_use]
    pub fn new(ports: RelayPorts, options: RelayOptions, link: Link) -> Self {
        let context = context(&link);
        Self { ports, options, link, context, published: watch::Sender::new(None) }
    }

    /// How far it has come, at any time.
    #[must_use]
    pub fn progress(&self) -> RelayProgress {
        RelayProgress { published: self.published.subscribe(), heads: self.ports.tail.heads() }
    }

    /// Relays in a task of its own whenever this node holds the lease.
    #[must_use]
    pub fn begin(self) -> Relaying {
        let leases = self.leasing();
        Relaying { task: tokio::spawn(self.run()), leases }
    }

    /// Relays whenever this node holds the lease, until it is dropped.
    pub async fn run(self) {
        loop {
            self.wait_for_lease().await;
            tracing::info!("nats.relay.began");
            self.published.send_replace(Some(Positions::START));
            let consumers = Consumers::of(&self.context, &self.options);
            tokio::select! {
                () = self.keep_lease() => tracing::warn!("nats.relay.lease_lost"),
                () = self.relay() => {}
                () = live::follow(&self.ports.tail, &self.ports.log, &self.link, &self.options.region) => {}
                () = consumers.answer(&*self.ports.clock) => {}
            }
            self.published.send_replace(None);
        }
    }

    async fn wait_for_lease(&self) {
        loop {
            match self.leasing().hold().await {
                Ok(Some(_)) => return,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "nats.relay.lease_unknown"),
            }
            sleep(LEASE_RENEW_EVERY).await;
        }
    }

    /// Ends when another holds the lease, or the database has not said otherwise for as long as it lasts.
    async fn keep_lease(&self) {
        loop {
            sleep(LEASE_RENEW_EVERY).await;
            let renewed = timeout(LEASE_TTL - LEASE_RENEW_EVERY, async {
                loop {
                    match self.leasing().hold().await {
                        Ok(held) => return held.is_some(),
                        Err(_) => sleep(REST_MIN).await,
                    }
                }
            });
            if !renewed.await.unwrap_or(false) {
                return;
            }
        }
    }

    fn leasing(&self) -> Leasing {
        Leasing { leases: Arc::clone(&self.ports.leases), holder: self.options.holder }
    }

    /// Publishes for ever; each turn of the loop is one stretch without trouble.
    async fn relay(&self) {
        let mut known = SkippedEvents::default();
        let mut mood = Mood::default();
        loop {
            self.server().await;
            let Err(trouble) = self.stretch(&mut known, &mut mood).await;
            match trouble {
                Trouble::Known => tracing::info!(%trouble, "nats.relay.again"),
                // Perhaps only the tail is behind.
                Trouble::LogChanged if mood.bears_it() => sleep(REST_MIN).await,
                trouble => mood.rest_after(&trouble).await,
            }
        }
    }

    async fn server(&self) {
        let mut turns = self.link.turns();
        while !self.link.is_up() {
            let _ = timeout(LOOKS_UP_EVERY, turns.changed()).await;
        }
    }

    /// From the stream's end on, until something goes wrong.
    async fn stretch(
        &self,
        known: &mut SkippedEvents,
        mood: &mut Mood,
    ) -> Result<std::convert::Infallible, Trouble> {
        let mut turns = self.link.turns();
        turns.mark_unchanged();
        let heads = *self.ports.tail.heads().borrow();
        let start = match start::find(&self.ports, &self.context, &self.options.region).await? {
            Found::Start(start) => start,
            Found::LogRestored => {
                tracing::error!("nats.relay.log_behind_stream");
                (self.ports.compare_log)().await;
                sleep(REST_MAX).await;
                return Err(Trouble::LogChanged);
            }
        };
        Consumers::of(&self.context, &self.options).ensure().await?;
        tracing::info!(
            sequence = start.last_sequence,
            behind = heads.total().saturating_sub(start.positions.total()),
            "nats.relay.goes_on"
        );
        let source = Source::new(&self.ports, heads);
        let mut publisher = Publisher::new(&self.context, &self.options.region, start, known);
        let trouble = publisher.run(source, turns, &self.published).await;
        if publisher.has_published() {
            *mood = Mood::default();
        }
        Err(trouble)
    }
}

/// How long to rest after trouble, and what was said of it.
struct Mood {
    rest: Duration,
    told: String,
    /// How often it begins again without a word.
    bears: u32,
}

impl Default for Mood {
    fn default() -> Self {
        Self { rest: REST_MIN, told: String::new(), bears: QUIET_TURNS_MAX }
    }
}

impl Mood {
    fn bears_it(&mut self) -> bool {
        let bears = self.bears > 0;
        self.bears = self.bears.saturating_sub(1);
        bears
    }

    /// A stream that is otherwise than asked for stays so until somebody acts: said once, loudly.
    async fn rest_after(&mut self, trouble: &Trouble) {
        let text = trouble.to_string();
        if self.told != text {
            tracing::error!(error = trouble as &dyn std::error::Error, "nats.relay.stopped");
            self.told = text;
        }
        sleep(self.rest).await;
        self.rest = (self.rest * 2).min(REST_MAX);
    }
}

/// JetStream over a link, with the relay's patience.
pub(crate) fn context(link: &Link) -> Context {
    ContextBuilder::new()
        .timeout(ANSWER_WITHIN)
        .ack_timeout(ACK_WITHIN)
        .max_ack_inflight(2 * WINDOW_MESSAGES_MAX)
        .build(link.client().clone())
}
