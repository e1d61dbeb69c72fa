//! A stretch of publishing: a window of messages, each in its place or not at all.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::faults;
use docket_schemas::{Event, EventId, Tenant};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::saved::{SAVE_EVERY, Saver};
use super::source::Source;
use super::start::Start;
use super::{ACK_WITHIN, Trouble, WINDOW_MESSAGES_MAX};
use crate::message::Outgoing;
use crate::stream_config::StreamError;
use crate::stream_end::StreamReader;
use crate::subject;

/// Events that JetStream called duplicates and that the relay therefore passes over. Beyond so many they are forgotten,
/// and found again.
const KNOWN_MAX: usize = 100_000;

/// Events that the stream held although its end did not say so, and under which sequence. A stream that was wiped since,
/// or restored from an older backup, holds them no more: whoever passes one over looks first.
#[derive(Debug, Default)]
pub(super) struct SkippedEvents(HashMap<EventId, u64>);

impl SkippedEvents {
    fn add(&mut self, id: EventId, sequence: u64) {
        if self.0.len() >= KNOWN_MAX {
            self.0.clear();
        }
        self.0.insert(id, sequence);
    }

    /// Whether the stream still holds an event that it was found to hold.
    async fn hold(&mut self, id: EventId, stream: &StreamReader) -> Result<bool, StreamError> {
        let Some(sequence) = self.0.get(&id) else { return Ok(false) };
        let holds = stream.at(*sequence).await?.is_some_and(|relayed| relayed.event_id == id);
        if !holds {
            self.0.remove(&id);
        }
        Ok(holds)
    }
}

type Ack = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

/// A message whose acknowledgement is awaited.
struct Flying {
    event_id: EventId,
    /// How far the relay has come with it.
    positions: Positions,
    ack: Ack,
}

/// What the next message expects of the stream. The sequence alone would let a window's later messages land behind a
/// stranger's; the id alone would let what a killed relay had sent land behind the same event of another relay, which
/// may have published others before it.
struct Expected {
    last_sequence: u64,
    /// The message before it, but for the first, and whose it is.
    predecessor: Option<(EventId, Tenant)>,
}

impl Expected {
    /// The id that a tenant's message names. Readers see it, so it is never another tenant's event.
    fn predecessor_for(&self, tenant: &Tenant) -> Option<EventId> {
        self.predecessor.as_ref().filter(|(_, of)| of == tenant).map(|(id, _)| *id)
    }
}

/// Publishes in order from one start.
pub(super) struct Publisher<'a> {
    context: &'a Context,
    stream: String,
    reader: StreamReader,
    known: &'a mut SkippedEvents,
    cursor: Cursor,
    expected: Expected,
    acknowledged: Positions,
    flying: VecDeque<Flying>,
    saver: Saver,
    has_published: bool,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(
        context: &'a Context,
        region: &str,
        start: Start,
        known: &'a mut SkippedEvents,
    ) -> Self {
        let cursor = Cursor { incarnation: start.incarnation, positions: start.positions };
        Self {
            context,
            stream: subject::stream(region),
            reader: StreamReader::new(context.clone(), region),
            known,
            acknowledged: cursor.positions,
            saver: Saver::new(context.client(), region),
            cursor,
            expected: Expected { last_sequence: start.last_sequence, predecessor: None },
            flying: VecDeque::new(),
            has_published: false,
        }
    }

    /// Whether anything was acknowledged.
    pub(super) fn has_published(&self) -> bool {
        self.has_published
    }

    /// Publishes until something goes wrong, and lets what flies come down before it says what.
    pub(super) async fn run(
        &mut self,
        mut source: Source<'_>,
        mut turns: watch::Receiver<u64>,
        published: &watch::Sender<Option<Positions>>,
    ) -> Trouble {
        let trouble = tokio::select! {
            _ = turns.changed() => Trouble::Disconnected,
            Err(trouble) = self.publish(&mut source, published) => trouble,
        };
        if !matches!(trouble, Trouble::Disconnected) {
            self.drain().await;
        }
        published.send_replace(Some(self.acknowledged));
        trouble
    }

    async fn publish(
        &mut self,
        source: &mut Source<'_>,
        published: &watch::Sender<Option<Positions>>,
    ) -> Result<std::convert::Infallible, Trouble> {
        let mut heads = source.heads();
        published.send_replace(Some(self.acknowledged));
        loop {
            let mut at_head = false;
            while !at_head && self.flying.len() < WINDOW_MESSAGES_MAX {
                match source.next(&mut self.cursor.positions).await? {
                    Some(event) => self.send(&event).await?,
                    None => at_head = true,
                }
            }
            if !heads.borrow_and_update().covers(&self.acknowledged) {
                return Err(Trouble::LogChanged);
            }
            let Some(next) = self.flying.front_mut() else {
                // Also what was passed over because the stream has it.
                self.acknowledged = self.cursor.positions;
                published.send_replace(Some(self.acknowledged));
                self.saver.save(&self.saved()).await;
                // Also when nothing is written any more, the last cursor gets saved.
                let _ = timeout(SAVE_EVERY, heads.changed()).await;
                continue;
            };
            tokio::select! {
                biased;
                ack = &mut next.ack => {
                    let landed = self.flying.pop_front();
                    self.land(landed.map(|landed| (landed.event_id, landed.positions)), ack)?;
                    published.send_replace(Some(self.acknowledged));
                    self.saver.save(&self.saved()).await;
                }
                _ = heads.changed(), if at_head => {}
            }
        }
    }

    fn saved(&self) -> Cursor {
        Cursor { incarnation: self.cursor.incarnation.clone(), positions: self.acknowledged }
    }

    async fn send(&mut self, event: &Event) -> Result<(), Trouble> {
        self.check(event)?;
        self.cursor.positions.set(event.partition, event.position);
        if self.known.hold(event.event_id, &self.reader).await? {
            return Ok(());
        }
        let payload_max = self.context.client().max_payload();
        let outgoing = Outgoing::of(event, &self.cursor).within(payload_max);
        let message = PublishMessage::build()
            .payload(outgoing.payload)
            .headers(outgoing.headers)
            .expected_stream(&self.stream)
            .expected_last_sequence(self.expected.last_sequence);
        let message = match self.expected.predecessor_for(&event.tenant) {
            Some(id) => message.expected_last_message_id(id.to_string()),
            None => message,
        };
        if faults::fails_at("relay.before") {
            return Err(Trouble::Publish("a fault on purpose".into()));
        }
        let sent = self.context.send_publish(outgoing.subject, message).await;
        let ack = sent.map_err(|error| Trouble::Publish(error.into()))?.into_future();
        let flying = Flying { event_id: event.event_id, positions: self.cursor.positions, ack };
        self.flying.push_back(flying);
        self.expected = Expected {
            last_sequence: self.expected.last_sequence + 1,
            predecessor: Some((event.event_id, event.tenant.clone())),
        };
        Ok(())
    }

    /// An event that does not follow, or that a newer incarnation wrote, shows that the log is another than before.
    fn check(&self, event: &Event) -> Result<(), Trouble> {
        let ours = &self.cursor.incarnation;
        let origin = &event.origin.region;
        let newer = origin.region() == ours.region() && origin.number() > ours.number();
        let follows = event.position == self.cursor.positions.get(event.partition) + 1;
        if newer || !follows { Err(Trouble::LogChanged) } else { Ok(()) }
    }

    /// Takes note of an acknowledgement: of a refusal, too.
    fn land(
        &mut self,
        landed: Option<(EventId, Positions)>,
        ack: Result<PublishAck, PublishError>,
    ) -> Result<(), Trouble> {
        let Some((event_id, positions)) = landed else { return Ok(()) };
        let ack = ack.map_err(|error| Trouble::Publish(error.into()))?;
        if ack.stream != self.stream {
            return Err(Trouble::OtherStream(ack.stream));
        }
        if ack.duplicate {
            self.known.add(event_id, ack.sequence);
            return Err(Trouble::Known);
        }
        self.acknowledged = positions;
        self.has_published = true;
        Ok(())
    }

    /// Waits for what still flies. Some of it may be known to the stream: that is remembered.
    async fn drain(&mut self) {
        let until = deadline();
        for flying in std::mem::take(&mut self.flying) {
            match timeout_at(until, flying.ack).await {
                Ok(Ok(ack)) if ack.duplicate => self.known.add(flying.event_id, ack.sequence),
                Ok(Err(error)) if error.kind() == PublishErrorKind::TimedOut => return,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

/// Longer than any message that flies may take.
fn deadline() -> Instant {
    const MARGIN: Duration = Duration::from_secs(1);
    #[expect(clippy::disallowed_methods, reason = "the edge: how long a server may take")]
    let now = Instant::now();
    now + ACK_WITHIN + MARGIN
}
