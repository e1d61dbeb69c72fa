//! The connection that appends, and whether it is still the one that it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use docket_engine::ports::log::LogError;
use sqlx::PgPool;

use crate::connect::{ConnectError, PostgresOptions, pool_like};
use crate::failure::failed;
use crate::session::{Session, Sessions};

/// Connections that append: a node sends one batch at a time, and one session keeps its plans and caches warm.
const WRITERS_MAX: u32 = 1;

/// Lends the one connection that appends. Behind a new one may be a log that was restored from a backup, so whoever
/// asks next is told once.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    sessions: Sessions,
    opened: Arc<AtomicU64>,
    /// So many were open when somebody was last told.
    told: Arc<AtomicU64>,
}

impl Writer {
    /// Connects to where `like` is connected to.
    pub(crate) async fn connect(
        like: &PgPool,
        options: &PostgresOptions,
    ) -> Result<Self, ConnectError> {
        let options = PostgresOptions { connections_max: WRITERS_MAX, ..options.clone() };
        let opened = Arc::new(AtomicU64::new(0));
        let pool = pool_like(like, &options, Arc::clone(&opened)).await?;
        let told = Arc::new(AtomicU64::new(opened.load(Ordering::Acquire)));
        Ok(Self { sessions: Sessions::new(pool, &options), opened, told })
    }

    /// Its session, once the last append has given it back.
    ///
    /// # Errors
    /// [`LogError::Reconnected`] once for each connection but the first, [`LogError::Unavailable`] where there is none.
    pub(crate) async fn session(&self) -> Result<Session, LogError> {
        let session = self.sessions.lend().await.map_err(failed)?;
        let opened = self.opened.load(Ordering::Acquire);
        if self.told.swap(opened, Ordering::AcqRel) == opened {
            Ok(session)
        } else {
            Err(LogError::Reconnected)
        }
    }

    pub(crate) async fn close(&self) {
        self.sessions.close().await;
    }
}
