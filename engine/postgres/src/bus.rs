//! The bus on LISTEN and NOTIFY: one coalesced wake-up, outside every append.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::bus::Bus;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connect::{ConnectError, PostgresOptions, connect_bare, silence};
use crate::session::Sessions;

/// At most one wake-up is sent in this time: a NOTIFY takes a lock that all of the server's commits share.
pub const WAKE_EVERY: Duration = Duration::from_millis(10);

/// How long to wait before the server is asked again after a failure.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A wake-up that a crash takes along wakes nobody anyway: its commit waits for no disk.
const NOTIFY: &str =
    "SELECT pg_notify('docket', '') FROM set_config('synchronous_commit', 'off', true)";

/// A connection to listen, one to notify, and one that the server has lost and the pool has not.
const CONNECTIONS: u32 = 3;

/// A listener that heard nothing for so long asks whether anybody is still there.
const SILENCE_TRUSTED_FOR: Duration = Duration::from_secs(30);

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
        let sessions = Sessions::new(connect_bare(url, &options).await?, &options);
        let pending = Arc::new(Notify::new());
        let wakes = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(notify(sessions.clone(), pending.clone()));
        tasks.spawn(listen(sessions, options.answer_timeout, wakes.clone()));
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

async fn notify(sessions: Sessions, pending: Arc<Notify>) {
    loop {
        pending.notified().await;
        match sessions.send(sqlx::query(NOTIFY)).await {
            Ok(_) => tokio::time::sleep(WAKE_EVERY).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no wake-up was sent");
                pending.notify_one();
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn listen(sessions: Sessions, patience: Duration, wakes: watch::Sender<u64>) {
    loop {
        if let Err(error) = listen_once(sessions.pool(), patience, &wakes).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "wake-ups are not heard");
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Listens until the connection is lost. What was said before it stood is unknown, so it wakes at the start.
async fn listen_once(
    pool: &PgPool,
    patience: Duration,
    wakes: &watch::Sender<u64>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen("docket").await?;
    bump(wakes);
    loop {
        match timeout(SILENCE_TRUSTED_FOR, listener.try_recv()).await {
            Ok(Ok(Some(_))) => bump(wakes),
            Ok(lost) => return lost.map(drop),
            Err(_) => {
                let asking = sqlx::query("SELECT 1").execute(&mut listener);
                timeout(patience, asking).await.unwrap_or_else(|_| Err(silence(patience)))?;
            }
        }
    }
}

fn bump(wakes: &watch::Sender<u64>) {
    wakes.send_modify(|count| *count = count.wrapping_add(1));
}
