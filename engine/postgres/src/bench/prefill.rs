//! Prefilling: copies of real events under fresh ids, made by the server, as a log of that size would hold them.

use sqlx::{Executor as _, PgConnection};

use super::{BenchDatabase, BenchError, settle};

/// Copies made by one statement.
const CHUNK_ROWS: i64 = 100_000;
/// Events that are copied over and over.
const PATTERNS: i64 = 1_000;
/// How many events a millisecond the copies pretend to have been: ids begin with the time.
const EVENTS_PER_MILLISECOND: i64 = 20;

const PATTERN: &str = "CREATE TEMPORARY TABLE pattern AS \
    SELECT row_number() OVER () - 1 AS number, p.* \
    FROM (SELECT * FROM docket.event ORDER BY partition, position LIMIT $1) AS p";

/// `$1` copies that end `$2` milliseconds ago, spread evenly over the partitions. Stream, event and command begin with
/// one time, as those of real events do, and so does nothing else.
const COPY: &str = "INSERT INTO docket.event (
        position, recorded_at, occurred_at, policy, partition, stream_kind, schema, role, public, observed_given,
        stream_id, event_id, command_id, tenant, origin_region, type, device, data, person, principal,
        seq, max_op, actor, hash, deps, change, key_id, sealed)
    SELECT
        h.position + 1 + n.number / 16, last.recorded_at + 1 + n.number, p.occurred_at, p.policy, h.partition,
        p.stream_kind, p.schema, p.role, p.public, p.observed_given,
        overlay(gen_random_uuid()::text PLACING n.time FROM 1)::uuid,
        overlay(gen_random_uuid()::text PLACING n.time FROM 1)::uuid,
        overlay(gen_random_uuid()::text PLACING n.time FROM 1)::uuid,
        p.tenant, p.origin_region, p.type, p.device, p.data, p.person, p.principal, p.seq, p.max_op,
        gen_random_uuid(), uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), p.deps, p.change,
        p.key_id, p.sealed
    FROM (
        SELECT i AS number, regexp_replace(lpad(to_hex(
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2 - ($1 - i) / $3), 12, '0'),
            '(.{8})', '\\1-') AS time
        FROM generate_series(0, $1 - 1) AS i
    ) AS n
    JOIN docket.partition_head h ON h.partition = n.number % 16
    JOIN pattern p ON p.number = n.number % (SELECT count(*) FROM pattern)
    CROSS JOIN (SELECT max(recorded_at) AS recorded_at FROM docket.partition_head) AS last
    ORDER BY n.number";

/// Behind `$1` copies.
const ADVANCE: &str = "UPDATE docket.partition_head h \
    SET position = h.position + ($1 - h.partition + 15) / 16, recorded_at = last.recorded_at + $1 \
    FROM (SELECT max(recorded_at) AS recorded_at FROM docket.partition_head) AS last";

impl BenchDatabase {
    /// Fills the log up to `events`, and leaves nothing for the server to catch up with.
    ///
    /// # Errors
    /// When the server fails, or the log has no event that could be copied.
    pub async fn prefill(&self, events: u64) -> Result<(), BenchError> {
        let there = self.size().await?.events;
        let missing = i64::try_from(events.saturating_sub(there)).unwrap_or(i64::MAX);
        let mut connection = self.connect().await?;
        connection.execute("RESET enable_seqscan; RESET enable_hashjoin").await?;
        connection.execute(sqlx::query(PATTERN).bind(PATTERNS)).await?;
        let mut left = missing;
        while left > 0 {
            let count = left.min(CHUNK_ROWS);
            left -= count;
            copy(&mut connection, count, left / EVENTS_PER_MILLISECOND).await?;
        }
        settle(&mut connection).await
    }
}

async fn copy(connection: &mut PgConnection, count: i64, ago: i64) -> Result<(), BenchError> {
    let copied = sqlx::query(COPY).bind(count).bind(ago).bind(EVENTS_PER_MILLISECOND);
    connection.execute(copied).await?;
    connection.execute(sqlx::query(ADVANCE).bind(count)).await.map(drop)
}
