//! The bus of processes that share a file: each looks whether another has written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docket_engine::ports::bus::Bus;
use sqlx::Connection as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::failure::OpenError;
use crate::file::reader;

/// How often it is looked whether another process has written.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long to wait before the file is opened again after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Wakes the followers of this process at once, and those of other processes when they look.
#[derive(Debug)]
pub struct SqliteBus {
    wakes: watch::Sender<u64>,
    /// Ends with the bus.
    _looking: JoinSet<()>,
}

impl SqliteBus {
    /// Begins to look at a log's file.
    ///
    /// # Errors
    /// Naming the file, when it cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let failed = |source| OpenError::Open { path: path.clone(), source };
        reader(&path).await.map_err(failed)?.close().await.map_err(failed)?;
        let wakes = watch::Sender::new(0);
        let mut looking = JoinSet::new();
        looking.spawn(look(path, wakes.clone()));
        Ok(Self { wakes, _looking: looking })
    }
}

impl Bus for SqliteBus {
    fn wake(&self) {
        bump(&self.wakes);
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }
}

async fn look(path: PathBuf, wakes: watch::Sender<u64>) {
    loop {
        if let Err(error) = look_on(&path, &wakes).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "other processes are not heard"
            );
        }
        sleep(RETRY_AFTER).await;
    }
}

/// Looks until the file cannot be read. What was written before it was opened is unknown, so it wakes at the start.
async fn look_on(path: &Path, wakes: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut connection = reader(path).await?;
    let mut last = None;
    loop {
        let version: i64 =
            sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut connection).await?;
        if last.replace(version) != Some(version) {
            bump(wakes);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn bump(wakes: &watch::Sender<u64>) {
    wakes.send_modify(|count| *count = count.wrapping_add(1));
}
