//! The event log in a SQLite file: the embedded default, with no server at all.

mod append;
mod facts;
mod keep;
mod place;
mod read;
mod roster;
mod row;
mod sagas;

use std::path::Path;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ports::log::{
    Batch, EventLog, IncarnationStart, LogError, Page, Snapshot, StreamRead, UnitOutcome,
};
use docket_schemas::{
    CommandId, Event, EventId, Incarnation, Partition, Position, Tenant, TicketId,
};
use sqlx::migrate::Migrator;
use uuid::Uuid;

use crate::failure::{Failure, OpenError};
use crate::file::File;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/log");

/// An event log in one file. Other processes may read and write the same file: every check is made inside the
/// transaction that writes, and whoever waits for another longer than 5 s is told
/// [`LogError::Unavailable`].
#[derive(Debug)]
pub struct SqliteLog(File);

impl SqliteLog {
    /// Opens the log, or makes an empty one where the file is missing.
    ///
    /// # Errors
    /// Naming the file, when it cannot be opened or is no log of this release or an older one.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self(File::open(path.as_ref(), &MIGRATIONS).await?))
    }

    fn failed(&self) -> impl FnOnce(Failure) -> LogError {
        |failure| failure.of_log(self.0.path())
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn append(&self, batch: Batch) -> Result<Vec<UnitOutcome>, LogError> {
        let appended = self.0.write(move |c| Box::pin(append::append(c, batch))).await;
        appended.map_err(self.failed())
    }

    async fn stream_events(&self, reads: &[StreamRead]) -> Result<Vec<Event>, LogError> {
        read::streams(self.0.readers(), reads).await.map_err(self.failed())
    }

    async fn stream_page(&self, read: &StreamRead, limit: usize) -> Result<Vec<Event>, LogError> {
        read::stream_page(self.0.readers(), read, limit).await.map_err(self.failed())
    }

    async fn event_of_command(
        &self,
        tenant: &Tenant,
        partition: Partition,
        command: CommandId,
    ) -> Result<Option<Event>, LogError> {
        let found = read::of_command(self.0.readers(), tenant, partition, command).await;
        found.map_err(self.failed())
    }

    async fn partition_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        read::partition(self.0.readers(), partition, after, limit).await.map_err(self.failed())
    }

    async fn events(&self, after: &Positions, limit: usize) -> Result<Page, LogError> {
        read::page(self.0.readers(), None, after, limit).await.map_err(self.failed())
    }

    async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Page, LogError> {
        read::page(self.0.readers(), Some(tenant), after, limit).await.map_err(self.failed())
    }

    async fn heads(&self) -> Result<Positions, LogError> {
        read::heads(self.0.readers()).await.map_err(self.failed())
    }

    async fn event_id_at(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<EventId>, LogError> {
        read::id_at(self.0.readers(), partition, position).await.map_err(self.failed())
    }

    async fn tickets_by_external_id(
        &self,
        tenant: &Tenant,
        external_id: &str,
        limit: usize,
    ) -> Result<Vec<TicketId>, LogError> {
        let found = read::opened_as(self.0.readers(), tenant, external_id, limit).await;
        found.map_err(self.failed())
    }

    async fn snapshots(
        &self,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
        keep::snapshots(self.0.readers(), tickets).await.map_err(self.failed())
    }

    async fn save_snapshot(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        snapshot: Snapshot,
    ) -> Result<(), LogError> {
        let tenant = tenant.clone();
        let saving = self.0.write(move |c| Box::pin(keep::snapshot(c, tenant, ticket, snapshot)));
        saving.await.map_err(self.failed())
    }

    async fn incarnations(&self) -> Result<Vec<IncarnationStart>, LogError> {
        keep::incarnations(self.0.readers()).await.map_err(self.failed())
    }

    async fn begin_incarnation(
        &self,
        newest: Option<&Incarnation>,
        next: &Incarnation,
    ) -> Result<Incarnation, LogError> {
        let (newest, next) = (newest.cloned(), next.clone());
        let begun = self.0.write(move |c| Box::pin(keep::begin_incarnation(c, newest, next))).await;
        begun.map_err(self.failed())
    }

    async fn key_store(&self) -> Result<Option<Uuid>, LogError> {
        keep::key_store(self.0.readers()).await.map_err(self.failed())
    }

    async fn name_key_store(&self, id: Uuid) -> Result<Uuid, LogError> {
        let named = self.0.write(move |c| Box::pin(keep::name_key_store(c, id))).await;
        named.map_err(self.failed())
    }

    async fn erasure_epoch(&self) -> Result<u64, LogError> {
        keep::erasure_epoch(self.0.readers()).await.map_err(self.failed())
    }

    async fn raise_erasure_epoch(&self) -> Result<u64, LogError> {
        let raised = self.0.write(move |c| Box::pin(keep::raise_erasure_epoch(c))).await;
        raised.map_err(self.failed())
    }

    async fn probe_write(&self) -> Result<(), LogError> {
        self.0.write(move |c| Box::pin(keep::probe(c))).await.map_err(self.failed())
    }
}

/// An incarnation as it was stored.
fn incarnation(name: &str) -> Result<Incarnation, Failure> {
    name.parse().map_err(|_| Failure::Row(format!("incarnation `{name}`")))
}

#[cfg(test)]
mod tests;
