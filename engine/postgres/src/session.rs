//! Sessions that a pool lends: no answer is awaited without end, and none comes back amid an answer.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Error, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::connect::{PING_TIMEOUT, PostgresOptions, silence};

/// A statement with its values.
pub(crate) type Statement = Query<'static, Postgres, PgArguments>;

/// `SQLSTATE`s with which a server ends a connection: administrator's command, crash, database dropped.
const ENDED: [&str; 3] = ["57P01", "57P02", "57P04"];

/// A pool with how long its sessions wait for an answer. Cloning shares the connections.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    pool: PgPool,
    answer_timeout: Duration,
}

impl Sessions {
    pub(crate) const fn new(pool: PgPool, options: &PostgresOptions) -> Self {
        Self { pool, answer_timeout: options.answer_timeout }
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A session, once one is free.
    pub(crate) async fn lend(&self) -> Result<Session, Error> {
        let connection = Some(self.pool.acquire().await?);
        Ok(Session { connection, answer_timeout: self.answer_timeout, amid_answer: false })
    }

    /// Sends a statement once: a write, whose outcome is unknown after an error.
    pub(crate) async fn send(&self, statement: Statement) -> Result<Vec<PgRow>, Error> {
        self.lend().await?.rows(statement).await
    }

    /// Asks, and asks again for each connection that turns out to be closed: every one in the pool may be.
    ///
    /// # Errors
    /// What is answered at last.
    pub(crate) async fn ask(
        &self,
        question: impl Fn() -> Statement + Send + Sync,
    ) -> Result<Vec<PgRow>, Error> {
        for _ in 0..self.pool.options().get_max_connections() {
            match self.send(question()).await {
                Err(error) if is_lost_connection(&error) => {}
                answer => return answer,
            }
        }
        self.send(question()).await
    }

    /// Waits for what is under way, then closes every connection.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A lent connection.
pub(crate) struct Session {
    /// Taken when it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    answer_timeout: Duration,
    /// A statement was sent whose answer has not come to its end.
    amid_answer: bool,
}

impl Session {
    /// Sends a statement and reads its answer to the end: the first row of a write arrives before its commit does.
    ///
    /// # Errors
    /// [`std::io::ErrorKind::TimedOut`] when the answer does not end in time; the session is of no use then.
    pub(crate) async fn rows(&mut self, statement: Statement) -> Result<Vec<PgRow>, Error> {
        let limit = self.answer_timeout;
        let connection = self.connection.as_deref_mut().ok_or(Error::PoolClosed)?;
        self.amid_answer = true;
        let Ok(answer) = timeout(limit, statement.fetch_all(connection)).await else {
            return Err(silence(limit));
        };
        self.amid_answer = false;
        answer
    }
}

impl Drop for Session {
    /// Amid an answer the connection is closed, for what would be read next is not what was asked (sqlx#4385). Else the
    /// pool takes it back, after a ping of its own, for which it would wait without end.
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match Handle::try_current() {
            Ok(runtime) if !self.amid_answer => {
                runtime.spawn(timeout(PING_TIMEOUT, connection.return_to_pool()));
            }
            _ => drop(connection.detach()),
        }
    }
}

/// Whether the server has closed the connection, as it may have done while it lay in the pool.
fn is_lost_connection(error: &Error) -> bool {
    match error {
        Error::Io(error) => error.kind() != std::io::ErrorKind::TimedOut,
        Error::Database(error) => error.code().is_some_and(|code| ENDED.contains(&code.as_ref())),
        _ => false,
    }
}
