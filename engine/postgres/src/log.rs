//! The event log on PostgreSQL.

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ports::log::{
    Batch, EventLog, IncarnationStart, LogError, Page, Snapshot, StreamRead, UnitOutcome,
};
use docket_schemas::{
    CommandId, Event, EventId, Incarnation, Partition, Position, Tenant, TicketId,
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::connect::{ConnectError, PostgresOptions, Schema, connect};
use crate::reader::ask;
use crate::writer::Writer;
use crate::{append, fences, look_up, read, snapshot};

/// An event log in the schema `docket` of one database. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct PostgresLog {
    pool: PgPool,
    writer: Writer,
}

impl PostgresLog {
    /// Connects and brings the schema up to date; several nodes may do so at once.
    ///
    /// # Errors
    /// With what to do about it, and without the password.
    pub async fn connect(url: &str, options: &PostgresOptions) -> Result<Self, ConnectError> {
        let pool = connect(url, options, Schema::log()).await?;
        let writer = Writer::connect(&pool, options).await?;
        Ok(Self { pool, writer })
    }

    /// Waits for what is under way, then closes every connection.
    pub async fn close(&self) {
        self.writer.close().await;
        self.pool.close().await;
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, batch: Batch) -> Result<Vec<UnitOutcome>, LogError> {
        append::append(&self.writer, &self.pool, batch).await
    }

    async fn stream_events(&self, reads: &[StreamRead]) -> Result<Vec<Event>, LogError> {
        ask(&self.pool, |pool| read::stream_events(pool, reads)).await
    }

    async fn stream_page(&self, read: &StreamRead, limit: usize) -> Result<Vec<Event>, LogError> {
        ask(&self.pool, |pool| read::stream_page(pool, read, limit)).await
    }

    async fn event_of_command(
        &self,
        tenant: &Tenant,
        partition: Partition,
        command: CommandId,
    ) -> Result<Option<Event>, LogError> {
        let asked = &[(tenant.clone(), partition, command)];
        let found = ask(&self.pool, |pool| look_up::events_of_commands(pool, asked));
        Ok(found.await?.remove(&asked[0]))
    }

    async fn partition_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        ask(&self.pool, |pool| read::partition_events(pool, partition, after, limit)).await
    }

    async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Page, LogError> {
        ask(&self.pool, |pool| read::tenant_events(pool, tenant, after, limit)).await
    }

    async fn heads(&self) -> Result<Positions, LogError> {
        ask(&self.pool, fences::heads).await
    }

    async fn event_id_at(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<EventId>, LogError> {
        ask(&self.pool, |pool| look_up::event_id_at(pool, partition, position)).await
    }

    async fn tickets_by_external_id(
        &self,
        tenant: &Tenant,
        external_id: &str,
        limit: usize,
    ) -> Result<Vec<TicketId>, LogError> {
        ask(&self.pool, |pool| look_up::tickets_by_external_id(pool, tenant, external_id, limit))
            .await
    }

    async fn snapshots(
        &self,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
        ask(&self.pool, |pool| snapshot::snapshots(pool, tickets)).await
    }

    async fn save_snapshot(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        snapshot: Snapshot,
    ) -> Result<(), LogError> {
        snapshot::save_snapshot(&self.pool, tenant, ticket, &snapshot).await
    }

    async fn incarnations(&self) -> Result<Vec<IncarnationStart>, LogError> {
        ask(&self.pool, fences::incarnations).await
    }

    async fn begin_incarnation(
        &self,
        newest: Option<&Incarnation>,
        next: &Incarnation,
    ) -> Result<Incarnation, LogError> {
        fences::begin_incarnation(&self.pool, newest, next).await
    }

    async fn key_store(&self) -> Result<Option<Uuid>, LogError> {
        ask(&self.pool, fences::key_store).await
    }

    async fn name_key_store(&self, id: Uuid) -> Result<Uuid, LogError> {
        fences::name_key_store(&self.pool, id).await
    }

    async fn erasure_epoch(&self) -> Result<u64, LogError> {
        ask(&self.pool, fences::erasure_epoch).await
    }

    async fn raise_erasure_epoch(&self) -> Result<u64, LogError> {
        fences::raise_erasure_epoch(&self.pool).await
    }

    async fn probe_write(&self) -> Result<(), LogError> {
        fences::probe_write(&self.pool).await
    }
}
