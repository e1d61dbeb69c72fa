//! How a list is found where the planner guesses wrong, decided by the counters.
//!
//! - *A tag.* A hash join of PostgreSQL keeps no order, so to find a page in order it probes the tag's index for each ticket that it
//!   passes, at ten times the cost of a look into a hash table. A condition that is more than `IN` is not turned into a join.
//! - *The order of priorities.* Behind the last page but one hardly a ticket seems to be left, for all have one of four
//!   priorities: it walks a quarter of all tickets in their order instead of sorting a few hundred.

use docket_projections::counters::{CounterField, CounterValue};
use docket_projections::query::{ListQuery, SortKey, Viewer};
use docket_projections::store::StoreError;
use docket_schemas::Tenant;
use sqlx::postgres::PgPool;
use sqlx::{Postgres, QueryBuilder};

use crate::failure::{failed, get};
use crate::slot::Slot;

/// Looking at the row of a ticket takes as long as passing so many entries of an index.
const ROW_BY_ENTRIES: u64 = 20;
/// A hash table of more tickets takes longer than the few probes that so frequent a tag needs.
const HASHED_TICKETS_MAX: u64 = 50_000;

/// How a list is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// The tickets of the tag are put into a hash table. Else as the planner thinks best: from the tag, or by probes.
    hashed: bool,
    /// What fits is sorted, not found in order.
    sorted: bool,
}

impl Way {
    /// What follows a column by which a list is ordered and compared.
    pub(crate) const fn of_column(self) -> &'static str {
        if self.sorted { " + 0" } else { "" }
    }
}

/// Decides. What is right for another slot than the active one is a guess, and no list is wrong by it.
pub(crate) async fn way(
    pool: &PgPool,
    slot: Slot,
    query: &ListQuery,
    page: usize,
) -> Result<Way, StoreError> {
    let by_priority = query.sort.key == SortKey::Priority;
    let decides = |value: &CounterValue| match value.field {
        CounterField::Tag => true,
        // Their tickets are found in indexes of their own.
        CounterField::Assignee | CounterField::Group | CounterField::Requester => by_priority,
        _ => false,
    };
    let mut values = query.filter.equalities();
    values.retain(decides);
    if query.viewer != Viewer::Staff || values.is_empty() {
        return Ok(Way::default());
    }
    values.push(CounterValue::all());
    let mut counts = counted(pool, slot, &query.tenant, &values).await?;
    let all = counts.pop().unwrap_or(0);
    let mut way = Way::default();
    for (value, with) in values.into_iter().zip(counts) {
        // A walk passes all/with tickets for each that it finds.
        let passed = all.saturating_mul(page as u64) / with.max(1);
        if value.field == CounterField::Tag {
            way.hashed = with <= HASHED_TICKETS_MAX && with.saturating_mul(ROW_BY_ENTRIES) > passed;
        } else {
            way.sorted |= with <= passed;
        }
    }
    Ok(way)
}

/// The counters' values, in the order asked for.
async fn counted(
    pool: &PgPool,
    slot: Slot,
    tenant: &Tenant,
    counters: &[CounterValue],
) -> Result<Vec<u64>, StoreError> {
    let query = "SELECT (SELECT coalesce(sum(c.count), 0)::bigint FROM docket_views.counter_{slot} c \
         WHERE c.tenant = $1 AND c.field = asked.field AND c.value = asked.value) \
         FROM unnest($2::smallint[], $3::text[]) WITH ORDINALITY AS asked (field, value, place) \
         ORDER BY asked.place";
    let fields: Vec<i16> = counters.iter().map(|one| i16::from(one.field.code())).collect();
    let values: Vec<&str> = counters.iter().map(|one| one.value.as_str()).collect();
    let asked = sqlx::query(slot.sql(query)).bind(tenant.as_str()).bind(fields).bind(values);
    let rows = asked.fetch_all(pool).await.map_err(failed)?;
    rows.iter().map(|row| Ok(u64::try_from(get::<i64>(row, 0)?).unwrap_or(0))).collect()
}

/// The condition that a ticket `t` has the tag.
pub(crate) fn push_tag(
    sql: &mut QueryBuilder<Postgres>,
    slot: Slot,
    tenant: &Tenant,
    tag: &str,
    way: Way,
) {
    sql.push(format_args!(
        " AND (t.ticket_id IN (SELECT l.ticket_id FROM docket_views.tag_{} l WHERE l.tenant = ",
        slot.name()
    ));
    sql.push_bind(tenant.as_str().to_owned());
    sql.push(" AND l.tag = ").push_bind(tag.to_owned());
    sql.push(if way.hashed { ")) IS TRUE" } else { "))" });
}
