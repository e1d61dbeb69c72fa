//! The stream as a witness: what the relay has published, the log had.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_trait::async_trait;
use docket_engine::ports::witness::{Witness, Witnessed};
use tokio::time::timeout;

use crate::link::Link;
use crate::relay::context;
use crate::stream_config::StreamError;
use crate::stream_end::{Relayed, StreamReader};

/// How long a start waits for what the stream has to say. The relay itself compares again before it publishes.
const SPEAKS_WITHIN: Duration = Duration::from_secs(3);

/// What a region's stream remembers of the region's log.
#[derive(Debug)]
pub struct StreamWitness {
    link: Link,
    context: Context,
    region: String,
}

impl StreamWitness {
    /// The stream of a region.
    #[must_use]
    pub fn new(link: &Link, region: &str) -> Self {
        Self { link: link.clone(), context: context(link), region: region.to_owned() }
    }

    async fn ends(&self) -> Result<Vec<Witnessed>, StreamError> {
        let mut turns = self.link.turns();
        while !self.link.is_up() && turns.changed().await.is_ok() {}
        let reader = StreamReader::new(self.context.clone(), &self.region);
        Ok(reader.last_of_partitions().await?.iter().map(Relayed::witnessed).collect())
    }
}

#[async_trait]
impl Witness for StreamWitness {
    /// The relay publishes what it reads of the log: nothing is to be done here.
    fn record(&self, _: &[Witnessed]) {}

    /// The last event of each partition that the stream holds; nothing where NATS is down: a node starts without.
    async fn recall(&self) -> Result<Vec<Witnessed>, String> {
        match timeout(SPEAKS_WITHIN, self.ends()).await {
            Ok(Ok(ends)) => Ok(ends),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "nats.witness.silent");
                Ok(Vec::new())
            }
            Err(_) => {
                tracing::warn!("nats.witness.silent");
                Ok(Vec::new())
            }
        }
    }
}
