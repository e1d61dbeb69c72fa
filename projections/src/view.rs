//! The tickets view as a sink: each ticket's news becomes its row.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::faults;
use docket_schemas::Incarnation;

use crate::PartitionSet;
use crate::row::TicketRow;
use crate::sink::{Batch, Sink, SinkError, Span, Taken};
use crate::store::{SpanRows, StoreError, VersionNumber, ViewStore};

/// What the view is called.
pub const TICKETS_VIEW: &str = "tickets";

/// One version of the tickets view.
pub struct TicketsView {
    store: Arc<dyn ViewStore>,
    version: VersionNumber,
    incarnation: Option<Incarnation>,
}

impl TicketsView {
    /// A version of a store, fed with the log as it is under an incarnation.
    #[must_use]
    pub const fn new(
        store: Arc<dyn ViewStore>,
        version: VersionNumber,
        incarnation: Option<Incarnation>,
    ) -> Self {
        Self { store, version, incarnation }
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl From<&Span> for SpanRows {
    fn from(span: &Span) -> Self {
        Self {
            partition: span.partition,
            after: span.after,
            upto: span.upto,
            recorded_at: span.recorded_at,
            rows: span.tickets.iter().map(TicketRow::from).collect(),
            parked: span.parked.clone(),
        }
    }
}

#[async_trait]
impl Sink for TicketsView {
    fn name(&self) -> &str {
        TICKETS_VIEW
    }

    async fn checkpoints(&self, _: PartitionSet) -> Result<Positions, SinkError> {
        Ok(self.store.checkpoints(self.version).await?)
    }

    async fn stands_at(
        &self,
        partitions: PartitionSet,
        positions: &Positions,
    ) -> Result<bool, SinkError> {
        let standing = self.store.checkpoints(self.version).await?;
        Ok(partitions.iter().all(|one| standing.get(one) == positions.get(one)))
    }

    async fn take(&self, batch: &Batch) -> Result<Taken, SinkError> {
        let damages = faults::damages_at("projection.before").map_err(on_purpose)?;
        let mut spans: Vec<SpanRows> = batch.spans.iter().map(SpanRows::from).collect();
        if damages {
            spans.iter_mut().for_each(|span| span.rows.clear());
        }
        let taken = self.store.write(self.version, self.incarnation.as_ref(), spans).await?;
        faults::damages_at("projection.after").map_err(on_purpose)?;
        Ok(taken)
    }
}

/// A rehearsal may have the store not answer, before it was asked or after it has written; or have rows left out.
fn on_purpose(fault: faults::OnPurpose) -> SinkError {
    SinkError(fault.into())
}
