//! Connecting: a pool whose sessions may carry the log, on a database that has every migration.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

/// Most connections of one pool, unless an option says otherwise.
pub const CONNECTIONS_MAX_DEFAULT: u32 = 8;

/// How long to wait for a server that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call waits for its answer, unless an option says otherwise: longer than for any lock.
pub const ANSWER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How long a connection may take to say that it is still there.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was idle for longer is asked whether it is still there before it is used.
const IDLE_TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The oldest server that the statements were written for: 15.
const SERVER_VERSION_MIN: i32 = 150_000;

/// What a session needs, whatever the server's or the role's settings are: a commit is durable, is never cut short
/// by a timeout that would leave its outcome unknown, and each statement sees what committed before it.
/// A wait for a lock may end: nothing has been written then. Every statement is a number of index probes, and its plan,
/// which may have been made when the tables were empty, shall say so: of two indexes it takes the better one, and never
/// both, for on an empty table a tenant's whole history costs as little as a ticket's. A client that is gone without a word is noticed
/// after a minute, with what it had locked.
pub(crate) const SESSION: &str = "SET synchronous_commit = on; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s'; \
     SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
     SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
     SET enable_bitmapscan = off; SET jit = off; \
     SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// What a migrating session needs: it may run long, and waits for another node's as long as that takes.
const MIGRATING_SESSION: &str = "SET synchronous_commit = on; SET statement_timeout = 0; \
     SET lock_timeout = 0; SET default_transaction_read_only = off";

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Most connections of the pool.
    pub connections_max: u32,
    /// What the server shows of each connection.
    pub application_name: String,
    /// How long a call waits for its answer: longer than 10 s, for which the server may wait for a lock.
    pub answer_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX_DEFAULT,
            application_name: "docket".to_owned(),
            answer_timeout: ANSWER_TIMEOUT_DEFAULT,
        }
    }
}

/// Why there is no connection, with what to do about it. Never shows a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL has another form.
    #[error("the database URL cannot be read: use postgres://user:password@host:5432/database")]
    Url(#[source] sqlx::Error),
    /// Nobody answers there.
    #[error(
        "no PostgreSQL server answers at {address}: check host and port, and that it is running"
    )]
    Unreachable {
        /// Host and port, or the socket.
        address: String,
        /// What happened.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The server knows neither user nor password, or does not let them in from here.
    #[error(
        "PostgreSQL refuses user `{user}`: check user and password in the URL, and pg_hba.conf"
    )]
    Refused {
        /// Who was refused.
        user: String,
        /// The server's words.
        #[source]
        source: sqlx::Error,
    },
    /// There is no such database.
    #[error("database `{database}` does not exist: create it with `createdb {database}`")]
    NoDatabase {
        /// Its name.
        database: String,
        /// The server's words.
        #[source]
        source: sqlx::Error,
    },
    /// The server is older than its statements need.
    #[error("PostgreSQL {found} is too old: use 15 or newer")]
    TooOld {
        /// The server's version.
        found: String,
    },
    /// The tables could not be made or brought up to date.
    #[error("migrating schema `{schema}` failed: {advice}")]
    Migrate {
        /// Which schema.
        schema: &'static str,
        /// What to do.
        advice: &'static str,
        /// What happened.
        #[source]
        source: MigrateError,
    },
    /// Anything else that the server said.
    #[error("PostgreSQL at {address} did not let Docket begin")]
    Failed {
        /// Host and port, or the socket.
        address: String,
        /// The server's words.
        #[source]
        source: sqlx::Error,
    },
}

/// A schema with everything that has ever been changed about it.
pub(crate) struct Schema {
    pub(crate) name: &'static str,
    pub(crate) migrations: Migrator,
}

impl Schema {
    /// The log's tables and functions.
    pub(crate) fn log() -> Self {
        Self { name: "docket", migrations: sqlx::migrate!("./migrations/log") }
    }

    /// The key store's tables.
    pub(crate) fn keys() -> Self {
        Self { name: "docket_keys", migrations: sqlx::migrate!("./migrations/keys") }
    }

    /// Several nodes may start at once: the migrator holds an advisory lock meanwhile.
    async fn migrate(mut self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        self.migrations.dangerous_set_table_name(format!("{}.migration", self.name));
        self.migrations.create_schema(self.name);
        // `run` is the same over `Acquire`, whose lifetimes keep the future from being `Send`.
        let migrated = self.migrations.run_direct(None, connection, UNSKIPPED).await;
        migrated.map_err(|source| ConnectError::Migrate {
            schema: self.name,
            advice: advice(&source),
            source,
        })
    }
}

/// Migrations are run, not only noted as if they had been.
const UNSKIPPED: bool = false;

fn advice(error: &MigrateError) -> &'static str {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            "a newer release has been here; run that one"
        }
        MigrateError::VersionMismatch(_) => {
            "a migration differs from the one that was run; use an unchanged release"
        }
        MigrateError::Execute(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code == "42501") =>
        {
            "grant the user CREATE on the database"
        }
        _ => "see the cause, then start again; nothing was half done",
    }
}

/// Connects, migrates the schema, and opens a pool.
pub(crate) async fn connect(
    url: &str,
    options: &PostgresOptions,
    schema: Schema,
) -> Result<PgPool, ConnectError> {
    let target = target(url, options)?;
    let mut first = connect_once(&target).await?;
    let prepared = first.execute(MIGRATING_SESSION).await;
    prepared.map_err(|source| explain(&target, source))?;
    check_version(&mut first, &target).await?;
    schema.migrate(&mut first).await?;
    first.close().await.map_err(|source| explain(&target, source))?;
    Ok(pool(target, options))
}

/// Opens a pool on a database as it is.
pub(crate) async fn connect_bare(
    url: &str,
    options: &PostgresOptions,
) -> Result<PgPool, ConnectError> {
    let target = target(url, options)?;
    let first = connect_once(&target).await?;
    first.close().await.map_err(|source| explain(&target, source))?;
    Ok(pool(target, options))
}

/// Another pool for the same database, with a first connection; `opened` counts its connections.
pub(crate) async fn pool_like(
    like: &PgPool,
    options: &PostgresOptions,
    opened: Arc<AtomicU64>,
) -> Result<PgPool, ConnectError> {
    let target = (*like.connect_options()).clone();
    let settings = settings(options).after_connect(move |connection, _| {
        let opened = Arc::clone(&opened);
        Box::pin(async move {
            connection.execute(SESSION).await?;
            opened.fetch_add(1, Ordering::AcqRel);
            Ok(())
        })
    });
    settings.connect_with(target.clone()).await.map_err(|source| explain(&target, source))
}

fn target(url: &str, options: &PostgresOptions) -> Result<PgConnectOptions, ConnectError> {
    let target = PgConnectOptions::from_str(url).map_err(ConnectError::Url)?;
    Ok(target.application_name(&options.application_name).disable_statement_logging())
}

/// Outside the pool, which would try again and hide the cause.
async fn connect_once(target: &PgConnectOptions) -> Result<PgConnection, ConnectError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, target.connect()).await {
        Ok(connected) => connected.map_err(|source| explain(target, source)),
        Err(_) => Err(ConnectError::Unreachable { address: address(target), source: None }),
    }
}

async fn check_version(
    connection: &mut PgConnection,
    target: &PgConnectOptions,
) -> Result<(), ConnectError> {
    let query =
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
    let asked = sqlx::query_as::<_, (i32, String)>(query).fetch_one(connection).await;
    let (number, found) = asked.map_err(|source| explain(target, source))?;
    if number < SERVER_VERSION_MIN { Err(ConnectError::TooOld { found }) } else { Ok(()) }
}

fn pool(target: PgConnectOptions, options: &PostgresOptions) -> PgPool {
    let settings = settings(options).after_connect(|connection, _| {
        Box::pin(async move { connection.execute(SESSION).await.map(drop) })
    });
    settings.connect_lazy_with(target)
}

fn settings(options: &PostgresOptions) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < IDLE_TRUSTED_FOR {
                    return Ok(true);
                }
                let answered = tokio::time::timeout(PING_TIMEOUT, connection.ping()).await;
                // An error, so that nobody waits for a farewell.
                answered.unwrap_or_else(|_| Err(silence(PING_TIMEOUT))).map(|()| true)
            })
        })
}

/// Nobody answered in time.
pub(crate) fn silence(limit: Duration) -> sqlx::Error {
    let what = format!("no answer within {limit:?}");
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}

fn explain(target: &PgConnectOptions, source: sqlx::Error) -> ConnectError {
    let code = source.as_database_error().and_then(|error| error.code()).map(String::from);
    match (&source, code.as_deref()) {
        (_, Some("28P01" | "28000")) => {
            ConnectError::Refused { user: target.get_username().to_owned(), source }
        }
        (_, Some("3D000")) => {
            let database = target.get_database().unwrap_or(target.get_username()).to_owned();
            ConnectError::NoDatabase { database, source }
        }
        (sqlx::Error::Io(_), _) => {
            ConnectError::Unreachable { address: address(target), source: Some(source) }
        }
        _ => ConnectError::Failed { address: address(target), source },
    }
}

fn address(target: &PgConnectOptions) -> String {
    match target.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", target.get_host(), target.get_port()),
    }
}
