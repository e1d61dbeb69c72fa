//! A scratch installation for measurements: a database and a directory of their own, gone afterwards.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use docket_postgres::bench::{BenchDatabase, LogSize, RAW_BATCH_ROWS, RawInserts};
pub use docket_postgres::bench::{FULL_TEXT_BATCH_ROWS, FullText, FullTextQuery, FullTextSize};

use super::{Installation, WireError};
use crate::clock;

/// How often it is tried to remove a directory in which something is still written.
const REMOVE_TRIES: u32 = 50;
/// How long it is waited between two tries.
const REMOVE_PAUSE: Duration = Duration::from_millis(100);

/// An installation that was made for one measurement.
pub struct Scratch {
    /// To be opened like any other.
    pub installation: Installation,
    database: Option<BenchDatabase>,
}

/// How large a log is, as its backend counts.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Events.
    pub events: u64,
    /// Bytes of events, with indexes.
    pub bytes: u64,
    /// When the last event was recorded, in microseconds since 1970.
    pub recorded_at: i64,
}

/// The backend at its best: the same rows inserted with nothing around.
#[derive(Debug, Clone, Copy)]
pub struct Raw {
    /// Rows inserted.
    pub rows: u64,
    /// Rows of each insert, a transaction of its own.
    pub batch_rows: u32,
    /// Seconds in which they were inserted.
    pub seconds: f64,
}

impl Scratch {
    /// Makes one like `like`: a database `name` on the same server, or a file; keys in a directory under `like`'s.
    ///
    /// # Errors
    /// When the server or the file system says no.
    pub async fn make(like: &Installation, name: &str) -> Result<Self, WireError> {
        let database = match &like.database_url {
            Some(url) => Some(BenchDatabase::create(url, name).await.map_err(|error| {
                format!("cannot make the database {name} to measure in; the user of --database-url needs CREATEDB: {error}")
            })?),
            None => None,
        };
        let data = like.data.join(name);
        let installation = Installation {
            data,
            database_url: database.as_ref().map(BenchDatabase::url),
            keys_url: None,
            master_key: None,
            index: None,
            region: like.region.clone(),
            nats: None,
        };
        Ok(Self { installation, database })
    }

    /// What is measured, with the settings that matter.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn backend(&self) -> Result<String, WireError> {
        match &self.database {
            Some(database) => Ok(database.server().await?),
            None => Ok("SQLite".to_owned()),
        }
    }

    /// Copies events until there are so many.
    ///
    /// # Errors
    /// When the backend fails or cannot.
    pub async fn prefill(&self, events: u64) -> Result<(), WireError> {
        match &self.database {
            Some(database) => Ok(database.prefill(events).await?),
            None => Err("only PostgreSQL can be prefilled: name one with --database-url".into()),
        }
    }

    /// How large the log is; none where the backend cannot say.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn size(&self) -> Result<Option<Size>, WireError> {
        let Some(database) = &self.database else { return Ok(None) };
        let LogSize { events, bytes, recorded_at } = database.size().await?;
        Ok(Some(Size { events, bytes, recorded_at }))
    }

    /// Inserts what was recorded after `since` once more, raw; none where that is not known of the backend.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn raw_inserts(&self, since: i64) -> Result<Option<Raw>, WireError> {
        let Some(database) = &self.database else { return Ok(None) };
        let RawInserts { rows, took } = database.raw_inserts(since, clock::monotonic).await?;
        Ok(Some(Raw { rows, batch_rows: RAW_BATCH_ROWS, seconds: took.as_secs_f64() }))
    }

    /// A session with the database's own full-text search; none where it has none.
    ///
    /// # Errors
    /// When the backend fails.
    pub async fn full_text(&self) -> Result<Option<FullText>, WireError> {
        match &self.database {
            Some(database) => Ok(Some(database.full_text().await?)),
            None => Ok(None),
        }
    }

    /// Removes everything.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn remove(self) -> Result<(), WireError> {
        if let Some(database) = self.database {
            database.remove().await?;
        }
        Ok(remove_directory(&self.installation.data).await?)
    }
}

/// Threads that are ending, such as those that merge an index, may still write while it is removed.
async fn remove_directory(directory: &Path) -> std::io::Result<()> {
    for _ in 1..REMOVE_TRIES {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                tokio::time::sleep(REMOVE_PAUSE).await;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            removed => return removed,
        }
    }
    std::fs::remove_dir_all(directory)
}
