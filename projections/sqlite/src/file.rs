//! One SQLite file: a single writing connection, a few reading ones, each piece of work in a task of its own.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use docket_projections::store::StoreError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::failure::{OpenError, failed};

/// How long a write waits for another process that writes the same file.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// How long a connection that was refused at once rests before it comes again.
const BUSY_AGAIN: Duration = Duration::from_millis(10);

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Most connections that read at the same time.
const READERS_MAX: u32 = 4;

/// Pages in the write-ahead log before they are moved into the file: 16 MiB of 4 KiB each.
const CHECKPOINT_PAGES: u32 = 4_096;

/// Page cache of each connection, in KiB.
const CACHE_KIB: u32 = 32_768;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/views");

/// What a transaction does on its connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// What a transaction leaves behind.
pub(crate) enum Ended<T> {
    /// All that it wrote.
    Committed(T),
    /// Nothing.
    RolledBack(T),
}

/// An open file. Other processes may have it open too.
#[derive(Debug, Clone)]
pub(crate) struct File {
    options: SqliteConnectOptions,
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    readers: SqlitePool,
}

impl File {
    /// Opens or creates the file and brings its tables to this release.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Open { path: path.to_owned(), source };
        let options = options(path);
        let mut writer = connect(&options).await.map_err(failed)?;
        // In one transaction that begins as a write: two processes may open a new file at the same time.
        let mut migrating = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let migrated = MIGRATIONS.run_direct(None, &mut *migrating, false).await;
        migrated.map_err(|source| OpenError::Migrate { path: path.to_owned(), source })?;
        migrating.commit().await.map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        Ok(Self { options, writer: Arc::new(Mutex::new(Some(writer))), readers })
    }

    /// Runs `work` in one transaction that nobody else writes beside.
    pub(crate) async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Ended<T>> + Send + 'static,
    {
        let file = self.clone();
        let writing = async move {
            let mut kept = file.writer.lock().await;
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => connect(&file.options).await.map_err(failed)?,
            };
            // After a failure the connection is closed, which rolls back whatever state it was in.
            run(&mut connection, "BEGIN IMMEDIATE").await?;
            let answer = match work(&mut connection).await? {
                Ended::Committed(answer) => {
                    run(&mut connection, "COMMIT").await?;
                    answer
                }
                Ended::RolledBack(answer) => {
                    run(&mut connection, "ROLLBACK").await?;
                    answer
                }
            };
            *kept = Some(connection);
            Ok(answer)
        };
        detached(writing).await
    }

    /// Runs `work` on one snapshot.
    pub(crate) async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        let readers = self.readers.clone();
        let reading = async move {
            let mut connection = readers.acquire().await.map_err(failed)?;
            run(&mut connection, "BEGIN").await?;
            let answer = work(&mut connection).await;
            if run(&mut connection, "COMMIT").await.is_err() {
                drop(connection.detach());
            }
            answer
        };
        detached(reading).await
    }
}

/// A connection that writes. Of two that turn one new file to a write-ahead log at once SQLite refuses one, whatever its
/// busy timeout says; that one comes again.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut answer = options.connect().await;
    let again = async {
        while answer.as_ref().is_err_and(is_busy) {
            sleep(BUSY_AGAIN).await;
            answer = options.connect().await;
        }
    };
    // Whatever the last attempt said is the answer.
    let _ = timeout(BUSY_WAIT, again).await;
    answer
}

/// <https://www.sqlite.org/rescode.html>: `SQLITE_BUSY` and `SQLITE_LOCKED` in the low byte of a result code.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Dropping the future that waits neither cancels nor tears what it waits for.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::spawn(work).await {
        Ok(answer) => answer,
        Err(stopped) => Err(StoreError::Unavailable(Box::new(stopped))),
    }
}

/// Runs a statement that answers nothing.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(statement).execute(connection).await.map(drop).map_err(failed)
}

/// The view is derived: a commit that a power cut forgets takes its checkpoint with it, and is projected again.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY_WAIT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .disable_statement_logging()
}
