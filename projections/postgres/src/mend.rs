//! Mending: rows replaced whatever their positions, and a partition counted anew.

use docket_projections::Taken;
use docket_projections::counters::{CounterKey, Deltas};
use docket_projections::row::TicketRow;
use docket_projections::store::{Mending, StoreError, VersionNumber};
use docket_schemas::Tenant;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection as _, Executor as _};
use uuid::Uuid;

use crate::failure::{failed, get};
use crate::row::{bind, counted_columns, old, stored_position, ticket_columns};
use crate::slot::Slot;
use crate::write::{Changes, count, park};

pub(crate) async fn mend(
    pool: PgPool,
    version: VersionNumber,
    mending: Mending,
) -> Result<Taken, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    transaction
        .execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on")
        .await
        .map_err(failed)?;
    let held = "SELECT v.slot FROM docket_views.checkpoint c \
         JOIN docket_views.version v ON v.number = c.version \
         WHERE c.version = $1 AND c.partition = $2 AND c.position = $3 FOR UPDATE OF c";
    let held = sqlx::query(held)
        .bind(version.cast_signed())
        .bind(i16::from(mending.partition.number()))
        .bind(stored_position(mending.checkpoint))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
    let Some(row) = held else {
        transaction.rollback().await.map_err(failed)?;
        return Ok(Taken::Fenced);
    };
    let slot = Slot::parse(get(&row, 0)?)?;
    remove(&mut transaction, slot, version, &mending).await?;
    insert(&mut transaction, slot, &mending.rows).await?;
    recount(&mut transaction, slot, &mending).await?;
    let moved =
        "UPDATE docket_views.checkpoint SET position = $3 WHERE version = $1 AND partition = $2";
    let moved = sqlx::query(moved)
        .bind(version.cast_signed())
        .bind(i16::from(mending.partition.number()))
        .bind(stored_position(mending.upto));
    transaction.execute(moved).await.map_err(failed)?;
    if !mending.parked.is_empty() {
        park(&mut transaction, version, mending.partition, &mending.parked).await?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(Taken::Done)
}

/// Everything about the tickets that are replaced or gone.
async fn remove(
    connection: &mut PgConnection,
    slot: Slot,
    version: VersionNumber,
    mending: &Mending,
) -> Result<(), StoreError> {
    let replaced = mending.rows.iter().map(|row| (&row.tenant, row.ticket));
    let gone = mending.gone.iter().map(|(tenant, ticket)| (tenant, *ticket));
    let (tenants, tickets): (Vec<&str>, Vec<Uuid>) = replaced
        .chain(gone)
        .map(|(tenant, ticket)| (Tenant::as_str(tenant), ticket.uuid()))
        .unzip();
    for template in [
        "DELETE FROM docket_views.ticket_{slot} t USING unnest($1::text[], $2::uuid[]) \
         AS n (tenant, ticket_id) WHERE t.tenant = n.tenant AND t.ticket_id = n.ticket_id",
        "DELETE FROM docket_views.reader_{slot} t USING unnest($1::text[], $2::uuid[]) \
         AS n (tenant, ticket_id) WHERE t.tenant = n.tenant AND t.ticket_id = n.ticket_id",
        "DELETE FROM docket_views.tag_{slot} t USING unnest($1::text[], $2::uuid[]) \
         AS n (tenant, ticket_id) WHERE t.tenant = n.tenant AND t.ticket_id = n.ticket_id",
    ] {
        let statement = sqlx::query(slot.sql(template)).bind(&tenants).bind(&tickets);
        connection.execute(statement).await.map_err(failed)?;
    }
    let unparked = "DELETE FROM docket_views.parked p USING unnest($2::text[], $3::uuid[]) \
         AS n (tenant, ticket_id) \
         WHERE p.version = $1 AND p.tenant = n.tenant AND p.ticket_id = n.ticket_id";
    let unparked = sqlx::query(unparked).bind(version.cast_signed()).bind(&tenants).bind(&tickets);
    connection.execute(unparked).await.map_err(failed)?;
    let readable = "DELETE FROM docket_views.parked \
         WHERE version = $1 AND partition = $2 AND tenant = '' AND place = ANY ($3)";
    let readable = sqlx::query(readable)
        .bind(version.cast_signed())
        .bind(i16::from(mending.partition.number()))
        .bind(mending.readable.iter().copied().map(stored_position).collect::<Vec<i64>>());
    connection.execute(readable).await.map(drop).map_err(failed)
}

async fn insert(
    connection: &mut PgConnection,
    slot: Slot,
    rows: &[TicketRow],
) -> Result<(), StoreError> {
    const INSERT: &str = concat!(
        "INSERT INTO docket_views.ticket_{slot} (",
        ticket_columns!(""),
        ") SELECT n.tenant, n.ticket_id, n.partition, n.priority, n.position, n.public_position, \
           n.created_at, n.updated_at, n.public_updated_at, n.requester_id, n.assignee_id, n.status, \
           n.public_status, n.type, n.group_id, n.tags::text[], n.readers::uuid[], n.state \
         FROM unnest($1::text[], $2::uuid[], $3::smallint[], \
           $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], \
           $10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], \
           $17::text[], $18::text[]) AS n (",
        ticket_columns!(""),
        ")"
    );
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<&TicketRow> = rows.iter().collect();
    let statement = bind(sqlx::query(slot.sql(INSERT)), &rows);
    connection.execute(statement).await.map_err(failed)?;
    let mut changes = Changes::default();
    for row in rows {
        changes.replace(None, row);
    }
    // They are counted with all others.
    changes.counters = Deltas::default();
    changes.write(connection, slot).await
}

async fn recount(
    connection: &mut PgConnection,
    slot: Slot,
    mending: &Mending,
) -> Result<(), StoreError> {
    const COUNTED: &str = concat!(
        "SELECT ",
        counted_columns!(),
        " FROM docket_views.ticket_{slot} t WHERE t.partition = $1"
    );
    let number = i16::from(mending.partition.number());
    let emptied = "DELETE FROM docket_views.counter_{slot} WHERE partition = $1";
    let emptied = sqlx::query(slot.sql(emptied)).bind(number);
    connection.execute(emptied).await.map_err(failed)?;
    let asked = sqlx::query(slot.sql(COUNTED)).bind(number);
    let mut counters = Deltas::default();
    for row in asked.fetch_all(&mut *connection).await.map_err(failed)? {
        let old = old(&row)?;
        if let Some(counted) = &old.counted {
            counters.count(&old.tenant, mending.partition, counted);
        }
    }
    let counters: Vec<(&CounterKey, i64)> = counters.changes().collect();
    count(connection, slot, &counters).await
}
