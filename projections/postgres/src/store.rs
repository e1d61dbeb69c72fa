//! The tickets view on PostgreSQL, in the schema `docket_views`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_projections::query::{Count, CountQuery, ListPage, ListQuery, Listed, Viewer};
use docket_projections::row::TicketRow;
use docket_projections::store::{
    LOOK_UP_TICKETS_MAX, Mending, Parked, PartitionDump, RebuildRequest, SpanRows, StoreError,
    Version, VersionNumber, ViewStore,
};
use docket_projections::{PartitionSet, Taken};
use docket_schemas::{Incarnation, Partition, Tenant, TicketId, Timestamp};

use crate::connect::{ConnectError, Pools, connect};
use crate::failure::damaged;
use crate::list::Answered;
use crate::slot::Slot;
use crate::{dump, list, mend, requests, versions, write};

/// A store in the schema `docket_views` of one database, beside the log or elsewhere. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct PostgresViews {
    pools: Pools,
    /// Whether slot B was the active one when last looked at. Every statement says whether it still is.
    in_b: Arc<AtomicBool>,
}

impl PostgresViews {
    /// Connects and brings the schema up to date; several nodes may do so at once.
    ///
    /// # Errors
    /// Without the password.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Ok(Self { pools: connect(url).await?, in_b: Arc::default() })
    }

    /// Waits for what is under way, then closes every connection.
    pub async fn close(&self) {
        self.pools.write.close().await;
        self.pools.read.close().await;
    }

    /// Asks the slot that was active last, and the other one where that has changed.
    async fn ask<T, F>(&self, question: impl Fn(Slot) -> F + Send + Sync) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<Answered<T>, StoreError>> + Send + 'static,
    {
        let mut slot = if self.in_b.load(Ordering::Relaxed) { Slot::B } else { Slot::A };
        for _ in 0..SWITCHES_MET_MAX {
            match detached(question(slot)).await? {
                Answered::Here(answer) => return Ok(answer),
                Answered::Elsewhere(active) => {
                    self.in_b.store(active == Slot::B, Ordering::Relaxed);
                    slot = active;
                }
            }
        }
        Err(damaged("the active version changes without end"))
    }
}

/// How often one question may meet a switch.
const SWITCHES_MET_MAX: u32 = 4;

/// Runs to its end whoever waits for it: a statement that is left amid its answer leaves its connection in disorder.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::spawn(work).await {
        Ok(answer) => answer,
        Err(stopped) => Err(StoreError::Unavailable(Box::new(stopped))),
    }
}

#[async_trait]
impl ViewStore for PostgresViews {
    async fn versions(&self) -> Result<Vec<Version>, StoreError> {
        detached(versions::versions(self.pools.read.clone())).await
    }

    async fn begin(&self, format: u16, now: Timestamp) -> Result<VersionNumber, StoreError> {
        detached(versions::begin(self.pools.write.clone(), format, now)).await
    }

    async fn index(&self, version: VersionNumber) -> Result<(), StoreError> {
        detached(versions::index(self.pools.write.clone(), version)).await
    }

    async fn vouch(&self, version: VersionNumber) -> Result<(), StoreError> {
        detached(versions::vouch(self.pools.write.clone(), version)).await
    }

    async fn switch(&self, to: VersionNumber, now: Timestamp) -> Result<bool, StoreError> {
        detached(versions::switch(self.pools.write.clone(), to, now)).await
    }

    async fn drop_version(&self, version: VersionNumber) -> Result<(), StoreError> {
        detached(versions::drop_version(self.pools.write.clone(), version)).await
    }

    async fn go_on_as(
        &self,
        version: VersionNumber,
        from: Option<&Incarnation>,
        to: &Incarnation,
        within: &Positions,
    ) -> Result<bool, StoreError> {
        let (pool, from, to) = (self.pools.write.clone(), from.cloned(), to.clone());
        detached(versions::go_on_as(pool, version, (from, to), *within)).await
    }

    async fn checkpoints(&self, version: VersionNumber) -> Result<Positions, StoreError> {
        detached(versions::checkpoints(self.pools.read.clone(), Some(version))).await
    }

    async fn write(
        &self,
        version: VersionNumber,
        under: Option<&Incarnation>,
        spans: Vec<SpanRows>,
    ) -> Result<Taken, StoreError> {
        let (pool, under) = (self.pools.write.clone(), under.cloned());
        detached(write::write(pool, version, under, spans)).await
    }

    async fn mend(&self, version: VersionNumber, mending: Mending) -> Result<Taken, StoreError> {
        detached(mend::mend(self.pools.write.clone(), version, mending)).await
    }

    async fn dump(
        &self,
        version: VersionNumber,
        partition: Partition,
    ) -> Result<PartitionDump, StoreError> {
        detached(dump::dump(self.pools.read.clone(), version, partition)).await
    }

    async fn parked(
        &self,
        version: VersionNumber,
        partitions: PartitionSet,
    ) -> Result<Vec<Parked>, StoreError> {
        detached(dump::parked(self.pools.read.clone(), version, partitions)).await
    }

    async fn rows(
        &self,
        version: VersionNumber,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<TicketRow>, StoreError> {
        detached(dump::some(self.pools.read.clone(), version, tickets.to_vec())).await
    }

    async fn ask_rebuild(&self, now: Timestamp) -> Result<u64, StoreError> {
        detached(requests::ask(self.pools.write.clone(), now)).await
    }

    async fn rebuild_request(&self, id: Option<u64>) -> Result<Option<RebuildRequest>, StoreError> {
        detached(requests::find(self.pools.read.clone(), id)).await
    }

    async fn end_rebuild(
        &self,
        id: u64,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        detached(requests::end(self.pools.write.clone(), id, outcome, now)).await
    }

    async fn reached(&self) -> Result<Positions, StoreError> {
        detached(versions::checkpoints(self.pools.read.clone(), None)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        self.ask(|slot| list::list(self.pools.read.clone(), slot, query.clone())).await
    }

    async fn count(&self, query: &CountQuery) -> Result<Count, StoreError> {
        self.ask(|slot| list::count(self.pools.read.clone(), slot, query.clone())).await
    }

    async fn tickets(
        &self,
        tenant: &Tenant,
        viewer: Viewer,
        tickets: &[TicketId],
    ) -> Result<Vec<Listed>, StoreError> {
        let wanted = &tickets[..tickets.len().min(LOOK_UP_TICKETS_MAX)];
        let pool = &self.pools.read;
        self.ask(|slot| list::tickets(pool.clone(), slot, tenant.clone(), viewer, wanted.to_vec()))
            .await
    }
}
