//! One SQLite file: a single writing connection, a few reading ones.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::failure::{Failure, OpenError, is_busy};

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
const CACHE_KIB: u32 = 16_384;

/// What a transaction does on its connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'c>>;

/// An open file. Other processes may have it open too.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    options: SqliteConnectOptions,
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    readers: SqlitePool,
}

impl File {
    /// Opens or creates the file and brings its tables to this release.
    pub(crate) async fn open(path: &Path, migrations: &Migrator) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Open { path: path.to_owned(), source };
        let options = options(path);
        let mut writer = connect(&options).await.map_err(failed)?;
        // In one transaction that begins as a write: two processes may open a new file at the same time.
        let mut migrating = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let migrated = migrations.run_direct(None, &mut *migrating, false).await;
        migrated.map_err(|source| OpenError::Migrate { path: path.to_owned(), source })?;
        migrating.commit().await.map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        let writer = Arc::new(Mutex::new(Some(writer)));
        Ok(Self { path: path.to_owned(), options, writer, readers })
    }

    /// Where it lies, for errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Connections for single statements: each sees what is committed when it begins.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Runs `work` in one transaction that nobody else writes beside, durable when this answers.
    ///
    /// It runs in a task of its own: dropping this future neither cancels nor tears it.
    pub(crate) async fn write<T, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        let (writer, options) = (Arc::clone(&self.writer), self.options.clone());
        let writing = async move {
            let mut kept = writer.lock_owned().await;
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => connect(&options).await?,
            };
            // After a failure the connection is closed, which rolls back whatever state it was in.
            let answer = transact(&mut connection, work).await?;
            *kept = Some(connection);
            Ok(answer)
        };
        tokio::spawn(writing).await.unwrap_or_else(|stopped| Err(Failure::Stopped(stopped)))
    }
}

async fn transact<T, W>(connection: &mut SqliteConnection, work: W) -> Result<T, Failure>
where
    W: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T>,
{
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let answer = work(&mut *connection).await?;
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(answer)
}

/// A connection that writes. Two that turn one new file to a write-ahead log at once would wait for each other; SQLite
/// refuses one of them at once, whatever its busy timeout says, and that one comes again.
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

/// A connection that reads, for whoever watches the file.
pub(crate) async fn reader(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(path).create_if_missing(false).pragma("query_only", "ON").connect().await
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY_WAIT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        // A destroyed key is overwritten, not only unlinked.
        .pragma("secure_delete", "ON")
        .disable_statement_logging()
}
