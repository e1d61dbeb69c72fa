//! A region of its own for one test: a log in memory, and a stream on the server of the test run.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use docket_engine::contract::drafts::{NOON, draft_of, ticket};
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::in_process_bus::InProcessBus;
use docket_engine::memory::{MemoryLog, MemoryRoster};
use docket_engine::ports::bus::Bus as _;
use docket_engine::ports::clock::Clock as _;
use docket_engine::ports::log::{Batch, EventLog, Expected, Row, Unit, UnitOutcome};
use docket_engine::tail::Tail;
use docket_engine::testing::SetClock;
use docket_nats::{Link, NatsOptions, Relay, RelayOptions, RelayPorts, RelayProgress, Relaying};
use docket_schemas::{Event, Incarnation, Tenant};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::published::Published;

/// How long anything may take that has to happen by itself.
const WITHIN: Duration = Duration::from_secs(60);
/// Messages of a stream that are asked for before the first is here: one after the other, thousands take as long as
/// [`WITHIN`] on a machine that has other things to do.
const READ_AT_ONCE: usize = 64;
/// Tickets over which events are spread.
const TICKETS: u64 = 97;

/// The server of this test run.
#[expect(clippy::disallowed_methods, reason = "the test runner hands its servers over this way")]
fn url() -> String {
    std::env::var("NATS_URL").expect("NATS_URL is not set: run the tests with `cargo xtask test`")
}

/// A relay that ends when it is dropped, in the middle of whatever it does.
pub(crate) struct Running(JoinHandle<()>, RelayProgress);

impl Running {
    pub(crate) fn lag_events(&self) -> Option<u64> {
        self.1.lag_events()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One region.
pub(crate) struct Region {
    pub(crate) name: String,
    log: Arc<MemoryLog>,
    bus: Arc<InProcessBus>,
    roster: Arc<MemoryRoster>,
    clock: Arc<SetClock>,
    pub(crate) context: async_nats::jetstream::Context,
}

impl Region {
    pub(crate) async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let client = async_nats::connect(url()).await.unwrap();
        let clock = Arc::new(SetClock::at(NOON));
        let region = Self {
            name: format!("r{}x{count}", std::process::id()),
            log: Arc::default(),
            bus: Arc::default(),
            roster: Arc::new(MemoryRoster::new(clock.clone())),
            clock,
            context: async_nats::jetstream::new(client),
        };
        region.begin(1).await;
        region
    }

    pub(crate) fn options(&self) -> NatsOptions {
        NatsOptions { url: url(), secret: None }
    }

    pub(crate) async fn begin(&self, number: u32) {
        let newest = self.log.incarnations().await.unwrap().pop().map(|start| start.incarnation);
        let next = Incarnation::new(&self.name, number).unwrap();
        assert_eq!(self.log.begin_incarnation(newest.as_ref(), &next).await.unwrap(), next);
    }

    /// Writes an event for each number, spread over tickets.
    pub(crate) async fn write(&self, tenant: &str, numbers: Range<u64>) {
        for number in numbers {
            self.write_on(tenant, number % TICKETS, number).await;
        }
    }

    async fn write_on(&self, tenant: &str, on: u64, number: u64) {
        let draft = draft_of(&tenant.parse().unwrap(), ticket(on), number);
        let row = Row { draft: draft.into(), expected: Expected::Opening };
        let incarnation = self.log.incarnations().await.unwrap().pop().unwrap().incarnation;
        let (now, units) = (self.clock.now(), vec![Unit { rows: vec![row] }]);
        let batch = Batch { incarnation, erasure_epoch: 0, now, units };
        let outcome = self.log.append(batch).await.unwrap();
        assert!(matches!(outcome[..], [UnitOutcome::Appended(_)]), "{outcome:?}");
        self.bus.wake();
    }

    pub(crate) fn days_pass(&self, days: i64) {
        self.clock.advance(days * 24 * 3_600 * 1_000_000);
    }

    pub(crate) async fn log_events(&self) -> Vec<Event> {
        self.log.events(&docket_engine::cursor::Positions::START, 1_000).await.unwrap().events
    }

    /// Puts a log in the old one's place that holds only the first `count` events, written again as they were.
    pub(crate) async fn restore(&mut self, count: u64) {
        self.log = Arc::default();
        self.begin(1).await;
        self.write("acme", 0..count).await;
    }

    pub(crate) fn relay(&self) -> Running {
        self.relay_for(&[])
    }

    pub(crate) fn relay_for(&self, tenants: &[&str]) -> Running {
        self.start(self.options(), Arc::clone(&self.roster), tenants)
    }

    pub(crate) fn relay_at(&self, options: NatsOptions) -> Running {
        self.start(options, Arc::clone(&self.roster), &[])
    }

    pub(crate) fn relay_that_holds_a_lease_of_its_own(&self) -> Running {
        let roster = MemoryRoster::new(self.clock.clone());
        self.start(self.options(), Arc::new(roster), &[])
    }

    fn made(
        &self,
        options: NatsOptions,
        leases: Arc<MemoryRoster>,
        tenants: Vec<Tenant>,
        holder: uuid::Uuid,
    ) -> impl Future<Output = Relay> + 'static {
        let (log, bus) = (Arc::clone(&self.log), Arc::clone(&self.bus));
        let (clock, region) = (Arc::clone(&self.clock), self.name.clone());
        async move {
            let link = Link::connect(&options, "relay").await.unwrap();
            let tail = Tail::follow(log.clone(), &*bus).await.unwrap();
            let (compared, name) = (Arc::clone(&log), region.clone());
            let compare_log = Box::new(move || {
                let (log, region) = (Arc::clone(&compared), name.clone());
                Box::pin(async move { begin_next(&log, &region).await }) as _
            });
            let ports = RelayPorts { log, tail, leases, clock, compare_log };
            Relay::new(ports, RelayOptions { region, holder, tenants }, link)
        }
    }

    /// A relay of another node, which waits until the lease is free.
    pub(crate) async fn relay_of(&self, node: u128) -> Relaying {
        let holder = uuid::Uuid::from_u128(node);
        let leases = Arc::clone(&self.roster);
        self.made(self.options(), leases, Vec::new(), holder).await.begin()
    }

    fn start(&self, options: NatsOptions, roster: Arc<MemoryRoster>, tenants: &[&str]) -> Running {
        let tenants = tenants.iter().map(|tenant| tenant.parse().unwrap()).collect();
        let (tell, told) = std::sync::mpsc::channel();
        // As if the one before had let its lease go.
        let relay = self.made(options, roster, tenants, uuid::Uuid::nil());
        let task = tokio::spawn(async move {
            let relay = relay.await;
            let _ = tell.send(relay.progress());
            relay.run().await;
        });
        let progress = tokio::task::block_in_place(|| told.recv()).unwrap();
        Running(task, progress)
    }

    /// Everything that the relay has published, in the stream's order.
    pub(crate) async fn published(&self) -> Vec<Published> {
        let name = format!("docket_{}", self.name);
        let Ok(mut stream) = self.context.get_stream(name).await else { return Vec::new() };
        let state = stream.info().await.unwrap().state.clone();
        let stream = &stream;
        let messages = (state.first_sequence..=state.last_sequence).map(|sequence| async move {
            let message = stream.direct_get(sequence).await.ok()?;
            let subject = message.subject.to_string();
            Published::of(sequence, &subject, message.headers, &message.payload)
        });
        let found = futures_util::stream::iter(messages).buffered(READ_AT_ONCE);
        found.filter_map(std::future::ready).collect().await
    }

    /// What the stream holds once it has so many messages of the relay.
    pub(crate) async fn holds(&self, count: u64) -> Vec<Published> {
        let name = format!("docket_{}", self.name);
        let enough = async {
            loop {
                if let Ok(stream) = self.context.get_stream(&name).await
                    && stream.cached_info().state.messages >= count
                {
                    let published = self.published().await;
                    if published.len() as u64 >= count {
                        return published;
                    }
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        match timeout(WITHIN, enough).await {
            Ok(published) => published,
            Err(_) => panic!("the relay publishes {count}: {}", self.standing(&name).await),
        }
    }

    /// How far log and stream are, for whoever reads that a test has failed.
    async fn standing(&self, name: &str) -> String {
        let heads = self.log.heads().await.unwrap();
        match self.context.get_stream(name).await {
            Ok(stream) => {
                format!("log at {}, stream {:?}", heads.total(), stream.cached_info().state)
            }
            Err(error) => format!("log at {}, no stream: {error}", heads.total()),
        }
    }

    pub(crate) async fn holds_until(&self, is: impl Fn(&[Published]) -> bool) -> Vec<Published> {
        let holds = async {
            loop {
                let published = self.published().await;
                if is(&published) {
                    return published;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(WITHIN, holds).await.expect("the relay publishes")
    }

    /// The event that was written for a number.
    pub(crate) async fn event(&self, wanted: u64) -> Event {
        let events = self.log_events().await;
        let is_it = |event: &Event| number(&event.event_id.to_string()) == wanted;
        events.into_iter().find(is_it).unwrap()
    }

    /// How many different events with numbers from `first` on are among the messages.
    pub(crate) async fn new_among(&self, published: &[Published], first: u64) -> usize {
        let new = published.iter().map(|message| number(&message.id)).filter(|n| *n >= first);
        new.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Publishes something else to the relay's subjects.
    pub(crate) async fn slip_in(&self, number: u64) {
        let subject = format!("docket.v1.{}.acme.ticket.3.message-added", self.name);
        let _ = self.context.client().publish(subject, format!("{number}").into()).await;
    }

    pub(crate) async fn heads(&self) -> Positions {
        self.log.heads().await.unwrap()
    }

    pub(crate) async fn wipe(&self) {
        self.context.delete_stream(format!("docket_{}", self.name)).await.unwrap();
        let _ = self.context.delete_stream(format!("docket_{}_cursor", self.name)).await;
    }

    pub(crate) async fn cursor_is_saved(&self, total: u64) {
        let name = format!("docket_{}_cursor", self.name);
        let stream = self.context.get_stream(&name).await.unwrap();
        let saved = async {
            loop {
                let last = stream.get_info().await.unwrap().state.last_sequence;
                let cursor = stream.get_raw_message(last).await.ok().and_then(|message| {
                    std::str::from_utf8(&message.payload).ok()?.parse::<Cursor>().ok()
                });
                if cursor.is_some_and(|cursor| cursor.positions.total() == total) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(WITHIN, saved).await.unwrap();
    }

    /// Lets the stream drop everything, as after two weeks of silence.
    pub(crate) async fn age_out(&self) {
        let asked = docket_nats::stream_config(&self.name);
        let mut short = asked.clone();
        short.max_age = Duration::from_secs(1);
        short.duplicate_window = Duration::from_secs(1);
        self.context.update_stream(short).await.unwrap();
        let gone = async {
            while self.context.get_stream(&asked.name).await.unwrap().cached_info().state.messages
                > 0
            {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(WITHIN, gone).await.unwrap();
        self.context.update_stream(asked).await.unwrap();
    }

    pub(crate) async fn make_stream_that_may_be_purged(&self) {
        let mut config = docket_nats::stream_config(&self.name);
        config.deny_purge = false;
        self.context.create_stream(config).await.unwrap();
    }

    /// Waits until the relay has asked for the log to be compared, and that has begun another incarnation.
    pub(crate) async fn found_restored(&self) {
        let found = async {
            while self.log.incarnations().await.unwrap().len() < 2 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(WITHIN, found).await.expect("the relay finds that the log was restored");
    }

    /// What a consumer delivers at once, each message acknowledged.
    pub(crate) async fn pull(&self, consumer: &str, count: usize) -> Vec<Published> {
        let stream = format!("docket_{}", self.name);
        let consumer: PullConsumer =
            self.context.get_consumer_from_stream(consumer, stream).await.unwrap();
        let mut batch = consumer.fetch().max_messages(count).messages().await.unwrap();
        let mut published = Vec::new();
        while let Some(message) = batch.next().await {
            let message = message.unwrap();
            message.double_ack().await.unwrap();
            let sequence = message.info().unwrap().stream_sequence;
            let (subject, headers) =
                (message.subject.to_string(), message.headers.clone().unwrap());
            published.extend(Published::of(sequence, &subject, headers, &message.payload));
        }
        published
    }

    pub(crate) async fn reset(&self, tenant: &str, which: &str, body: Value) -> Value {
        let subject = format!("docket.reset.v1.{}.{tenant}.{which}", self.name);
        // So that the answer is about the request, not about its haste.
        self.clock.advance(if body == json!({}) { 400_000 } else { 2_000_000 });
        let answer = self.context.client().request(subject, body.to_string().into()).await;
        serde_json::from_slice(&answer.unwrap().payload).unwrap()
    }

    pub(crate) fn live_subject(&self, tenant: &str, on: u64) -> String {
        format!("docket.live.v1.{tenant}.ticket.{}.*", ticket(on))
    }

    pub(crate) async fn listen(&self, subject: &str) -> async_nats::Subscriber {
        self.context.client().subscribe(subject.to_owned()).await.unwrap()
    }

    /// Live subjects are lossy: an event that was published before anybody listened is gone.
    pub(crate) async fn writes_until_heard(
        &self,
        tenant: &str,
        on: u64,
        live: &mut async_nats::Subscriber,
    ) -> async_nats::Message {
        for number in 1_000.. {
            self.write_on(tenant, on, number).await;
            if let Ok(Some(heard)) = timeout(Duration::from_millis(200), live.next()).await {
                return heard;
            }
            assert!(number < 1_100, "nothing is heard");
        }
        unreachable!("the loop is left by then")
    }
}

/// What an event was written for, which its id ends with.
fn number(id: &str) -> u64 {
    u64::from_str_radix(&id.replace('-', "")[20..], 16).unwrap()
}

async fn begin_next(log: &MemoryLog, region: &str) {
    let newest = log.incarnations().await.unwrap().pop().unwrap().incarnation;
    let next = Incarnation::new(region, newest.number() + 1).unwrap();
    log.begin_incarnation(Some(&newest), &next).await.unwrap();
}
