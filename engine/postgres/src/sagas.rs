//! The table of sagas, and the barrier of their remote steps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use docket_engine::ports::log::{LogError, READ_EVENTS_MAX};
use docket_engine::ports::sagas::{
    Barrier, Kept, Passage, Pause, SagaFilter, SagaPlace, SagaRow, SagaTable, Standing,
};
use docket_schemas::saga::Direction;
use docket_schemas::{
    Event, Partition, Position, Principal, Role, SagaId, Stream, Tenant, Timestamp,
};
use sqlx::postgres::PgRow;

use crate::event_row::{event, event_columns, get, partition, position, stored_position};
use crate::failure::{damaged, failed};
use crate::log::PostgresLog;

const KEEP: &str = "WITH moved AS (\
      UPDATE docket.saga_reached r SET position = $3 WHERE r.partition = $1 AND r.position = $2 RETURNING 1), \
     kept AS (\
      INSERT INTO docket.saga AS s (partition, position, id, tenant, definition, version, standing, subject, \
       started_by, role, started_at, ended_at, next_at, failing_step, error) \
      SELECT $1, n.* FROM unnest($4::bigint[], $5::uuid[], $6::text[], $7::text[], $8::integer[], $9::text[], \
       $10::text[], $11::text[], $12::smallint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], \
       $17::text[]) AS n WHERE EXISTS (SELECT FROM moved) \
      ON CONFLICT (partition, id, tenant) DO UPDATE SET position = excluded.position, \
       standing = excluded.standing, ended_at = excluded.ended_at, next_at = excluded.next_at, \
       failing_step = excluded.failing_step, error = excluded.error \
      WHERE s.position < excluded.position), \
     paused AS (\
      INSERT INTO docket.saga_pause AS p (tenant, definition, paused) \
      SELECT n.* FROM unnest($18::text[], $19::text[], $20::boolean[]) AS n WHERE EXISTS (SELECT FROM moved) \
      ON CONFLICT (tenant, definition) DO UPDATE SET paused = excluded.paused) \
     SELECT count(*) FROM moved";

/// How a saga stands, and whether it rests because its definition is paused.
macro_rules! standing {
    () => {
        "CASE WHEN s.standing IN ('running', 'waiting', 'compensating') AND EXISTS (\
          SELECT FROM docket.saga_pause p WHERE p.tenant = s.tenant AND p.definition = s.definition AND p.paused) \
         THEN 'paused' ELSE s.standing END"
    };
}

macro_rules! saga_columns {
    () => {
        concat!(
            "SELECT s.tenant, s.id, s.partition, s.position, s.definition, s.version, ",
            standing!(),
            ", s.subject, s.started_by, s.role, s.started_at, s.ended_at, s.next_at, s.failing_step, s.error \
             FROM docket.saga s "
        )
    };
}

const PASS_RUN: &str = "INSERT INTO docket.saga_barrier AS b (partition, saga, tenant, step, direction, passed_by) \
     VALUES ($1, $2, $3, $4, 'run', 'run') ON CONFLICT (partition, saga, tenant, step, direction) \
     DO UPDATE SET passed_by = b.passed_by RETURNING b.passed_by, xmax = 0";

const PASS_UNDO: &str = "WITH run AS (\
      INSERT INTO docket.saga_barrier AS b (partition, saga, tenant, step, direction, passed_by) \
      VALUES ($1, $2, $3, $4, 'run', 'undo') ON CONFLICT (partition, saga, tenant, step, direction) \
      DO UPDATE SET passed_by = b.passed_by RETURNING b.passed_by), \
     undo AS (\
      INSERT INTO docket.saga_barrier AS b (partition, saga, tenant, step, direction, passed_by) \
      VALUES ($1, $2, $3, $4, 'undo', 'undo') ON CONFLICT (partition, saga, tenant, step, direction) \
      DO UPDATE SET passed_by = b.passed_by RETURNING xmax = 0 AS fresh) \
     SELECT run.passed_by, undo.fresh FROM run, undo";

#[async_trait]
impl SagaTable for PostgresLog {
    async fn saga_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        const QUERY: &str = concat!(
            "SELECT ",
            event_columns!(),
            " FROM docket.event e WHERE e.partition = $1 AND e.position > $2 AND e.stream_kind = 3",
            " ORDER BY e.position LIMIT $3"
        );
        let question = || {
            sqlx::query(QUERY)
                .bind(i16::from(partition.number()))
                .bind(stored_position(after))
                .bind(i64::try_from(limit.min(READ_EVENTS_MAX)).unwrap_or(0))
        };
        let rows = self.sessions().ask(question).await.map_err(failed)?;
        rows.iter().map(event).collect()
    }

    async fn reached(&self, partition: Partition) -> Result<Position, LogError> {
        let number = i16::from(partition.number());
        let query = "SELECT r.position FROM docket.saga_reached r WHERE r.partition = $1";
        let rows = self.sessions().ask(|| sqlx::query(query).bind(number)).await.map_err(failed)?;
        let row = rows.first().ok_or_else(|| damaged("a partition is missing in saga_reached"))?;
        position(get(row, 0)?)
    }

    async fn keep(
        &self,
        partition: Partition,
        from: Position,
        to: Position,
        kept: &Kept,
    ) -> Result<bool, LogError> {
        let rows = &kept.sagas;
        // One statement touches a row once: the last word counts.
        let pauses: BTreeMap<(&str, &str), bool> = kept
            .pauses
            .iter()
            .map(|pause| ((pause.tenant.as_str(), pause.definition.as_str()), pause.is_paused))
            .collect();
        let each = |part: fn(&SagaRow) -> String| rows.iter().map(part).collect::<Vec<_>>();
        let micros = |time: Option<Timestamp>| time.map(Timestamp::micros);
        let keep = sqlx::query(KEEP)
            .bind(i16::from(partition.number()))
            .bind(stored_position(from))
            .bind(stored_position(to))
            .bind(rows.iter().map(|row| stored_position(row.position)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.id.uuid()).collect::<Vec<_>>())
            .bind(each(|row| row.tenant.to_string()))
            .bind(each(|row| row.definition.clone()))
            .bind(rows.iter().map(|row| i32::from(row.version)).collect::<Vec<_>>())
            .bind(each(|row| row.standing.as_str().to_owned()))
            .bind(each(|row| row.subject.clone()))
            .bind(each(|row| row.started_by.to_string()))
            .bind(rows.iter().map(|row| i16::from(row.role.code())).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.started_at.micros()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| micros(row.ended_at)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| micros(row.next_at)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.failing_step.clone()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.error.clone()).collect::<Vec<_>>())
            .bind(pauses.keys().map(|(tenant, _)| (*tenant).to_owned()).collect::<Vec<_>>())
            .bind(pauses.keys().map(|(_, definition)| (*definition).to_owned()).collect::<Vec<_>>())
            .bind(pauses.values().copied().collect::<Vec<_>>());
        let answer = self.sessions().send(keep).await.map_err(failed)?;
        Ok(answer.first().map(|row| get::<i64>(row, 0)).transpose()? == Some(1))
    }

    async fn unended(&self, partition: Partition) -> Result<Vec<SagaRow>, LogError> {
        let number = i16::from(partition.number());
        let query = concat!(saga_columns!(), "WHERE s.partition = $1 AND s.ended_at IS NULL");
        let rows = self.sessions().ask(|| sqlx::query(query).bind(number)).await.map_err(failed)?;
        rows.iter().map(saga).collect()
    }

    async fn find(&self, tenant: &Tenant, id: SagaId) -> Result<Option<SagaRow>, LogError> {
        let query =
            concat!(saga_columns!(), "WHERE s.partition = $1 AND s.id = $2 AND s.tenant = $3");
        let question = || {
            sqlx::query(query)
                .bind(partition_of(tenant, id))
                .bind(id.uuid())
                .bind(tenant.as_str().to_owned())
        };
        let rows = self.sessions().ask(question).await.map_err(failed)?;
        rows.first().map(saga).transpose()
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SagaFilter,
        after: Option<SagaPlace>,
        limit: usize,
    ) -> Result<Vec<SagaRow>, LogError> {
        let query = concat!(
            saga_columns!(),
            "WHERE s.tenant = $1 AND ($2::text IS NULL OR $2 = ",
            standing!(),
            ") AND ($3::text IS NULL OR s.definition = $3) AND ($4::text IS NULL OR s.subject = $4) \
             AND ($8::text IS NULL OR s.started_by = $8) AND (s.started_at, s.id) < ($5, $6) ORDER BY s.started_at DESC, s.id DESC LIMIT $7"
        );
        let (at, id) = match after {
            Some(place) => (place.started_at.micros(), place.id.uuid()),
            None => (i64::MAX, uuid::Uuid::max()),
        };
        let question = || {
            sqlx::query(query)
                .bind(tenant.as_str().to_owned())
                .bind(filter.standing.map(Standing::as_str))
                .bind(filter.definition.clone())
                .bind(filter.subject.clone())
                .bind(at)
                .bind(id)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .bind(filter.started_by.as_ref().map(ToString::to_string))
        };
        let rows = self.sessions().ask(question).await.map_err(failed)?;
        rows.iter().map(saga).collect()
    }

    async fn paused(&self) -> Result<Vec<Pause>, LogError> {
        let query = "SELECT p.tenant, p.definition FROM docket.saga_pause p WHERE p.paused";
        let rows = self.sessions().ask(|| sqlx::query(query)).await.map_err(failed)?;
        let pause = |row: &PgRow| {
            let tenant = get::<&str>(row, 0)?.parse().map_err(damaged)?;
            Ok(Pause { tenant, definition: get(row, 1)?, is_paused: true })
        };
        rows.iter().map(pause).collect()
    }
}

#[async_trait]
impl Barrier for PostgresLog {
    async fn pass(
        &self,
        tenant: &Tenant,
        id: SagaId,
        step: &str,
        direction: Direction,
    ) -> Result<Passage, LogError> {
        let query = match direction {
            Direction::Run => PASS_RUN,
            Direction::Undo => PASS_UNDO,
        };
        let pass = sqlx::query(query)
            .bind(partition_of(tenant, id))
            .bind(id.uuid())
            .bind(tenant.as_str().to_owned())
            .bind(step.to_owned());
        let rows = self.sessions().send(pass).await.map_err(failed)?;
        let row = rows.first().ok_or_else(|| damaged("the barrier said nothing"))?;
        let was_undo = get::<&str>(row, 0)? == Direction::Undo.as_str();
        let fresh: bool = get(row, 1)?;
        Ok(match (direction, was_undo) {
            (Direction::Run, true) => Passage::Late,
            (Direction::Undo, true) => Passage::Empty,
            (_, false) if fresh => Passage::First,
            (_, false) => Passage::Again,
        })
    }
}

fn saga(row: &PgRow) -> Result<SagaRow, LogError> {
    let role = get::<i16>(row, 9)?;
    let time = |column| Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_micros));
    Ok(SagaRow {
        tenant: get::<&str>(row, 0)?.parse().map_err(damaged)?,
        id: SagaId::new(get(row, 1)?),
        partition: partition(get(row, 2)?)?,
        position: position(get(row, 3)?)?,
        definition: get(row, 4)?,
        version: version(get(row, 5)?)?,
        standing: get::<&str>(row, 6)?.parse().map_err(damaged)?,
        subject: get(row, 7)?,
        started_by: Principal::from(get::<&str>(row, 8)?),
        role: Role::ALL
            .into_iter()
            .find(|known| i16::from(known.code()) == role)
            .ok_or_else(|| damaged("unknown role"))?,
        started_at: Timestamp::from_micros(get(row, 10)?),
        ended_at: time(11)?,
        next_at: time(12)?,
        failing_step: get(row, 13)?,
        error: get(row, 14)?,
    })
}

fn version(stored: i32) -> Result<u16, LogError> {
    u16::try_from(stored).map_err(damaged)
}

fn partition_of(tenant: &Tenant, id: SagaId) -> i16 {
    Stream::saga(id).partition(tenant).number().into()
}
