//! Measuring: a database of its own beside the one that is named, its size, and what PostgreSQL could do at best.

mod full_text;
mod prefill;
mod raw;

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::connect::SESSION;
pub use full_text::{FULL_TEXT_BATCH_ROWS, FullText, FullTextQuery, FullTextSize};
pub use raw::{RAW_BATCH_ROWS, RawInserts};

/// What a measurement stumbled over.
pub type BenchError = sqlx::Error;

/// A database that was made for one measurement.
#[derive(Debug)]
pub struct BenchDatabase {
    server: PgConnectOptions,
    own: PgConnectOptions,
    name: String,
}

/// How large a log is.
#[derive(Debug, Clone, Copy)]
pub struct LogSize {
    /// Its events.
    pub events: u64,
    /// Bytes of the table, its indexes and what it keeps out of line.
    pub bytes: u64,
    /// When the last event was recorded, in microseconds since 1970.
    pub recorded_at: i64,
}

impl BenchDatabase {
    /// Makes the database `name` on the server of `url`, whose user has to be allowed to. The name is the caller's own:
    /// letters, digits and `_`.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn create(url: &str, name: &str) -> Result<Self, BenchError> {
        let server = PgConnectOptions::from_str(url)?.disable_statement_logging();
        let own = server.clone().database(name);
        let mut connection = server.connect().await?;
        connection.execute(AssertSqlSafe(format!(r#"CREATE DATABASE "{name}""#))).await?;
        connection.close().await?;
        Ok(Self { server, own, name: name.to_owned() })
    }

    /// Where it is, for a log to connect to.
    #[must_use]
    pub fn url(&self) -> String {
        self.own.to_url_lossy().to_string()
    }

    /// Removes the database, whoever is still connected.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn remove(self) -> Result<(), BenchError> {
        let mut connection = self.server.connect().await?;
        let name = &self.name;
        let drop = AssertSqlSafe(format!(r#"DROP DATABASE "{name}" WITH (FORCE)"#));
        connection.execute(drop).await?;
        connection.close().await
    }

    /// The server's version and the settings on which a figure depends.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn server(&self) -> Result<String, BenchError> {
        let query = "SELECT format('PostgreSQL %s, fsync %s, synchronous_commit %s, shared_buffers %s, \
                     max_wal_size %s', current_setting('server_version'), current_setting('fsync'), \
                     current_setting('synchronous_commit'), current_setting('shared_buffers'), \
                     current_setting('max_wal_size'))";
        let mut connection = self.connect().await?;
        let told = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(told)
    }

    /// How large the log is.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn size(&self) -> Result<LogSize, BenchError> {
        let query = "SELECT sum(h.position)::bigint, max(h.recorded_at), \
                     pg_total_relation_size('docket.event') FROM docket.partition_head h";
        let mut connection = self.connect().await?;
        let (events, recorded_at, bytes): (i64, i64, i64) =
            sqlx::query_as(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(LogSize { events: events.unsigned_abs(), bytes: bytes.unsigned_abs(), recorded_at })
    }

    /// A session like those of the log.
    async fn connect(&self) -> Result<PgConnection, BenchError> {
        let mut connection = self.own.connect().await?;
        connection.execute(SESSION).await?;
        Ok(connection)
    }
}

/// Both sides of a comparison begin with nothing left to clean up or to write. Where only a superuser may ask for
/// that, the server is measured as it is.
async fn settle(connection: &mut PgConnection) -> Result<(), BenchError> {
    connection.execute("VACUUM (ANALYZE)").await?;
    let _ = connection.execute("CHECKPOINT").await;
    Ok(())
}
