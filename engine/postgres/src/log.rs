//! The event log on PostgreSQL.

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ports::log::{
    Batch, EventLog, IncarnationStart, LogError, Page, Snapshot, Standing, StreamRead, UnitOutcome,
};
use docket_schemas::{
    CommandId, Event, EventId, Incarnation, Partition, Position, Tenant, TicketId,
};
use uuid::Uuid;

use crate::connect::{ConnectError, PostgresOptions, Schema, connect};
use crate::session::Sessions;
use crate::writer::Writer;
use crate::{append, fences, look_up, read, snapshot};

/// An event log in the schema `docket` of one database. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct PostgresLog {
    sessions: Sessions,
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
        Ok(Self { sessions: Sessions::new(pool, options), writer })
    }

    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Waits for what is under way, then closes every connection.
    pub async fn close(&self) {
        self.writer.close().await;
        self.sessions.close().await;
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, batch: Batch) -> Result<Vec<UnitOutcome>, LogError> {
        append::append(&self.writer, &self.sessions, batch).await
    }

    async fn stream_events(&self, reads: &[StreamRead]) -> Result<Vec<Event>, LogError> {
        read::stream_events(&self.sessions, reads).await
    }

    async fn stream_page(&self, read: &StreamRead, limit: usize) -> Result<Vec<Event>, LogError> {
        read::stream_page(&self.sessions, read, limit).await
    }

    async fn event_of_command(
        &self,
        tenant: &Tenant,
        partition: Partition,
        command: CommandId,
    ) -> Result<Option<Event>, LogError> {
        let asked = [(tenant.clone(), partition, command)];
        let mut found = look_up::events_of_commands(&self.sessions, &asked).await?;
        found.pop().flatten().transpose()
    }

    async fn partition_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        read::partition_events(&self.sessions, partition, after, limit).await
    }

    async fn events_at(&self, places: &[(Partition, Position)]) -> Result<Vec<Event>, LogError> {
        read::events_at(&self.sessions, places).await
    }

    async fn events(&self, after: &Positions, limit: usize) -> Result<Page, LogError> {
        read::all_events(&self.sessions, after, limit).await
    }

    async fn tenant_events(
        &self,
        tenant: &Tenant,
        after: &Positions,
        limit: usize,
    ) -> Result<Page, LogError> {
        read::tenant_events(&self.sessions, tenant, after, limit).await
    }

    async fn heads(&self) -> Result<Positions, LogError> {
        fences::heads(&self.sessions).await
    }

    async fn standing(&self, places: &[(Partition, Position)]) -> Result<Standing, LogError> {
        fences::standing(&self.sessions, places).await
    }

    async fn event_id_at(
        &self,
        partition: Partition,
        position: Position,
    ) -> Result<Option<EventId>, LogError> {
        look_up::event_id_at(&self.sessions, partition, position).await
    }

    async fn tickets_by_external_id(
        &self,
        tenant: &Tenant,
        external_id: &str,
        limit: usize,
    ) -> Result<Vec<TicketId>, LogError> {
        look_up::tickets_by_external_id(&self.sessions, tenant, external_id, limit).await
    }

    async fn snapshots(
        &self,
        tickets: &[(Tenant, TicketId)],
    ) -> Result<Vec<(Tenant, TicketId, Snapshot)>, LogError> {
        snapshot::snapshots(&self.sessions, tickets).await
    }

    async fn save_snapshot(
        &self,
        tenant: &Tenant,
        ticket: TicketId,
        snapshot: Snapshot,
    ) -> Result<(), LogError> {
        snapshot::save_snapshot(&self.sessions, tenant, ticket, &snapshot).await
    }

    async fn incarnations(&self) -> Result<Vec<IncarnationStart>, LogError> {
        fences::incarnations(&self.sessions).await
    }

    async fn begin_incarnation(
        &self,
        newest: Option<&Incarnation>,
        next: &Incarnation,
    ) -> Result<Incarnation, LogError> {
        fences::begin_incarnation(&self.sessions, newest, next).await
    }

    async fn key_store(&self) -> Result<Option<Uuid>, LogError> {
        fences::key_store(&self.sessions).await
    }

    async fn name_key_store(&self, id: Uuid) -> Result<Uuid, LogError> {
        fences::name_key_store(&self.sessions, id).await
    }

    async fn erasure_epoch(&self) -> Result<u64, LogError> {
        fences::erasure_epoch(&self.sessions).await
    }

    async fn raise_erasure_epoch(&self) -> Result<u64, LogError> {
        fences::raise_erasure_epoch(&self.sessions).await
    }

    async fn probe_write(&self) -> Result<(), LogError> {
        fences::probe_write(&self.sessions).await
    }
}
