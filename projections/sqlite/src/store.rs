//! The tickets view in a SQLite file.

use std::path::Path;

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

use crate::failure::OpenError;
use crate::file::File;
use crate::{dump, list, mend, requests, versions, write};

/// A store in one file, which is not the log's: there it would block appends. Other processes may read and write it too.
#[derive(Debug, Clone)]
pub struct SqliteViews(File);

impl SqliteViews {
    /// Opens the store, or makes an empty one where the file is missing.
    ///
    /// # Errors
    /// Naming the file.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self(File::open(path.as_ref()).await?))
    }
}

#[async_trait]
impl ViewStore for SqliteViews {
    async fn versions(&self) -> Result<Vec<Version>, StoreError> {
        self.0.read(|c| Box::pin(versions::versions(c))).await
    }

    async fn begin(&self, format: u16, now: Timestamp) -> Result<VersionNumber, StoreError> {
        self.0.write(move |c| Box::pin(versions::begin(c, format, now))).await
    }

    async fn index(&self, version: VersionNumber) -> Result<(), StoreError> {
        self.0.write(move |c| Box::pin(versions::index(c, version))).await
    }

    async fn vouch(&self, version: VersionNumber) -> Result<(), StoreError> {
        self.0.write(move |c| Box::pin(versions::vouch(c, version))).await
    }

    async fn switch(&self, to: VersionNumber, now: Timestamp) -> Result<bool, StoreError> {
        self.0.write(move |c| Box::pin(versions::switch(c, to, now))).await
    }

    async fn drop_version(&self, version: VersionNumber) -> Result<(), StoreError> {
        self.0.write(move |c| Box::pin(versions::drop_version(c, version))).await
    }

    async fn go_on_as(
        &self,
        version: VersionNumber,
        from: Option<&Incarnation>,
        to: &Incarnation,
        within: &Positions,
    ) -> Result<bool, StoreError> {
        let (from, to, within) = (from.cloned(), to.clone(), *within);
        self.0.write(move |c| Box::pin(versions::go_on_as(c, version, (from, to), within))).await
    }

    async fn checkpoints(&self, version: VersionNumber) -> Result<Positions, StoreError> {
        self.0.read(move |c| Box::pin(versions::checkpoints(c, version.cast_signed()))).await
    }

    async fn write(
        &self,
        version: VersionNumber,
        under: Option<&Incarnation>,
        spans: Vec<SpanRows>,
    ) -> Result<Taken, StoreError> {
        let under = under.cloned();
        self.0.write(move |c| Box::pin(write::write(c, version, under, spans))).await
    }

    async fn mend(&self, version: VersionNumber, mending: Mending) -> Result<Taken, StoreError> {
        self.0.write(move |c| Box::pin(mend::mend(c, version, mending))).await
    }

    async fn dump(
        &self,
        version: VersionNumber,
        partition: Partition,
    ) -> Result<PartitionDump, StoreError> {
        self.0.read(move |c| Box::pin(dump::dump(c, version, partition))).await
    }

    async fn parked(
        &self,
        version: VersionNumber,
        partitions: PartitionSet,
    ) -> Result<Vec<Parked>, StoreError> {
        self.0.read(move |c| Box::pin(dump::parked(c, version, partitions))).await
    }

    async fn rows(
        &self,
        version: VersionNumber,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<TicketRow>, StoreError> {
        let tickets = tickets.to_vec();
        self.0.read(move |c| Box::pin(dump::some(c, version, tickets))).await
    }

    async fn ask_rebuild(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.0.write(move |c| Box::pin(requests::ask(c, now))).await
    }

    async fn rebuild_request(&self, id: Option<u64>) -> Result<Option<RebuildRequest>, StoreError> {
        self.0.read(move |c| Box::pin(requests::find(c, id))).await
    }

    async fn end_rebuild(
        &self,
        id: u64,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.write(move |c| Box::pin(requests::end(c, id, outcome, now))).await
    }

    async fn reached(&self) -> Result<Positions, StoreError> {
        self.0
            .read(|c| {
                Box::pin(async {
                    let (version, _) = versions::active(c).await?;
                    versions::checkpoints(c, version).await
                })
            })
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        let query = query.clone();
        self.0.read(|c| Box::pin(list::list(c, query))).await
    }

    async fn count(&self, query: &CountQuery) -> Result<Count, StoreError> {
        let query = query.clone();
        self.0.read(|c| Box::pin(list::count(c, query))).await
    }

    async fn tickets(
        &self,
        tenant: &Tenant,
        viewer: Viewer,
        tickets: &[TicketId],
    ) -> Result<Vec<Listed>, StoreError> {
        let wanted = tickets[..tickets.len().min(LOOK_UP_TICKETS_MAX)].to_vec();
        let tenant = tenant.clone();
        self.0.read(move |c| Box::pin(list::tickets(c, tenant, viewer, wanted))).await
    }
}
