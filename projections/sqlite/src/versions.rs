//! Versions: which there are, how a new one begins, and which one answers.

use docket_engine::cursor::Positions;
use docket_projections::store::{Phase, StoreError, Version, VersionNumber};
use docket_schemas::{Incarnation, PARTITIONS, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::failure::{damaged, failed, get};
use crate::file::Ended;
use crate::row::{partition, position};
use crate::slot::Slot;

/// What lists filter by, in the order in which most of them are asked for; each also holds tenant and id.
const INDEXES: [(&str, &str); 8] = [
    ("created_at", "created_at"),
    ("updated_at", "updated_at"),
    ("priority", "priority"),
    ("status_updated_at", "status, updated_at"),
    ("assignee_id_updated_at", "assignee_id, updated_at"),
    ("group_id_updated_at", "group_id, updated_at"),
    ("requester_id_updated_at", "requester_id, updated_at"),
    ("type_updated_at", "type, updated_at"),
];

/// What each of them holds beside that: entries that do not fit are passed over without a look at their rows.
const FILTERS: [&str; 7] =
    ["status", "priority", "type", "assignee_id", "group_id", "created_at", "updated_at"];

pub(crate) async fn versions(
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, StoreError> {
    let query = "SELECT v.number, v.compared, v.format, v.incarnation, v.since, a.version IS NOT NULL \
         FROM version v LEFT JOIN active a ON a.version = v.number ORDER BY v.number";
    let rows = sqlx::query(query).fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(version).collect()
}

fn version(row: &SqliteRow) -> Result<Version, StoreError> {
    let phase = match (get(row, 5)?, get(row, 1)?) {
        (true, _) => Phase::Active,
        (false, true) => Phase::Kept,
        (false, false) => Phase::Filling,
    };
    Ok(Version {
        number: get::<i64>(row, 0)?.cast_unsigned(),
        phase,
        format: u16::try_from(get::<i64>(row, 2)?).map_err(damaged)?,
        incarnation: get::<Option<&str>>(row, 3)?.map(str::parse).transpose().map_err(damaged)?,
        since: Timestamp::from_micros(get(row, 4)?),
    })
}

/// The active version and its slot.
pub(crate) async fn active(connection: &mut SqliteConnection) -> Result<(i64, Slot), StoreError> {
    let query = "SELECT a.version, v.slot FROM active a JOIN version v ON v.number = a.version";
    let row = sqlx::query(query).fetch_one(connection).await.map_err(failed)?;
    Ok((get(&row, 0)?, Slot::parse(get(&row, 1)?)?))
}

/// Whose positions a version's checkpoints are.
pub(crate) async fn incarnation(
    connection: &mut SqliteConnection,
    version: i64,
) -> Result<Option<Incarnation>, StoreError> {
    let query = "SELECT incarnation FROM version WHERE number = ?1";
    let row = sqlx::query(query).bind(version).fetch_one(connection).await.map_err(failed)?;
    get::<Option<&str>>(&row, 0)?.map(str::parse).transpose().map_err(damaged)
}

pub(crate) async fn begin(
    connection: &mut SqliteConnection,
    format: u16,
    now: Timestamp,
) -> Result<Ended<VersionNumber>, StoreError> {
    let slot = active(connection).await?.1.other();
    let gone = sqlx::query("DELETE FROM version WHERE slot = ?1").bind(slot.name());
    gone.execute(&mut *connection).await.map_err(failed)?;
    for (name, _) in INDEXES {
        let bare = slot.sql(&format!("DROP INDEX IF EXISTS ticket_{{slot}}_by_{name}"));
        sqlx::query(bare).execute(&mut *connection).await.map_err(failed)?;
    }
    for table in ["ticket", "reader", "tag", "counter"] {
        let emptied = slot.sql(&format!("DELETE FROM {table}_{{slot}}"));
        sqlx::query(emptied).execute(&mut *connection).await.map_err(failed)?;
    }
    let begun = "INSERT INTO version (slot, filled, format, since) VALUES (?1, 0, ?2, ?3) \
         RETURNING number";
    let begun = sqlx::query(begun).bind(slot.name()).bind(format).bind(now.micros());
    let number: i64 = get(&begun.fetch_one(&mut *connection).await.map_err(failed)?, 0)?;
    for one in 0..PARTITIONS {
        let checkpoint = "INSERT INTO checkpoint (version, partition, position, recorded_at) \
             VALUES (?1, ?2, 0, 0)";
        let checkpoint = sqlx::query(checkpoint).bind(number).bind(one);
        checkpoint.execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(Ended::Committed(number.cast_unsigned()))
}

pub(crate) async fn index(
    connection: &mut SqliteConnection,
    version: VersionNumber,
) -> Result<Ended<()>, StoreError> {
    let Some(slot) = slot_of(connection, version).await? else { return Ok(Ended::RolledBack(())) };
    for (name, columns) in INDEXES {
        let others =
            FILTERS.into_iter().filter(|filter| !columns.split(", ").any(|c| c == *filter));
        let others = others.collect::<Vec<_>>().join(", ");
        let made = slot.sql(&format!(
            "CREATE INDEX IF NOT EXISTS ticket_{{slot}}_by_{name} \
             ON ticket_{{slot}} (tenant, {columns}, ticket_id, {others})"
        ));
        sqlx::query(made).execute(&mut *connection).await.map_err(failed)?;
    }
    let filled = sqlx::query("UPDATE version SET filled = 1 WHERE number = ?1");
    filled.bind(version.cast_signed()).execute(&mut *connection).await.map_err(failed)?;
    Ok(Ended::Committed(()))
}

pub(crate) async fn vouch(
    connection: &mut SqliteConnection,
    version: VersionNumber,
) -> Result<Ended<()>, StoreError> {
    let compared = sqlx::query("UPDATE version SET compared = 1 WHERE number = ?1 AND filled");
    compared.bind(version.cast_signed()).execute(connection).await.map_err(failed)?;
    Ok(Ended::Committed(()))
}

pub(crate) async fn switch(
    connection: &mut SqliteConnection,
    to: VersionNumber,
    now: Timestamp,
) -> Result<Ended<bool>, StoreError> {
    let (from, _) = active(connection).await?;
    // Positions of another incarnation are not compared: the log was restored since.
    let ready = "SELECT v.compared AND NOT EXISTS (SELECT 1 FROM checkpoint n \
           JOIN checkpoint o ON o.partition = n.partition AND o.version = ?2 \
           JOIN version w ON w.number = o.version \
           WHERE n.version = v.number AND n.position < o.position \
             AND w.incarnation IS v.incarnation) \
         FROM version v WHERE v.number = ?1 AND v.number <> ?2";
    let ready = sqlx::query(ready).bind(to.cast_signed()).bind(from);
    let ready = ready.fetch_optional(&mut *connection).await.map_err(failed)?;
    if ready.map(|row| get::<bool>(&row, 0)).transpose()? != Some(true) {
        return Ok(Ended::RolledBack(false));
    }
    let since = sqlx::query("UPDATE version SET since = ?1 WHERE number IN (?2, ?3)");
    let since = since.bind(now.micros()).bind(from).bind(to.cast_signed());
    since.execute(&mut *connection).await.map_err(failed)?;
    let switched = sqlx::query("UPDATE active SET version = ?1").bind(to.cast_signed());
    switched.execute(&mut *connection).await.map_err(failed)?;
    Ok(Ended::Committed(true))
}

pub(crate) async fn drop_version(
    connection: &mut SqliteConnection,
    version: VersionNumber,
) -> Result<Ended<()>, StoreError> {
    let statement = "DELETE FROM version WHERE number = ?1 \
         AND NOT EXISTS (SELECT 1 FROM active a WHERE a.version = version.number)";
    let dropped = sqlx::query(statement).bind(version.cast_signed());
    dropped.execute(connection).await.map_err(failed)?;
    Ok(Ended::Committed(()))
}

pub(crate) async fn go_on_as(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    (from, to): (Option<Incarnation>, Incarnation),
    within: Positions,
) -> Result<Ended<bool>, StoreError> {
    let standing = checkpoints(connection, version.cast_signed()).await?;
    if !within.covers(&standing) {
        return Ok(Ended::RolledBack(false));
    }
    let statement = "UPDATE version SET incarnation = ?3 WHERE number = ?1 AND incarnation IS ?2";
    let named = sqlx::query(statement)
        .bind(version.cast_signed())
        .bind(from.map(|from| from.to_string()))
        .bind(to.to_string());
    let done = named.execute(connection).await.map_err(failed)?;
    Ok(Ended::Committed(done.rows_affected() == 1))
}

pub(crate) async fn checkpoints(
    connection: &mut SqliteConnection,
    version: i64,
) -> Result<Positions, StoreError> {
    let query = "SELECT partition, position FROM checkpoint WHERE version = ?1";
    let mut positions = Positions::START;
    let asked = sqlx::query(query).bind(version).fetch_all(connection).await;
    for row in asked.map_err(failed)? {
        positions.set(partition(get(&row, 0)?)?, position(get(&row, 1)?)?);
    }
    Ok(positions)
}

/// Where a version lives, if it is of this incarnation still.
pub(crate) async fn slot_under(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    under: Option<Incarnation>,
) -> Result<Option<Slot>, StoreError> {
    let query = "SELECT slot FROM version \
         WHERE number = ?1 AND (?2 IS NULL OR incarnation = ?2)";
    let asked = sqlx::query(query)
        .bind(version.cast_signed())
        .bind(under.map(|under| under.to_string()))
        .fetch_optional(connection);
    asked.await.map_err(failed)?.map(|row| Slot::parse(get(&row, 0)?)).transpose()
}

/// Where a version lives; nowhere once it was dropped.
pub(crate) async fn slot_of(
    connection: &mut SqliteConnection,
    version: VersionNumber,
) -> Result<Option<Slot>, StoreError> {
    let asked = sqlx::query("SELECT slot FROM version WHERE number = ?1");
    let found = asked.bind(version.cast_signed()).fetch_optional(connection).await;
    found.map_err(failed)?.map(|row| Slot::parse(get(&row, 0)?)).transpose()
}
