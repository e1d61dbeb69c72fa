//! One append inside its transaction: read the facts, plan, write; when a constraint fires, unit by unit.

use std::sync::LazyLock;

use docket_engine::append::{Changes, Plan, whole_batch_refusal};
use docket_engine::ports::log::{Batch, Placed, UnitOutcome};
use docket_schemas::{Draft, Incarnation};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::facts::Facts;
use super::row;
use crate::failure::Failure;

/// Rows of one insert, at most; the rest of a batch goes in the next smaller size, so that few statements are
/// ever prepared.
const INSERT_ROWS: [usize; 3] = [64, 8, 1];

static INSERTS: LazyLock<[String; INSERT_ROWS.len()]> = LazyLock::new(|| INSERT_ROWS.map(insert));

/// Writes `batch` and answers what became of each unit.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    batch: Batch,
) -> Result<Vec<UnitOutcome>, Failure> {
    if let Some(refusal) = refusal(&mut *connection, &batch).await? {
        return Ok(vec![refusal; batch.units.len()]);
    }
    let facts = Facts::read(&mut *connection, &batch).await?;
    let mut plan = Plan::new(&facts, &batch);
    let outcomes = batch.units.iter().map(|unit| plan.decide(unit)).collect();
    let changes = plan.finish();
    match write_or_undo(&mut *connection, &changes, &batch.incarnation).await? {
        Written::Whole => Ok(outcomes),
        Written::Undone(_) => append_unit_by_unit(connection, &facts, &batch).await,
    }
}

async fn refusal(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<Option<UnitOutcome>, Failure> {
    let sql = "SELECT erasure_epoch, \
         (SELECT name FROM incarnation ORDER BY ordinal DESC LIMIT 1) AS newest FROM meta";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let newest = row.try_get::<Option<&str>, _>("newest")?.map(super::incarnation).transpose()?;
    let epoch = row.try_get::<i64, _>("erasure_epoch")?.cast_unsigned();
    Ok(whole_batch_refusal(batch, newest.as_ref(), epoch)?)
}

/// After a constraint that the plan excludes: whoever broke it is left out, everybody else is written.
async fn append_unit_by_unit(
    connection: &mut SqliteConnection,
    facts: &Facts,
    batch: &Batch,
) -> Result<Vec<UnitOutcome>, Failure> {
    let mut plan = Plan::new(facts, batch);
    let mut outcomes = Vec::with_capacity(batch.units.len());
    for unit in &batch.units {
        let outcome = match plan.check(unit) {
            Ok(changes) => {
                match write_or_undo(&mut *connection, &changes, &batch.incarnation).await? {
                    Written::Whole => Ok(changes),
                    Written::Undone(what) => Err(UnitOutcome::Damaged { what }),
                }
            }
            Err(outcome) => Err(outcome),
        };
        outcomes.push(match outcome {
            Ok(changes) => plan.accept(changes),
            Err(outcome) => {
                plan.hand_back(unit);
                outcome
            }
        });
    }
    Ok(outcomes)
}

enum Written {
    Whole,
    /// A constraint fired, this one; nothing was written.
    Undone(String),
}

async fn write_or_undo(
    connection: &mut SqliteConnection,
    changes: &Changes<'_>,
    incarnation: &Incarnation,
) -> Result<Written, Failure> {
    sqlx::query("SAVEPOINT changes").execute(&mut *connection).await?;
    let failure = match write(&mut *connection, changes, incarnation).await {
        Ok(()) => None,
        Err(failure) => Some(failure.constraint().map(str::to_owned).ok_or(failure)?),
    };
    if failure.is_some() {
        sqlx::query("ROLLBACK TO changes").execute(&mut *connection).await?;
    }
    sqlx::query("RELEASE changes").execute(connection).await?;
    Ok(failure.map_or(Written::Whole, Written::Undone))
}

async fn write(
    connection: &mut SqliteConnection,
    changes: &Changes<'_>,
    incarnation: &Incarnation,
) -> Result<(), Failure> {
    let mut rest = changes.rows.as_slice();
    for (size, sql) in INSERT_ROWS.into_iter().zip(INSERTS.iter()) {
        let (chunks, smaller) = rest.split_at(rest.len() - rest.len() % size);
        for rows in chunks.chunks(size) {
            let arguments = arguments(rows, incarnation)?;
            sqlx::query_with(sql.as_str(), arguments).execute(&mut *connection).await?;
        }
        rest = smaller;
    }
    write_slots(&mut *connection, changes).await?;
    write_heads(connection, changes).await
}

fn arguments(
    rows: &[(&Draft, Placed)],
    incarnation: &Incarnation,
) -> Result<SqliteArguments, Failure> {
    let mut arguments = SqliteArguments::default();
    for (draft, placed) in rows {
        row::bind(&mut arguments, draft, *placed, incarnation)?;
    }
    Ok(arguments)
}

async fn write_slots(
    connection: &mut SqliteConnection,
    changes: &Changes<'_>,
) -> Result<(), Failure> {
    let (mut taken, mut released) = (Vec::new(), Vec::new());
    for ((tenant, key), holder) in &changes.slots {
        match holder {
            Some(holder) => taken.push(json!([tenant, key, hex::encode(holder.as_bytes())])),
            None => released.push(json!([tenant, key])),
        }
    }
    let take = "INSERT INTO slot SELECT value ->> 0, value ->> 1, unhex(value ->> 2) \
         FROM json_each(?1) WHERE true \
         ON CONFLICT (tenant, key) DO UPDATE SET holder = excluded.holder";
    let release = "DELETE FROM slot WHERE (tenant, key) IN \
         (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
    for (sql, slots) in [(take, taken), (release, released)] {
        if !slots.is_empty() {
            let slots = Value::Array(slots).to_string();
            sqlx::query(sql).bind(slots).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn write_heads(
    connection: &mut SqliteConnection,
    changes: &Changes<'_>,
) -> Result<(), Failure> {
    let heads = changes.heads.iter().map(|(partition, head)| {
        json!([partition.number(), head.position, head.recorded_at.micros()])
    });
    let sql = "UPDATE partition_head SET position = value ->> 1, recorded_at = value ->> 2 \
         FROM json_each(?1) WHERE partition = value ->> 0";
    let heads = Value::Array(heads.collect()).to_string();
    sqlx::query(sql).bind(heads).execute(connection).await?;
    Ok(())
}

fn insert(rows: usize) -> String {
    let row = format!("({})", vec!["?"; row::EVENT_COLUMNS].join(","));
    let columns = row::event_columns!();
    format!("INSERT INTO event ({columns}) VALUES {}", vec![row; rows].join(","))
}
