//! Mending: rows replaced whatever their positions, and a partition counted anew.

use docket_projections::Taken;
use docket_projections::counters::Deltas;
use docket_projections::store::{Mending, StoreError, VersionNumber};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::failure::failed;
use crate::file::Ended;
use crate::row::{cell_values, cells, counted_columns, id, old, stored_position, ticket_columns};
use crate::slot::Slot;
use crate::versions::{checkpoints, slot_of};
use crate::write::{Changes, count, each, park};

pub(crate) async fn mend(
    connection: &mut SqliteConnection,
    version: VersionNumber,
    mending: Mending,
) -> Result<Ended<Taken>, StoreError> {
    let Some(slot) = slot_of(connection, version).await? else {
        return Ok(Ended::RolledBack(Taken::Fenced));
    };
    let stands = checkpoints(connection, version.cast_signed()).await?.get(mending.partition);
    if stands != mending.checkpoint {
        return Ok(Ended::RolledBack(Taken::Fenced));
    }
    remove(connection, slot, version, &mending).await?;
    insert(connection, slot, &mending).await?;
    recount(connection, slot, &mending).await?;
    let moved = "UPDATE checkpoint SET position = ?3 WHERE version = ?1 AND partition = ?2";
    let moved = sqlx::query(moved)
        .bind(version.cast_signed())
        .bind(mending.partition.number())
        .bind(stored_position(mending.upto));
    moved.execute(&mut *connection).await.map_err(failed)?;
    park(connection, version, mending.partition, &mending.parked).await?;
    Ok(Ended::Committed(Taken::Done))
}

/// Everything about the tickets that are replaced or gone.
async fn remove(
    connection: &mut SqliteConnection,
    slot: Slot,
    version: VersionNumber,
    mending: &Mending,
) -> Result<(), StoreError> {
    let replaced = mending.rows.iter().map(|row| (&row.tenant, row.ticket));
    let gone = mending.gone.iter().map(|(tenant, ticket)| (tenant, *ticket));
    let keys = replaced.chain(gone).map(|(tenant, ticket)| json!([tenant, id(ticket.uuid())]));
    let keys: Vec<Value> = keys.collect();
    for table in ["ticket", "reader", "tag"] {
        let template = format!(
            "DELETE FROM {table}_{{slot}} WHERE (tenant, ticket_id) IN \
             (SELECT value ->> 0, unhex(value ->> 1) FROM json_each(?1))"
        );
        each(connection, slot.sql(&template), &keys).await?;
    }
    let unparked = "DELETE FROM parked WHERE version = ?1 AND (tenant, ticket_id) IN \
         (SELECT value ->> 0, unhex(value ->> 1) FROM json_each(?2))";
    let unparked = sqlx::query(unparked).bind(version.cast_signed());
    let unparked = unparked.bind(Value::Array(keys).to_string());
    unparked.execute(&mut *connection).await.map_err(failed)?;
    let readable = "DELETE FROM parked WHERE version = ?1 AND partition = ?2 AND tenant = '' \
         AND place IN (SELECT value FROM json_each(?3))";
    let places = mending.readable.iter().map(|place| json!(stored_position(*place))).collect();
    let readable = sqlx::query(readable)
        .bind(version.cast_signed())
        .bind(mending.partition.number())
        .bind(Value::Array(places).to_string());
    readable.execute(connection).await.map(drop).map_err(failed)
}

async fn insert(
    connection: &mut SqliteConnection,
    slot: Slot,
    mending: &Mending,
) -> Result<(), StoreError> {
    const INSERT: &str = concat!(
        "INSERT INTO ticket_{slot} (",
        ticket_columns!(),
        ") SELECT ",
        cell_values!(),
        " FROM json_each(?1)"
    );
    let rows: Vec<Value> = mending.rows.iter().map(cells).collect();
    each(connection, slot.sql(INSERT), &rows).await?;
    let mut changes = Changes::default();
    for row in &mending.rows {
        changes.replace(None, row);
    }
    // They are counted with all others.
    changes.counters = Deltas::default();
    changes.write(connection, slot).await
}

async fn recount(
    connection: &mut SqliteConnection,
    slot: Slot,
    mending: &Mending,
) -> Result<(), StoreError> {
    const COUNTED: &str =
        concat!("SELECT ", counted_columns!(), " FROM ticket_{slot} t WHERE t.partition = ?1");
    let number = mending.partition.number();
    let emptied = slot.sql("DELETE FROM counter_{slot} WHERE partition = ?1");
    sqlx::query(emptied).bind(number).execute(&mut *connection).await.map_err(failed)?;
    let asked = sqlx::query(slot.sql(COUNTED)).bind(number);
    let mut counters = Deltas::default();
    for row in asked.fetch_all(&mut *connection).await.map_err(failed)? {
        let old = old(&row)?;
        if let Some(counted) = &old.counted {
            counters.count(&old.tenant, mending.partition, counted);
        }
    }
    count(connection, slot, counters.changes()).await
}
