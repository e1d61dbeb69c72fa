//! A message of the stream, as the relay has published it.

use async_nats::HeaderMap;
use docket_engine::cursor::Cursor;
use docket_schemas::Partition;

/// A message of the stream.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
    pub(crate) id: String,
    pub(crate) partition: Partition,
    pub(crate) position: u64,
    pub(crate) incarnation: u32,
}

impl Published {
    pub(crate) fn of(
        sequence: u64,
        subject: &str,
        headers: HeaderMap,
        payload: &[u8],
    ) -> Option<Self> {
        let cursor: Cursor = headers.get("docket-cursor")?.as_str().parse().ok()?;
        let partition = Partition::new(subject.rsplit('.').nth(1)?.parse().ok()?)?;
        Some(Self {
            sequence,
            subject: subject.to_owned(),
            payload: payload.to_vec(),
            id: headers.get("Nats-Msg-Id")?.to_string(),
            partition,
            position: cursor.positions.get(partition),
            incarnation: cursor.incarnation.number(),
            headers,
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.as_str())
    }
}
