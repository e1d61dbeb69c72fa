//! The bus on LISTEN and NOTIFY: one coalesced wake-up, outside every append.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::bus::Bus;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::connect::{ConnectError, PostgresOptions, connect_bare};

/// At most one wake-up is sent in this time: a NOTIFY takes a lock that all of the server's commits share.
pub const WAKE_EVERY: Duration = Duration::from_millis(10);

/// How long to wait before the server is asked again after a failure.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A wake-up that a crash takes along wakes nobody anyway: its commit waits for no disk.
const NOTIFY: &str =
    "SELECT pg_notify('docket', '') FROM set_config('synchronous_commit', 'off', true)";

/// A connection to listen, and one to notify.
const CONNECTIONS: u32 = 2;

/// Wakes the followers of one log, here and on the other nodes of its database.
#[derive(Debug)]
pub struct PostgresBus {
    pending: Arc<Notify>,
    wakes: watch::Sender<u64>,
    /// Ends both tasks when the bus is dropped.
    _tasks: JoinSet<()>,
}

impl PostgresBus {
    /// Connects to the log's database and begins to listen.
    ///
    /// # Errors
    /// With what to do about it, and without the password.
    pub async fn connect(url: &str, options: &PostgresOptions) -> Result<Self, ConnectError> {
        let options = PostgresOptions { connections_max: CONNECTIONS, ..options.clone() };
        let pool = connect_bare(url, &options).await?;
        let pending = Arc::new(Notify::new());
        let wakes = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(notify(pool.clone(), pending.clone()));
        tasks.spawn(listen(pool, wakes.clone()));
        Ok(Self { pending, wakes, _tasks: tasks })
    }
}

impl Bus for PostgresBus {
    /// Wakes who follows here at once, and the other nodes within [`WAKE_EVERY`].
    fn wake(&self) {
        bump(&self.wakes);
        self.pending.notify_one();
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }
}

async fn notify(pool: PgPool, pending: Arc<Notify>) {
    loop {
        pending.notified().await;
        match sqlx::query(NOTIFY).execute(&pool).await {
            Ok(_) => tokio::time::sleep(WAKE_EVERY).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no wake-up was sent");
                pending.notify_one();
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn listen(pool: PgPool, wakes: watch::Sender<u64>) {
    loop {
        if let Err(error) = listen_once(&pool, &wakes).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "wake-ups are not heard");
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Listens until the connection is lost. What was said before it stood is unknown, so it wakes at the start.
async fn listen_once(pool: &PgPool, wakes: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen("docket").await?;
    bump(wakes);
    while listener.try_recv().await?.is_some() {
        bump(wakes);
    }
    Ok(())
}

fn bump(wakes: &watch::Sender<u64>) {
    wakes.send_modify(|count| *count = count.wrapping_add(1));
}
