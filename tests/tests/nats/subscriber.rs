//! A subscriber as an integrator writes one: it keeps the sequence that it has read, and begins again where the
//! stream is another than before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// How long anything may take that has to happen by itself.
const WITHIN: Duration = Duration::from_secs(120);
/// Messages of one read.
const READ_AT_ONCE: usize = 500;

/// A place in the log: partition and position.
pub(crate) type Place = (u64, u64);

/// What was read of one region's stream.
pub(crate) struct Subscriber {
    context: Context,
    stream: &'static str,
    created: Option<String>,
    next: u64,
    /// Every event that was seen, by id.
    pub(crate) seen: BTreeMap<String, Place>,
    last: BTreeMap<String, u64>,
}

impl Subscriber {
    pub(crate) async fn new(url: &str) -> Self {
        let client =
            async_nats::ConnectOptions::new().retry_on_initial_connect().connect(url).await;
        let context = jetstream::new(client.unwrap());
        let (seen, last) = (BTreeMap::new(), BTreeMap::new());
        Self { context, stream: "docket_local", created: None, next: 1, seen, last }
    }

    /// Forgets everything but where it had come to, as a process that is killed.
    pub(crate) async fn killed_and_resumed(&mut self, url: &str) {
        let other = Self::new(url).await;
        self.context = other.context;
    }

    /// Reads what is there now. Nothing where the server is not.
    pub(crate) async fn read(&mut self) {
        let _ = timeout(Duration::from_secs(5), self.try_read()).await;
    }

    async fn try_read(&mut self) -> Option<()> {
        loop {
            let stream = self.context.get_stream(self.stream).await.ok()?;
            let info = stream.cached_info();
            let created = Some(info.created.to_string());
            if self.created != created {
                (self.created, self.next) = (created, 1);
            }
            if info.state.last_sequence < self.next {
                return None;
            }
            let config = pull::Config {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
                ack_policy: AckPolicy::None,
                inactive_threshold: Duration::from_secs(10),
                ..pull::Config::default()
            };
            let consumer = stream.create_consumer(config).await.ok()?;
            let mut batch = consumer.fetch().max_messages(READ_AT_ONCE).messages().await.ok()?;
            while let Some(Ok(message)) = batch.next().await {
                self.next = message.info().ok()?.stream_sequence + 1;
                self.take(&serde_json::from_slice(&message.payload).unwrap());
            }
        }
    }

    /// An event that was not seen yet comes after all of its ticket that were.
    fn take(&mut self, event: &Value) {
        let text = |place: &str| event.pointer(place).unwrap().as_str().unwrap().to_owned();
        let number = |place: &str| event.pointer(place).unwrap().as_u64().unwrap();
        let place = (number("/partition"), number("/position"));
        if self.seen.insert(text("/id"), place).is_none() {
            let incarnation = text("/origin/region");
            let last = self.last.entry(text("/stream/id") + &incarnation).or_default();
            assert!(place.1 > *last, "out of order on its ticket: {event:#}");
            *last = place.1;
        }
    }

    /// Reads until every one of these events was seen.
    pub(crate) async fn reads_all(&mut self, events: &[Value]) {
        let wanted: BTreeSet<String> =
            events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        let reading = async {
            while !wanted.iter().all(|id| self.seen.contains_key(id)) {
                self.read().await;
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(WITHIN, reading).await.is_err() {
            let missing = wanted.iter().filter(|id| !self.seen.contains_key(*id)).count();
            panic!("{missing} of {} events are missing from the stream", wanted.len());
        }
    }
}
