//! The table of sagas, and the barrier of their remote steps.

use async_trait::async_trait;
use docket_engine::ports::log::{LogError, READ_EVENTS_MAX};
use docket_engine::ports::sagas::{
    Barrier, Kept, Passage, Pause, SagaFilter, SagaPlace, SagaRow, SagaTable, Standing,
};
use docket_schemas::saga::Direction;
use docket_schemas::{Event, Partition, Position, Principal, SagaId, Tenant, Timestamp};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::SqliteLog;
use super::place::{last_place, place};
use super::row::{self, event_columns};
use crate::failure::Failure;

/// How a saga stands, and whether it rests because its definition is paused.
macro_rules! standing {
    () => {
        "CASE WHEN saga.standing IN ('running', 'waiting', 'compensating') AND EXISTS (\
          SELECT 1 FROM saga_pause p WHERE p.tenant = saga.tenant AND p.definition = saga.definition AND p.paused) \
         THEN 'paused' ELSE saga.standing END"
    };
}

macro_rules! saga_columns {
    () => {
        concat!(
            "SELECT tenant, id, partition, position, definition, version, ",
            standing!(),
            " AS standing, subject, started_by, role, started_at, ended_at, next_at, failing_step, error FROM saga "
        )
    };
}

const KEEP_SAGA: &str = "INSERT INTO saga (tenant, id, partition, position, definition, version, standing, subject, \
      started_by, role, started_at, ended_at, next_at, failing_step, error) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
     ON CONFLICT (partition, id, tenant) DO UPDATE SET position = excluded.position, \
      standing = excluded.standing, ended_at = excluded.ended_at, next_at = excluded.next_at, \
      failing_step = excluded.failing_step, error = excluded.error \
     WHERE saga.position < excluded.position";

#[async_trait]
impl SagaTable for SqliteLog {
    async fn saga_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        let sql = concat!(
            "SELECT ",
            event_columns!(),
            " FROM event WHERE stream_kind = 3 AND place > ?1 AND place <= ?2 ORDER BY place LIMIT ?3"
        );
        let found = async {
            let query = sqlx::query(sql)
                .bind(place(partition, after))
                .bind(last_place(partition))
                .bind(i64::try_from(limit.min(READ_EVENTS_MAX)).unwrap_or(i64::MAX));
            query
                .fetch_all(self.0.readers())
                .await?
                .iter()
                .map(row::read)
                .collect::<Result<Vec<_>, Failure>>()
        };
        found.await.map_err(self.failed())
    }

    async fn reached(&self, partition: Partition) -> Result<Position, LogError> {
        let found = async {
            let sql = "SELECT position FROM saga_reached WHERE partition = ?1";
            let query = sqlx::query_scalar::<_, i64>(sql).bind(partition.number());
            Ok(query.fetch_one(self.0.readers()).await?.cast_unsigned())
        };
        found.await.map_err(self.failed())
    }

    async fn keep(
        &self,
        partition: Partition,
        from: Position,
        to: Position,
        kept: &Kept,
    ) -> Result<bool, LogError> {
        let kept = kept.clone();
        let keeping = self.0.write(move |connection| {
            Box::pin(async move {
                let sql =
                    "UPDATE saga_reached SET position = ?3 WHERE partition = ?1 AND position = ?2";
                let moved = sqlx::query(sql)
                    .bind(partition.number())
                    .bind(from.cast_signed())
                    .bind(to.cast_signed())
                    .execute(&mut *connection)
                    .await?;
                if moved.rows_affected() == 0 {
                    return Ok(false);
                }
                keep_all(connection, &kept).await?;
                Ok(true)
            })
        });
        keeping.await.map_err(self.failed())
    }

    async fn unended(&self, partition: Partition) -> Result<Vec<SagaRow>, LogError> {
        let found = async {
            let sql = concat!(saga_columns!(), "WHERE partition = ?1 AND ended_at IS NULL");
            let query = sqlx::query(sql).bind(partition.number());
            query
                .fetch_all(self.0.readers())
                .await?
                .iter()
                .map(saga)
                .collect::<Result<Vec<_>, Failure>>()
        };
        found.await.map_err(self.failed())
    }

    async fn find(&self, tenant: &Tenant, id: SagaId) -> Result<Option<SagaRow>, LogError> {
        let found = async {
            let sql = concat!(saga_columns!(), "WHERE partition = ?1 AND id = ?2 AND tenant = ?3");
            let partition = docket_schemas::Stream::saga(id).partition(tenant);
            let query =
                sqlx::query(sql).bind(partition.number()).bind(id.uuid()).bind(tenant.as_str());
            let row = query.fetch_optional(self.0.readers()).await?;
            row.as_ref().map(saga).transpose()
        };
        found.await.map_err(self.failed())
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SagaFilter,
        after: Option<SagaPlace>,
        limit: usize,
    ) -> Result<Vec<SagaRow>, LogError> {
        let (at, id) = match after {
            Some(place) => (place.started_at.micros(), place.id.uuid()),
            None => (i64::MAX, Uuid::max()),
        };
        let found = async {
            let sql = concat!(
                saga_columns!(),
                "WHERE tenant = ?1 AND (?2 IS NULL OR ?2 = ",
                standing!(),
                ") AND (?3 IS NULL OR definition = ?3) AND (?4 IS NULL OR subject = ?4) \
                 AND (?8 IS NULL OR started_by = ?8) AND (started_at, id) < (?5, ?6) ORDER BY started_at DESC, id DESC LIMIT ?7"
            );
            let query = sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(filter.standing.map(Standing::as_str))
                .bind(filter.definition.as_deref())
                .bind(filter.subject.as_deref())
                .bind(at)
                .bind(id)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .bind(filter.started_by.as_ref().map(ToString::to_string));
            query
                .fetch_all(self.0.readers())
                .await?
                .iter()
                .map(saga)
                .collect::<Result<Vec<_>, Failure>>()
        };
        found.await.map_err(self.failed())
    }

    async fn paused(&self) -> Result<Vec<Pause>, LogError> {
        let found = async {
            let sql = "SELECT tenant, definition FROM saga_pause WHERE paused";
            let rows = sqlx::query(sql).fetch_all(self.0.readers()).await?;
            let pause = |row: &SqliteRow| {
                let tenant = parse(row.try_get("tenant")?, "tenant")?;
                Ok(Pause { tenant, definition: row.try_get("definition")?, is_paused: true })
            };
            rows.iter().map(pause).collect::<Result<Vec<_>, Failure>>()
        };
        found.await.map_err(self.failed())
    }
}

async fn keep_all(connection: &mut SqliteConnection, kept: &Kept) -> Result<(), Failure> {
    for row in &kept.sagas {
        sqlx::query(KEEP_SAGA)
            .bind(row.tenant.as_str())
            .bind(row.id.uuid())
            .bind(row.partition.number())
            .bind(row.position.cast_signed())
            .bind(row.definition.as_str())
            .bind(row.version)
            .bind(row.standing.as_str())
            .bind(row.subject.as_str())
            .bind(row.started_by.to_string())
            .bind(row.role.as_str())
            .bind(row.started_at.micros())
            .bind(row.ended_at.map(Timestamp::micros))
            .bind(row.next_at.map(Timestamp::micros))
            .bind(row.failing_step.as_deref())
            .bind(row.error.as_deref())
            .execute(&mut *connection)
            .await?;
    }
    let sql = "INSERT INTO saga_pause (tenant, definition, paused) VALUES (?1, ?2, ?3) \
         ON CONFLICT (tenant, definition) DO UPDATE SET paused = excluded.paused";
    for pause in &kept.pauses {
        sqlx::query(sql)
            .bind(pause.tenant.as_str())
            .bind(pause.definition.as_str())
            .bind(pause.is_paused)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[async_trait]
impl Barrier for SqliteLog {
    async fn pass(
        &self,
        tenant: &Tenant,
        id: SagaId,
        step: &str,
        direction: Direction,
    ) -> Result<Passage, LogError> {
        let call = Call { saga: id.uuid(), tenant: tenant.to_string(), step: step.to_owned() };
        let passing = self.0.write(move |connection| {
            Box::pin(async move { call.pass(connection, direction).await })
        });
        passing.await.map_err(self.failed())
    }
}

struct Call {
    saga: Uuid,
    tenant: String,
    step: String,
}

impl Call {
    async fn pass(
        &self,
        connection: &mut SqliteConnection,
        direction: Direction,
    ) -> Result<Passage, Failure> {
        let fresh_run = self.note(&mut *connection, Direction::Run, direction).await?;
        let sql = "SELECT passed_by FROM saga_barrier \
             WHERE saga = ?1 AND tenant = ?2 AND step = ?3 AND direction = 'run'";
        let by: String = sqlx::query_scalar(sql)
            .bind(self.saga)
            .bind(self.tenant.as_str())
            .bind(self.step.as_str())
            .fetch_one(&mut *connection)
            .await?;
        let fresh = match direction {
            Direction::Run => fresh_run,
            Direction::Undo => self.note(connection, Direction::Undo, Direction::Undo).await?,
        };
        Ok(match (direction, by == Direction::Undo.as_str()) {
            (Direction::Run, true) => Passage::Late,
            (Direction::Undo, true) => Passage::Empty,
            (_, false) if fresh => Passage::First,
            (_, false) => Passage::Again,
        })
    }

    /// Whether it was not there yet.
    async fn note(
        &self,
        connection: &mut SqliteConnection,
        direction: Direction,
        by: Direction,
    ) -> Result<bool, Failure> {
        let sql = "INSERT INTO saga_barrier (saga, tenant, step, direction, passed_by) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let noted = sqlx::query(sql)
            .bind(self.saga)
            .bind(self.tenant.as_str())
            .bind(self.step.as_str())
            .bind(direction.as_str())
            .bind(by.as_str())
            .execute(connection)
            .await?;
        Ok(noted.rows_affected() == 1)
    }
}

fn saga(row: &SqliteRow) -> Result<SagaRow, Failure> {
    let time =
        |name| Ok::<_, Failure>(row.try_get::<Option<i64>, _>(name)?.map(Timestamp::from_micros));
    let number: u8 = row.try_get("partition")?;
    let partition =
        Partition::new(number).ok_or_else(|| Failure::Row("saga: partition".to_owned()))?;
    Ok(SagaRow {
        tenant: parse(row.try_get("tenant")?, "tenant")?,
        id: SagaId::new(row.try_get("id")?),
        partition,
        position: row.try_get::<i64, _>("position")?.cast_unsigned(),
        definition: row.try_get("definition")?,
        version: row.try_get("version")?,
        standing: parse(row.try_get("standing")?, "standing")?,
        subject: row.try_get("subject")?,
        started_by: Principal::from(row.try_get::<&str, _>("started_by")?),
        role: parse(row.try_get("role")?, "role")?,
        started_at: Timestamp::from_micros(row.try_get("started_at")?),
        ended_at: time("ended_at")?,
        next_at: time("next_at")?,
        failing_step: row.try_get("failing_step")?,
        error: row.try_get("error")?,
    })
}

fn parse<T: std::str::FromStr>(text: &str, column: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::Row(format!("saga: {column} `{text}`")))
}
