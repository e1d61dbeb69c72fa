//! Busy rows: those that change again and again within moments stand in one small index instead of eight large ones.
//!
//! An update writes every index in which its row stands, whatever it changes. Under load that is most of what the view costs,
//! and a live chat's ticket changes every few seconds. Lists look at busy rows and at all others apart.

use docket_projections::store::{SpanRows, StoreError};
use sqlx::postgres::PgConnection;

use crate::row::stored_position;
use crate::slot::Slot;
use crate::write::execute;

/// A row that changes again before so many events of its partition have passed becomes busy, and is busy until so many
/// have. So no more rows are than there are events in so long a stretch of every partition.
const BUSY_WITHIN_EVENTS: i64 = 1_024;

/// In a batch of so many rows they become busy: fewer are no load.
const LOADED_ROWS_MIN: usize = 48;
/// After a batch of so few all busy rows come to rest, however lately they have changed.
const IDLE_ROWS_MAX: usize = 12;

/// Rows that come to rest after a batch: so many, or twice as many as the batch has, so that no more become busy.
const RESTED_ROWS_MIN: usize = 256;

/// Within how many events of its partition a row of a batch has to change again to be busy.
pub(crate) const fn within(rows: usize) -> i64 {
    if rows < LOADED_ROWS_MIN { 0 } else { BUSY_WITHIN_EVENTS }
}

/// Puts rows of these partitions to rest that have not changed lately, after a batch of so many rows.
pub(crate) async fn rest(
    connection: &mut PgConnection,
    slot: Slot,
    spans: &[SpanRows],
    rows: usize,
) -> Result<(), StoreError> {
    let statement = "WITH rested AS MATERIALIZED (SELECT t.tenant, t.ticket_id \
           FROM unnest($1::smallint[], $2::bigint[]) AS s (partition, position) \
           JOIN docket_views.ticket_{slot} t \
             ON t.busy AND t.partition = s.partition AND t.position <= s.position \
           LIMIT $3) \
         UPDATE docket_views.ticket_{slot} t SET busy = false FROM rested r \
         WHERE t.tenant = r.tenant AND t.ticket_id = r.ticket_id";
    let within = if rows <= IDLE_ROWS_MAX { 0 } else { BUSY_WITHIN_EVENTS };
    let partitions: Vec<i16> = spans.iter().map(|span| span.partition.number().into()).collect();
    let positions = spans.iter().map(|span| stored_position(span.upto) - within);
    let statement = sqlx::query(slot.sql(statement))
        .bind(partitions)
        .bind(positions.collect::<Vec<_>>())
        .bind(i64::try_from(RESTED_ROWS_MIN.max(2 * rows)).unwrap_or(i64::MAX));
    execute(connection, statement).await
}
