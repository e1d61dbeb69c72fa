//! Connecting: one pool that writes, one that reads, on a database that has every migration.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

/// Most connections of a store: so many that read, and half as many that write.
pub const CONNECTIONS_MAX: u32 = 8;

/// How long to wait for a server that does not answer, or for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// What every session needs. The view is derived: a commit that a crash of the server forgets takes its checkpoint with
/// it, and is projected again. A client that is gone without a word is noticed after a minute.
macro_rules! session {
    ($more:literal) => {
        concat!(
            "SET synchronous_commit = off; SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '60s'; SET jit = off; \
             SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
             SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; ",
            $more
        )
    };
}

/// Every statement of a batch is a number of index probes, whatever its plan was made for.
const WRITING_SESSION: &str = session!(
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off"
);

/// How many tickets have a value decides how a list is found, so each list gets a plan of its own. To start further
/// processes for it takes longer than most lists do.
const READING_SESSION: &str =
    session!("SET plan_cache_mode = force_custom_plan; SET max_parallel_workers_per_gather = 0");

/// A migrating session waits for another node's as long as that takes.
const MIGRATING_SESSION: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
     SET default_transaction_read_only = off";

/// The schema of the view.
const SCHEMA: &str = "docket_views";

/// Why there is no connection. Never shows a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server did not let the view begin.
    #[error("PostgreSQL did not let the tickets view begin")]
    Failed(#[from] sqlx::Error),
    /// The tables could not be made or brought up to date.
    #[error(
        "migrating schema `{SCHEMA}` failed: a newer release may have been here, or the user lacks CREATE on the database"
    )]
    Migrate(#[from] MigrateError),
}

/// The pools of a store.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) write: PgPool,
    pub(crate) read: PgPool,
}

/// Connects, migrates, and opens the pools.
pub(crate) async fn connect(url: &str) -> Result<Pools, ConnectError> {
    let target = PgConnectOptions::from_str(url)?;
    let target = target.application_name("docket views").disable_statement_logging();
    let mut first = target.connect().await?;
    first.execute(MIGRATING_SESSION).await?;
    let mut migrations: Migrator = sqlx::migrate!("./migrations/views");
    migrations.dangerous_set_table_name(format!("{SCHEMA}.migration"));
    migrations.create_schema(SCHEMA);
    // `run` is the same over `Acquire`, whose lifetimes keep the future from being `Send`.
    migrations.run_direct(None, &mut first, false).await?;
    first.close().await?;
    Ok(Pools {
        write: pool(&target, CONNECTIONS_MAX / 2, WRITING_SESSION),
        read: pool(&target, CONNECTIONS_MAX, READING_SESSION),
    })
}

fn pool(target: &PgConnectOptions, connections_max: u32, session: &'static str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(session).await.map(drop) })
        })
        .connect_lazy_with(target.clone())
}
