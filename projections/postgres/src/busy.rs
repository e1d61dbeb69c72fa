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
/// have. So no more rows are, over all 16 partitions, than half of what these make together.
const BUSY_WITHIN_EVENTS: i64 = 1_024;

/// A batch of fewer rows is no load: nothing becomes busy, and what is comes to rest.
const LOADED_ROWS_MIN: usize = 48;

/// Rows that come to rest in one batch.
const RESTED_ROWS_MAX: i64 = 256;

/// Within how many events of its partition a row has to change again to be busy.
pub(crate) const fn within(rows: usize) -> i64 {
    if rows < LOADED_ROWS_MIN { 0 } else { BUSY_WITHIN_EVENTS }
}

/// Puts rows of these partitions to rest that have not changed within so many events.
pub(crate) async fn rest(
    connection: &mut PgConnection,
    slot: Slot,
    spans: &[SpanRows],
    within: i64,
) -> Result<(), StoreError> {
    let statement = "WITH rested AS MATERIALIZED (SELECT t.tenant, t.ticket_id \
           FROM unnest($1::smallint[], $2::bigint[]) AS s (partition, position) \
           JOIN docket_views.ticket_{slot} t ON t.busy AND t.partition = s.partition AND t.position <= s.position \
           ORDER BY t.tenant, t.ticket_id LIMIT $3) \
         UPDATE docket_views.ticket_{slot} t SET busy = false FROM rested r \
         WHERE t.tenant = r.tenant AND t.ticket_id = r.ticket_id";
    let partitions: Vec<i16> = spans.iter().map(|span| span.partition.number().into()).collect();
    let positions = spans.iter().map(|span| stored_position(span.upto) - within);
    let statement = sqlx::query(slot.sql(statement))
        .bind(partitions)
        .bind(positions.collect::<Vec<_>>())
        .bind(RESTED_ROWS_MAX);
    execute(connection, statement).await
}
