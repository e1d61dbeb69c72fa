//! From the log to documents: the texts of a ticket opened, its messages told from its other events.

mod merged;

use std::sync::Arc;

use docket_engine::keyring::{Keyring, KeyringError};
use docket_engine::ports::log::{EventLog, LogError, READ_EVENTS_MAX, StreamRead};
use docket_engine::ticket::Resolved;
use docket_projections::{News, TicketKey, fold_ticket};
use docket_schemas::{
    Event, EventId, EventType, KeyId, MessageText, Position, Sealed, Stream, SubjectText, Tenant,
    TicketEvent,
};
use serde::de::DeserializeOwned;

use merged::moves_messages;

use crate::document::{Extent, MessageDocument, Place, TicketDocument, TicketWrite};

/// Why nothing could be read. Trying again may help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The key store did.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

/// Reads what the index holds.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) keyring: Arc<Keyring>,
}

impl Reading {
    /// What the news of some tickets write.
    pub(crate) async fn news<'a>(
        &self,
        news: impl Iterator<Item = &'a News> + Clone + Send,
    ) -> Result<Vec<TicketWrite>, ReadError> {
        let keys: Vec<KeyId> = news.clone().flat_map(keys).collect();
        self.keyring.warm(&keys).await?;
        let mut writes = Vec::new();
        for one in news {
            writes.push(self.one(one).await?);
        }
        Ok(writes)
    }

    async fn one(&self, news: &News) -> Result<TicketWrite, ReadError> {
        if moves_messages(news) {
            let key = (news.tenant.clone(), news.ticket);
            if let Ok(Some(write)) = self.whole(&key, news.position).await? {
                return Ok(write);
            }
        }
        let first = news.events.first().map_or(0, |event| event.position);
        let places = [news.opened, news.position, news.public_position];
        let ticket = self.ticket(&news.tenant, &news.state, places).await?;
        let messages = self.messages(news.events.iter().map(Arc::as_ref)).await?;
        let extent = if first == news.opened { Extent::New } else { Extent::Further };
        Ok(TicketWrite { ticket, messages, extent })
    }

    /// Everything of a ticket as it was at a position; none where it had not begun. Inside: why it cannot be folded.
    pub(crate) async fn whole(
        &self,
        key: &TicketKey,
        upto: Position,
    ) -> Result<Result<Option<TicketWrite>, String>, ReadError> {
        let (state, position, public) = match fold_ticket(&*self.log, key, upto).await? {
            Ok(Some(folded)) => folded,
            Ok(None) => return Ok(Ok(None)),
            Err(reason) => return Ok(Err(reason)),
        };
        let events = self.events(key, position).await?;
        let opened = events.first().map_or(0, |event| event.position);
        let ticket = self.ticket(&key.0, &state, [opened, position, public]).await?;
        let shown = if state.merge.is_some() { self.shown(key, events).await? } else { events };
        let messages = self.messages(shown.iter()).await?;
        Ok(Ok(Some(TicketWrite { ticket, messages, extent: Extent::Whole })))
    }

    async fn events(&self, key: &TicketKey, upto: Position) -> Result<Vec<Event>, LogError> {
        let (tenant, stream) = (key.0.clone(), Stream::ticket(key.1));
        let mut read = StreamRead { tenant, stream, after: 0 };
        let mut events = Vec::new();
        while read.after < upto {
            let page = self.log.stream_page(&read, READ_EVENTS_MAX).await?;
            let Some(last) = page.last() else { break };
            read.after = last.position;
            events.extend(page.into_iter().filter(|event| event.position <= upto));
        }
        Ok(events)
    }

    async fn ticket(
        &self,
        tenant: &Tenant,
        state: &Resolved,
        places: [Position; 3],
    ) -> Result<TicketDocument, ReadError> {
        let subject = match state.subjects.get(&state.subject) {
            Some(subject) => {
                let text: Option<SubjectText> =
                    self.open(tenant, state.subject, subject.schema, &subject.sealed).await?;
                text.map(|text| text.subject)
            }
            None => None,
        };
        Ok(TicketDocument::of(tenant, state, places, subject))
    }

    async fn messages(
        &self,
        events: impl Iterator<Item = &Event> + Send,
    ) -> Result<Vec<MessageDocument>, ReadError> {
        let mut messages = Vec::new();
        for event in events.filter(|event| is_message(event)) {
            let body = match &event.sealed {
                Some(sealed) => {
                    let (id, schema) = (event.event_id, event.schema);
                    let text: Option<MessageText> =
                        self.open(&event.tenant, id, schema, sealed).await?;
                    text.map(|text| text.body)
                }
                None => None,
            };
            let place = Place::new(event.partition, event.position);
            messages.push(MessageDocument { place, public: event.public, body });
        }
        Ok(messages)
    }

    /// A text; none once its key was destroyed.
    async fn open<T: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        event: EventId,
        schema: u16,
        sealed: &Sealed,
    ) -> Result<Option<T>, ReadError> {
        let Some(key) = self.keyring.key(sealed.key_id).await? else { return Ok(None) };
        let opened = key.open(tenant, event, schema, sealed);
        if opened.is_err() {
            tracing::error!(event.id = %event, "search.text.unopened");
        }
        Ok(opened.ok())
    }
}

fn is_message(event: &Event) -> bool {
    matches!(event.event_type, EventType::Ticket(TicketEvent::Opened | TicketEvent::MessageAdded))
}

/// The keys that open a ticket's new texts.
fn keys(news: &News) -> impl Iterator<Item = KeyId> {
    let subject = news.state.subjects.get(&news.state.subject);
    let messages = news.events.iter().filter(|event| is_message(event));
    let sealed = messages.filter_map(|event| event.sealed.as_ref());
    subject.map(|subject| &subject.sealed).into_iter().chain(sealed).map(|sealed| sealed.key_id)
}
