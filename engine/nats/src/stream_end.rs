//! The end of the stream: what the relay's own messages say of how far they had come.

use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use docket_engine::cursor::Cursor;
use docket_engine::ports::witness::Witnessed;
use docket_schemas::{EventId, Partition, Position};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::message::{CURSOR, MESSAGE_ID};
use crate::stream_config::{StreamError, StreamState};
use crate::subject;

/// Most messages at the end that may be nobody's the relay knows.
const STRANGERS_MAX: u64 = 64;

/// Messages that are asked for before the first of them is here.
const ASKED_AT_ONCE: usize = 64;

/// A message of the relay, read back from the stream's leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relayed {
    pub(crate) sequence: u64,
    pub(crate) event_id: EventId,
    pub(crate) partition: Partition,
    /// How far the relay had come with it, in every partition.
    pub(crate) cursor: Cursor,
}

impl Relayed {
    pub(crate) fn position(&self) -> Position {
        self.cursor.positions.get(self.partition)
    }

    pub(crate) fn witnessed(&self) -> Witnessed {
        Witnessed {
            partition: self.partition,
            position: self.position(),
            event_id: self.event_id,
            incarnation: self.cursor.incarnation.number(),
        }
    }

    /// None for what no relay of this region has published.
    fn read(message: &StreamMessage, region: &str) -> Option<Self> {
        let header = |name| Some(message.headers.get(name)?.as_str());
        let cursor: Cursor = header(CURSOR)?.parse().ok()?;
        let event_id = header(MESSAGE_ID)?.parse().ok()?;
        let partition =
            message.subject.rsplit('.').nth(1)?.parse().ok().and_then(Partition::new)?;
        let known = cursor.incarnation.region() == region && cursor.positions.get(partition) > 0;
        known.then_some(Self { sequence: message.sequence, event_id, partition, cursor })
    }
}

/// A region's stream, for reading it back. Never by direct get, which any replica answers from what it has.
#[derive(Debug, Clone)]
pub(crate) struct StreamReader {
    context: Context,
    region: String,
}

impl StreamReader {
    pub(crate) fn new(context: Context, region: &str) -> Self {
        Self { context, region: region.to_owned() }
    }

    /// The last message of the relay; none where the end holds none.
    pub(crate) async fn last(&self, state: StreamState) -> Result<Option<Relayed>, StreamError> {
        let first = state.first_seq.max(state.last_seq.saturating_sub(STRANGERS_MAX));
        for sequence in (first..=state.last_seq).rev().take_while(|_| state.messages > 0) {
            let found = self.at(sequence).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The relay's message under a sequence; none where that is nobody's or another's.
    pub(crate) async fn at(&self, sequence: u64) -> Result<Option<Relayed>, StreamError> {
        let found = self.get(|get| get.sequence(sequence)).await?;
        Ok(found.and_then(|found| Relayed::read(&found, &self.region)))
    }

    /// The relay's messages among the last `count`, in order.
    pub(crate) async fn last_many(
        &self,
        state: StreamState,
        count: u64,
    ) -> Result<Vec<Relayed>, StreamError> {
        let first = state.first_seq.max((state.last_seq + 1).saturating_sub(count));
        let asked = (first..=state.last_seq).map(|sequence| self.at(sequence));
        let found = futures_util::stream::iter(asked).buffered(ASKED_AT_ONCE);
        found.try_filter_map(|relayed| std::future::ready(Ok(relayed))).try_collect().await
    }

    /// The last message of each partition that has one.
    pub(crate) async fn last_of_partitions(&self) -> Result<Vec<Relayed>, StreamError> {
        let mut last = Vec::new();
        for partition in Partition::all() {
            let subject = subject::events_in(&self.region, partition);
            let found = self.get(|get| get.last_by_subject(subject)).await?;
            last.extend(found.and_then(|found| Relayed::read(&found, &self.region)));
        }
        Ok(last)
    }

    /// The first message of a partition at or after a sequence.
    pub(crate) async fn next(
        &self,
        partition: Partition,
        sequence: u64,
    ) -> Result<Option<Relayed>, StreamError> {
        let subject = subject::events_in(&self.region, partition);
        let found = self.get(|get| get.sequence(sequence).next_by_subject(subject)).await?;
        Ok(found.and_then(|found| Relayed::read(&found, &self.region)))
    }

    async fn get(
        &self,
        ask: impl FnOnce(Get) -> Get,
    ) -> Result<Option<StreamMessage>, StreamError> {
        let name = subject::stream(&self.region);
        let stream = self.context.get_stream_no_info(name).await;
        let stream = stream.map_err(|error| StreamError::Unavailable(error.into()))?;
        match ask(stream.raw_message_builder()).send().await {
            Ok(message) => Ok(Some(message)),
            Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(StreamError::Unavailable(error.into())),
        }
    }
}

type Get = async_nats::jetstream::stream::RawMessageBuilder;
