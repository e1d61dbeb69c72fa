//! A store at which something happens amid somebody else's work.

use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_schemas::{Incarnation, Partition, Tenant, TicketId, Timestamp};
use futures_util::future::BoxFuture;

use crate::query::{Count, CountQuery, ListPage, ListQuery, Listed, Viewer};
use crate::row::TicketRow;
use crate::store::{
    Mending, Parked, PartitionDump, RebuildRequest, SpanRows, StoreError, Version, VersionNumber,
    ViewStore,
};
use crate::{PartitionSet, Taken};

/// When something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    BeforeDump,
    AfterDump,
    AfterIndex(VersionNumber),
}

type Happens = Box<dyn Fn(Moment) -> BoxFuture<'static, ()> + Send + Sync>;

/// A store as it is, but for what happens then.
pub(super) struct Watched {
    store: Arc<dyn ViewStore>,
    happens: Happens,
}

impl Watched {
    pub(super) fn over(
        store: &Arc<dyn ViewStore>,
        happens: impl Fn(Moment) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Arc<dyn ViewStore> {
        Arc::new(Self { store: Arc::clone(store), happens: Box::new(happens) })
    }
}

#[async_trait]
impl ViewStore for Watched {
    async fn versions(&self) -> Result<Vec<Version>, StoreError> {
        self.store.versions().await
    }

    async fn begin(&self, format: u16, now: Timestamp) -> Result<VersionNumber, StoreError> {
        self.store.begin(format, now).await
    }

    async fn index(&self, version: VersionNumber) -> Result<(), StoreError> {
        self.store.index(version).await?;
        (self.happens)(Moment::AfterIndex(version)).await;
        Ok(())
    }

    async fn vouch(&self, version: VersionNumber) -> Result<(), StoreError> {
        self.store.vouch(version).await
    }

    async fn switch(&self, to: VersionNumber, now: Timestamp) -> Result<bool, StoreError> {
        self.store.switch(to, now).await
    }

    async fn drop_version(&self, version: VersionNumber) -> Result<(), StoreError> {
        self.store.drop_version(version).await
    }

    async fn go_on_as(
        &self,
        version: VersionNumber,
        from: Option<&Incarnation>,
        to: &Incarnation,
        within: &Positions,
    ) -> Result<bool, StoreError> {
        self.store.go_on_as(version, from, to, within).await
    }

    async fn checkpoints(&self, version: VersionNumber) -> Result<Positions, StoreError> {
        self.store.checkpoints(version).await
    }

    async fn write(
        &self,
        version: VersionNumber,
        under: Option<&Incarnation>,
        spans: Vec<SpanRows>,
    ) -> Result<Taken, StoreError> {
        self.store.write(version, under, spans).await
    }

    async fn mend(&self, version: VersionNumber, mending: Mending) -> Result<Taken, StoreError> {
        self.store.mend(version, mending).await
    }

    async fn dump(
        &self,
        version: VersionNumber,
        partition: Partition,
    ) -> Result<PartitionDump, StoreError> {
        (self.happens)(Moment::BeforeDump).await;
        let dump = self.store.dump(version, partition).await?;
        (self.happens)(Moment::AfterDump).await;
        Ok(dump)
    }

    async fn parked(
        &self,
        version: VersionNumber,
        partitions: PartitionSet,
    ) -> Result<Vec<Parked>, StoreError> {
        self.store.parked(version, partitions).await
    }

    async fn rows(
        &self,
        version: VersionNumber,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<TicketRow>, StoreError> {
        self.store.rows(version, tickets).await
    }

    async fn ask_rebuild(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.store.ask_rebuild(now).await
    }

    async fn rebuild_request(&self, id: Option<u64>) -> Result<Option<RebuildRequest>, StoreError> {
        self.store.rebuild_request(id).await
    }

    async fn end_rebuild(
        &self,
        id: u64,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.end_rebuild(id, outcome, now).await
    }

    async fn reached(&self) -> Result<Positions, StoreError> {
        self.store.reached().await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        self.store.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<Count, StoreError> {
        self.store.count(query).await
    }

    async fn tickets(
        &self,
        tenant: &Tenant,
        viewer: Viewer,
        tickets: &[TicketId],
    ) -> Result<Vec<Listed>, StoreError> {
        self.store.tickets(tenant, viewer, tickets).await
    }
}
