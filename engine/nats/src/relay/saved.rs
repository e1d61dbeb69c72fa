//! The relay's own cursor, kept beside the stream: read when the stream has aged out.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::RawMessageErrorKind;
use docket_engine::cursor::Cursor;
use tokio::time::Instant;

use crate::stream_config::{StreamError, cursor_config, ensure_stream};
use crate::subject;

/// The cursor is saved at most so often. An old one costs events that are published twice.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Saves how far the relay has come, now and then.
pub(super) struct Saver {
    client: Client,
    subject: String,
    saved: Option<Cursor>,
    at: Option<Instant>,
}

impl Saver {
    pub(super) fn new(client: Client, region: &str) -> Self {
        let subject = subject::saved_cursor(region);
        Self { client, subject, saved: None, at: None }
    }

    /// Saves unless it did so a moment ago. Without waiting for JetStream: the next time will do as well.
    pub(super) async fn save(&mut self, reached: &Cursor) {
        if self.saved.as_ref() == Some(reached) {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "the edge: how often a cursor is saved")]
        let now = Instant::now();
        if self.at.is_some_and(|at| now < at + SAVE_EVERY) {
            return;
        }
        self.at = Some(now);
        self.saved = Some(reached.clone());
        if self.client.publish(self.subject.clone(), reached.to_string().into()).await.is_err() {
            tracing::debug!("nats.relay.cursor_not_saved");
        }
    }
}

/// The cursor that was saved last, if one was.
pub(super) async fn saved(context: &Context, region: &str) -> Result<Option<Cursor>, StreamError> {
    let config = cursor_config(region);
    let state = ensure_stream(context, &config).await?;
    if state.messages == 0 {
        return Ok(None);
    }
    let stream = context.get_stream_no_info(&config.name).await;
    let stream = stream.map_err(|error| StreamError::Unavailable(error.into()))?;
    match stream.get_raw_message(state.last_seq).await {
        Ok(message) => {
            let text = std::str::from_utf8(&message.payload).unwrap_or_default();
            let cursor: Option<Cursor> = text.parse().ok();
            Ok(cursor.filter(|cursor| cursor.incarnation.region() == region))
        }
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(StreamError::Unavailable(error.into())),
    }
}
