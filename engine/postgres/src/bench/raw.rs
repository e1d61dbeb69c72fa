//! Raw inserts: the same rows into a table of the same definition, 500 a transaction, on one connection, nothing else.

use std::time::Duration;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, Encode, Executor as _, PgConnection, Postgres, Row as _, Type, TypeInfo as _,
    ValueRef as _,
};

use super::{BenchDatabase, BenchError, settle};

/// Rows of one raw insert, each a transaction of its own.
pub const RAW_BATCH_ROWS: u32 = 500;

/// What raw inserts took.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawInserts {
    /// Rows inserted.
    pub rows: u64,
    /// From sending each statement to the answer to its commit.
    pub took: Duration,
}

/// `LIKE` carries columns, constraints, indexes and storage; what it leaves behind are the table's own options.
const MAKE_TABLE: &str = "CREATE SCHEMA bench; \
    CREATE TABLE bench.event (LIKE docket.event INCLUDING ALL); \
    DO $$ DECLARE options text; BEGIN \
        SELECT array_to_string(c.reloptions, ', ') INTO options FROM pg_class c \
        WHERE c.oid = 'docket.event'::regclass; \
        IF options <> '' THEN EXECUTE format('ALTER TABLE bench.event SET (%s)', options); END IF; \
    END $$";

/// The rows that were there before.
const FILL: &str = "INSERT INTO bench.event SELECT * FROM docket.event e \
    WHERE e.recorded_at <= $1 ORDER BY e.recorded_at";

/// The rows to insert, in the order in which they were recorded, by batch.
const NUMBER: &str = "CREATE TABLE bench.written AS \
    SELECT e.ctid AS place, (row_number() OVER (ORDER BY e.recorded_at) - 1) / $2 AS batch \
    FROM docket.event e WHERE e.recorded_at > $1";

const INDEX: &str = "CREATE INDEX ON bench.written (batch)";

impl BenchDatabase {
    /// Makes a copy of the table, with all that was recorded up to `since` (microseconds), and inserts what was
    /// recorded after it. `clock` measures durations.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn raw_inserts(
        &self,
        since: i64,
        clock: impl Fn() -> std::time::Instant,
    ) -> Result<RawInserts, BenchError> {
        let (mut source, mut target) = (self.connect().await?, self.connect().await?);
        source.execute(sqlx::raw_sql(MAKE_TABLE)).await?;
        source.execute(sqlx::query(FILL).bind(since)).await?;
        source.execute(sqlx::query(NUMBER).bind(since).bind(i64::from(RAW_BATCH_ROWS))).await?;
        source.execute(INDEX).await?;
        settle(&mut source).await?;
        let columns = columns(&mut source).await?;
        let (read, insert) = (read(&columns), insert(&columns));
        let mut done = RawInserts::default();
        let batches: i64 =
            sqlx::query_scalar("SELECT count(*) FROM bench.written").fetch_one(&mut source).await?;
        // Whole batches only.
        for batch in 0..batches / i64::from(RAW_BATCH_ROWS) {
            let rows = sqlx::query(AssertSqlSafe(read.as_str())).bind(batch);
            let arrays = arrays(&rows.fetch_one(&mut source).await?)?;
            let began = clock();
            let mut statement = sqlx::query(AssertSqlSafe(insert.as_str()));
            for array in arrays {
                statement = statement.bind(array);
            }
            done.rows += target.execute(statement).await?.rows_affected();
            done.took += began.elapsed();
        }
        Ok(done)
    }
}

/// Every column of the table, quoted.
async fn columns(connection: &mut PgConnection) -> Result<Vec<String>, BenchError> {
    let query = "SELECT quote_ident(a.attname) FROM pg_attribute a \
                 WHERE a.attrelid = 'docket.event'::regclass AND a.attnum > 0 \
                 AND NOT a.attisdropped ORDER BY a.attnum";
    sqlx::query_scalar(query).fetch_all(connection).await
}

fn read(columns: &[String]) -> String {
    let arrays: Vec<_> = columns.iter().map(|column| format!("array_agg(e.{column})")).collect();
    format!(
        "SELECT {} FROM (SELECT e.* FROM bench.written w JOIN docket.event e ON e.ctid = w.place \
         WHERE w.batch = $1 ORDER BY e.recorded_at) AS e",
        arrays.join(", ")
    )
}

fn insert(columns: &[String]) -> String {
    let arguments: Vec<_> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let (columns, arguments) = (columns.join(", "), arguments.join(", "));
    format!("INSERT INTO bench.event ({columns}) SELECT * FROM unnest({arguments})")
}

/// An array as the server sent it: it is sent back as it is, which costs less than anything else could.
struct Array {
    type_info: PgTypeInfo,
    bytes: Vec<u8>,
}

fn arrays(row: &PgRow) -> Result<Vec<Array>, BenchError> {
    let array = |column| {
        let value = row.try_get_raw(column)?;
        let bytes = value.as_bytes().map_err(BenchError::Decode)?.to_vec();
        Ok(Array { type_info: value.type_info().into_owned(), bytes })
    };
    (0..row.len()).map(array).collect()
}

impl Type<Postgres> for Array {
    /// Of no value in particular: each says its own.
    fn type_info() -> PgTypeInfo {
        <Vec<i64> as Type<Postgres>>::type_info()
    }

    fn compatible(other: &PgTypeInfo) -> bool {
        other.name().ends_with("[]")
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.type_info.clone())
    }
}
