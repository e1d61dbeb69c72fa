//! Versions: which there are, how a new one begins, and which one answers.

use docket_engine::cursor::Positions;
use docket_projections::store::{Phase, StoreError, Version, VersionNumber};
use docket_schemas::{Incarnation, PARTITIONS, Timestamp};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Executor as _, PgPool};

use crate::failure::{damaged, failed, get};
use crate::row::{partition, position, stored_position};
use crate::slot::Slot;

pub(crate) async fn versions(pool: PgPool) -> Result<Vec<Version>, StoreError> {
    let query = "SELECT v.number, v.compared, v.format, v.incarnation, v.since, a.version IS NOT NULL \
         FROM docket_views.version v LEFT JOIN docket_views.active a ON a.version = v.number \
         ORDER BY v.number";
    let rows = sqlx::query(query).fetch_all(&pool).await.map_err(failed)?;
    rows.iter().map(version).collect()
}

fn version(row: &PgRow) -> Result<Version, StoreError> {
    let phase = match (get(row, 5)?, get(row, 1)?) {
        (true, _) => Phase::Active,
        (false, true) => Phase::Kept,
        (false, false) => Phase::Filling,
    };
    Ok(Version {
        number: get::<i64>(row, 0)?.cast_unsigned(),
        phase,
        format: get::<i16>(row, 2)?.cast_unsigned(),
        incarnation: get::<Option<&str>>(row, 3)?.map(str::parse).transpose().map_err(damaged)?,
        since: Timestamp::from_micros(get(row, 4)?),
    })
}

/// The active version and its slot, locked against a switch.
async fn lock_active(connection: &mut PgConnection) -> Result<(i64, Slot), StoreError> {
    let query = "SELECT a.version, v.slot FROM docket_views.active a \
         JOIN docket_views.version v ON v.number = a.version FOR UPDATE OF a";
    let row = sqlx::query(query).fetch_one(connection).await.map_err(failed)?;
    Ok((get(&row, 0)?, Slot::parse(get(&row, 1)?)?))
}

pub(crate) async fn begin(
    pool: PgPool,
    format: u16,
    now: Timestamp,
) -> Result<VersionNumber, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    let (_, active) = lock_active(&mut transaction).await?;
    let slot = active.other();
    let gone = sqlx::query("DELETE FROM docket_views.version WHERE slot = $1").bind(slot.name());
    transaction.execute(gone).await.map_err(failed)?;
    let emptied = "TRUNCATE docket_views.ticket_{slot}, docket_views.reader_{slot}, \
         docket_views.tag_{slot}, docket_views.counter_{slot}";
    transaction.execute(slot.sql(emptied)).await.map_err(failed)?;
    let bare = sqlx::query("SELECT docket_views.drop_indexes($1)").bind(slot.name());
    transaction.execute(bare).await.map_err(failed)?;
    let begun = "INSERT INTO docket_views.version (slot, filled, format, since) \
         VALUES ($1, false, $2, $3) RETURNING number";
    let row = sqlx::query(begun)
        .bind(slot.name())
        .bind(format.cast_signed())
        .bind(now.micros())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    let number: i64 = get(&row, 0)?;
    let checkpoints = "INSERT INTO docket_views.checkpoint (version, partition, position, recorded_at) \
         SELECT $1, p, 0, 0 FROM generate_series(0, $2) AS p";
    let checkpoints = sqlx::query(checkpoints).bind(number).bind(i32::from(PARTITIONS) - 1);
    transaction.execute(checkpoints).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(number.cast_unsigned())
}

/// Making an index of a large table takes longer than any other statement may. The session for it is not used again.
pub(crate) async fn index(pool: PgPool, version: VersionNumber) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?.detach();
    let Some(slot) = slot_of(&mut connection, version).await? else { return Ok(()) };
    let unhurried = "SET statement_timeout = 0; SET maintenance_work_mem = '256MB'";
    connection.execute(unhurried).await.map_err(failed)?;
    let made = sqlx::query("SELECT docket_views.make_indexes($1)").bind(slot.name());
    connection.execute(made).await.map_err(failed)?;
    // Only of pages that were vacuumed an index answers alone.
    let looked = "VACUUM (ANALYZE) docket_views.ticket_{slot}, docket_views.reader_{slot}, \
         docket_views.tag_{slot}, docket_views.counter_{slot}";
    connection.execute(slot.sql(looked)).await.map_err(failed)?;
    let filled = "UPDATE docket_views.version SET filled = true WHERE number = $1";
    let filled = sqlx::query(filled).bind(version.cast_signed());
    connection.execute(filled).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

pub(crate) async fn vouch(pool: PgPool, version: VersionNumber) -> Result<(), StoreError> {
    let statement = "UPDATE docket_views.version SET compared = true WHERE number = $1 AND filled";
    let compared = sqlx::query(statement).bind(version.cast_signed());
    pool.execute(compared).await.map(drop).map_err(failed)
}

pub(crate) async fn switch(
    pool: PgPool,
    to: VersionNumber,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    let (active, _) = lock_active(&mut transaction).await?;
    // Whoever writes holds the version's row: how far they have come shows in the next statement.
    let hold =
        "SELECT FROM docket_views.version WHERE number IN ($1, $2) ORDER BY number FOR UPDATE";
    let hold = sqlx::query(hold).bind(to.cast_signed()).bind(active);
    transaction.execute(hold).await.map_err(failed)?;
    // Positions of another incarnation are not compared: the log was restored since.
    let ready = "SELECT v.compared AND NOT EXISTS (SELECT FROM docket_views.checkpoint n \
           JOIN docket_views.checkpoint o ON o.partition = n.partition AND o.version = $2 \
           JOIN docket_views.version w ON w.number = o.version \
           WHERE n.version = v.number AND n.position < o.position \
             AND w.incarnation IS NOT DISTINCT FROM v.incarnation) \
         FROM docket_views.version v WHERE v.number = $1 AND v.number <> $2";
    let ready = sqlx::query(ready)
        .bind(to.cast_signed())
        .bind(active)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
    let ready = ready.map(|row| get::<bool>(&row, 0)).transpose()?;
    if ready != Some(true) {
        transaction.rollback().await.map_err(failed)?;
        return Ok(false);
    }
    let since = "UPDATE docket_views.version SET since = $1 WHERE number IN ($2, $3)";
    let since = sqlx::query(since).bind(now.micros()).bind(active).bind(to.cast_signed());
    transaction.execute(since).await.map_err(failed)?;
    let switched = sqlx::query("UPDATE docket_views.active SET version = $1");
    transaction.execute(switched.bind(to.cast_signed())).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(true)
}

pub(crate) async fn drop_version(pool: PgPool, version: VersionNumber) -> Result<(), StoreError> {
    let statement = "DELETE FROM docket_views.version v WHERE v.number = $1 \
         AND NOT EXISTS (SELECT FROM docket_views.active a WHERE a.version = v.number)";
    let dropped = sqlx::query(statement).bind(version.cast_signed());
    pool.execute(dropped).await.map(drop).map_err(failed)
}

pub(crate) async fn go_on_as(
    pool: PgPool,
    version: VersionNumber,
    (from, to): (Option<Incarnation>, Incarnation),
    within: Positions,
) -> Result<bool, StoreError> {
    // Whoever writes holds the version's row: what they have written shows in the next statement.
    let hold = "SELECT FROM docket_views.version \
         WHERE number = $1 AND incarnation IS NOT DISTINCT FROM $2 FOR UPDATE";
    let rename = "UPDATE docket_views.version SET incarnation = $2 WHERE number = $1 AND NOT EXISTS \
         (SELECT FROM docket_views.checkpoint c \
          JOIN unnest($3::smallint[], $4::bigint[]) AS w (partition, position) USING (partition) \
          WHERE c.version = $1 AND c.position > w.position)";
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    let held =
        sqlx::query(hold).bind(version.cast_signed()).bind(from.map(|from| from.to_string()));
    if transaction.fetch_optional(held).await.map_err(failed)?.is_none() {
        transaction.rollback().await.map_err(failed)?;
        return Ok(false);
    }
    let (partitions, positions): (Vec<i16>, Vec<i64>) =
        within.iter().map(|(one, at)| (i16::from(one.number()), stored_position(at))).unzip();
    let named = sqlx::query(rename)
        .bind(version.cast_signed())
        .bind(to.to_string())
        .bind(partitions)
        .bind(positions);
    let done = transaction.execute(named).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn checkpoints(
    pool: PgPool,
    version: Option<VersionNumber>,
) -> Result<Positions, StoreError> {
    let query = "SELECT c.partition, c.position FROM docket_views.checkpoint c \
         WHERE c.version = coalesce($1, (SELECT a.version FROM docket_views.active a))";
    let asked = sqlx::query(query).bind(version.map(u64::cast_signed));
    let mut positions = Positions::START;
    for row in asked.fetch_all(&pool).await.map_err(failed)? {
        positions.set(partition(get(&row, 0)?)?, position(get(&row, 1)?)?);
    }
    Ok(positions)
}

/// Where a version lives; nowhere once it was dropped.
pub(crate) async fn slot_of(
    connection: &mut PgConnection,
    version: VersionNumber,
) -> Result<Option<Slot>, StoreError> {
    let query = "SELECT v.slot FROM docket_views.version v WHERE v.number = $1";
    let asked = sqlx::query(query).bind(version.cast_signed()).fetch_optional(connection).await;
    asked.map_err(failed)?.map(|row| Slot::parse(get(&row, 0)?)).transpose()
}
