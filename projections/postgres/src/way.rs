//! How tickets are found where the planner guesses wrong, decided by the counters.
//!
//! - *A tag.* The planner does not know how many tickets have it, nor how many of those are open. Few are fetched by their ids. Else an
//!   index is walked in the order asked for, and each ticket that is passed is looked up: in a hash table where the walk is long, in the
//!   tag's index where it is short. All three are written so that none becomes a join: a hash join keeps no order.
//! - *The order of priorities.* Behind the last page but one hardly a ticket seems to be left, for all have one of four
//!   priorities: it walks a quarter of all tickets in their order instead of sorting a few hundred.

use docket_projections::counters::{CounterField, CounterValue};
use docket_projections::query::{SortKey, TicketFilter};
use docket_projections::store::StoreError;
use docket_schemas::Tenant;
use sqlx::postgres::PgPool;
use sqlx::{Postgres, QueryBuilder};

use crate::failure::{failed, get};
use crate::slot::Slot;

/// What it costs to fetch a ticket by its id, where to pass an entry of an index costs 1.
const FETCH: f64 = 8.0;
/// To look into the tag's index for one ticket.
const PROBE: f64 = 10.0;
/// To put one ticket into a hash table.
const HASH: f64 = 2.0;
/// A hash table of more tickets does not fit the memory of a statement.
const HASHED_TICKETS_MAX: f64 = 50_000.0;

/// How tickets are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Way {
    tagged: Tagged,
    /// What fits is sorted, not found in order.
    sorted: bool,
}

/// How it is known which tickets have the tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Tagged {
    /// All that have it are fetched by their ids.
    Fetched,
    /// Those that are passed are looked up in a hash table.
    Hashed,
    /// Those that are passed are looked up in the tag's index.
    #[default]
    Probed,
}

impl Way {
    /// What follows a column by which a list is ordered and compared.
    pub(crate) const fn of_column(self) -> &'static str {
        if self.sorted { " + 0" } else { "" }
    }

    /// Whether tickets are fetched by their ids, wherever else they stand.
    pub(crate) fn fetches(self, filter: &TicketFilter) -> bool {
        filter.tag.is_some() && self.tagged == Tagged::Fetched
    }
}

/// Decides for a page of a list. What is right for another slot than the active one is a guess, and no list is wrong by it.
pub(crate) async fn way_of_page(
    pool: &PgPool,
    slot: Slot,
    (tenant, filter): (&Tenant, &TicketFilter),
    (sort, page): (SortKey, usize),
) -> Result<Way, StoreError> {
    let sortable = |field| sort == SortKey::Priority && belongs_to_few(field);
    if filter.tag.is_none() && !filter.equalities().iter().any(|value| sortable(value.field)) {
        return Ok(Way::default());
    }
    let shares = Shares::read(pool, slot, tenant, filter).await?;
    let walked = match sort {
        SortKey::UpdatedAt => shares.fewest(has_index_by_change),
        SortKey::CreatedAt | SortKey::Priority => shares.all,
    };
    let passed = |found: f64| (walked / found.max(1.0) * page as f64).min(walked);
    let few = shares.fewest(sortable);
    let sorted = few < shares.all && few <= shares.all / few.max(1.0) * page as f64;
    Ok(Way { tagged: shares.tagged(passed(shares.found())), sorted })
}

/// Decides for counting, where all that fit are passed.
pub(crate) async fn way_of_count(
    pool: &PgPool,
    slot: Slot,
    (tenant, filter): (&Tenant, &TicketFilter),
) -> Result<Way, StoreError> {
    if filter.tag.is_none() {
        return Ok(Way::default());
    }
    let shares = Shares::read(pool, slot, tenant, filter).await?;
    let passed = shares.fewest(|field| field != CounterField::Tag);
    Ok(Way { tagged: shares.tagged(passed), sorted: false })
}

/// Persons and teams, whose tickets are found in indexes of their own.
const fn belongs_to_few(field: CounterField) -> bool {
    matches!(field, CounterField::Assignee | CounterField::Group | CounterField::Requester)
}

/// By what an index leads to tickets in the order of their last changes.
const fn has_index_by_change(field: CounterField) -> bool {
    belongs_to_few(field) || matches!(field, CounterField::Status | CounterField::Type)
}

/// How many tickets there are, and how many with each value that a filter asks for.
struct Shares {
    all: f64,
    with: Vec<(CounterField, f64)>,
}

impl Shares {
    async fn read(
        pool: &PgPool,
        slot: Slot,
        tenant: &Tenant,
        filter: &TicketFilter,
    ) -> Result<Self, StoreError> {
        let mut values = filter.equalities();
        let fields: Vec<CounterField> = values.iter().map(|value| value.field).collect();
        values.push(CounterValue::all());
        let mut counts = counted(pool, slot, tenant, &values).await?;
        let all = counts.pop().unwrap_or(0.0);
        Ok(Self { all, with: fields.into_iter().zip(counts).collect() })
    }

    /// Of the values of such fields the rarest has so many; all, where the filter asks for none.
    fn fewest(&self, of: impl Fn(CounterField) -> bool) -> f64 {
        let counts = self.with.iter().filter(|(field, _)| of(*field)).map(|(_, count)| *count);
        counts.fold(self.all, f64::min)
    }

    /// How many have all of these values, if they have nothing to do with each other.
    fn together(&self, of: impl Fn(CounterField) -> bool) -> f64 {
        let all = self.all.max(1.0);
        let counts = self.with.iter().filter(|(field, _)| of(*field)).map(|(_, count)| *count);
        counts.fold(all, |found, count| found * count / all)
    }

    fn found(&self) -> f64 {
        self.together(|_| true)
    }

    /// The cheapest way to know which tickets have the tag, where a walk passes so many.
    fn tagged(&self, passed: f64) -> Tagged {
        let listed =
            self.together(|field| matches!(field, CounterField::Tag | CounterField::Status));
        let hashed =
            if listed > HASHED_TICKETS_MAX { f64::INFINITY } else { listed * HASH + passed };
        let (fetched, probed) = (listed * FETCH, passed * PROBE);
        if fetched <= hashed.min(probed) {
            Tagged::Fetched
        } else if hashed < probed {
            Tagged::Hashed
        } else {
            Tagged::Probed
        }
    }
}

/// The counters' values, in the order asked for.
async fn counted(
    pool: &PgPool,
    slot: Slot,
    tenant: &Tenant,
    counters: &[CounterValue],
) -> Result<Vec<f64>, StoreError> {
    let query = "SELECT (SELECT coalesce(sum(c.count), 0)::float8 FROM docket_views.counter_{slot} c \
         WHERE c.tenant = $1 AND c.field = asked.field AND c.value = asked.value) \
         FROM unnest($2::smallint[], $3::text[]) WITH ORDINALITY AS asked (field, value, place) \
         ORDER BY asked.place";
    let fields: Vec<i16> = counters.iter().map(|one| i16::from(one.field.code())).collect();
    let values: Vec<&str> = counters.iter().map(|one| one.value.as_str()).collect();
    let asked = sqlx::query(slot.sql(query)).bind(tenant.as_str()).bind(fields).bind(values);
    let rows = asked.fetch_all(pool).await.map_err(failed)?;
    rows.iter().map(|row| get::<f64>(row, 0)).collect()
}

/// The condition that a ticket `t` has the filter's tag, if it asks for one.
pub(crate) fn push_tag(
    sql: &mut QueryBuilder<Postgres>,
    slot: Slot,
    tenant: &Tenant,
    filter: &TicketFilter,
    way: Way,
) {
    let Some(tag) = &filter.tag else { return };
    let (before, behind) = match way.tagged {
        Tagged::Fetched => ("t.ticket_id = ANY (ARRAY(SELECT l.ticket_id", "))"),
        Tagged::Hashed => ("(t.ticket_id IN (SELECT l.ticket_id", ")) IS TRUE"),
        Tagged::Probed => {
            ("(SELECT true", " AND l.status = t.status AND l.ticket_id = t.ticket_id)")
        }
    };
    sql.push(" AND ").push(before);
    push_listed(sql, slot, tenant, (tag, filter));
    sql.push(behind);
}

/// The entries `l` of a tag, those of the filter's status alone.
pub(crate) fn push_listed(
    sql: &mut QueryBuilder<Postgres>,
    slot: Slot,
    tenant: &Tenant,
    (tag, filter): (&str, &TicketFilter),
) {
    sql.push(format_args!(" FROM docket_views.tag_{} l WHERE l.tenant = ", slot.name()));
    sql.push_bind(tenant.as_str().to_owned()).push(" AND l.tag = ").push_bind(tag.to_owned());
    if let Some(status) = filter.status {
        sql.push(" AND l.status = ").push_bind(status.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(tagged: f64, others: &[(CounterField, f64)]) -> Shares {
        let mut with = vec![(CounterField::Tag, tagged)];
        with.extend(others);
        Shares { all: 1_000_000.0, with }
    }

    #[test]
    fn a_tag_is_found_by_the_cheapest_way() {
        let (open, team) = ((CounterField::Status, 80_000.0), (CounterField::Group, 25_000.0));
        for (tagged, others, way) in [
            (20.0, &[][..], Tagged::Fetched),
            (8_000.0, &[], Tagged::Hashed),
            (120_000.0, &[], Tagged::Probed),
            // Few of its tickets are open, and each of those is rare in the order that is walked.
            (8_000.0, &[open], Tagged::Fetched),
            (120_000.0, &[open], Tagged::Hashed),
            (8_000.0, &[open, team], Tagged::Fetched),
        ] {
            let shares = shares(tagged, others);
            let passed = shares.all / shares.found().max(1.0) * 50.0;
            assert_eq!(shares.tagged(passed.min(shares.all)), way, "{tagged} {others:?}");
        }
    }
}
