//! What can go wrong with a file, in the words of the ports.

use std::path::{Path, PathBuf};

use docket_engine::ports::keys::KeyStoreError;
use docket_engine::ports::log::LogError;

/// A file that cannot be opened as a log or a key store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open or create it.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: sqlx::Error,
    },
    /// It holds something else, or was written by a newer release.
    #[error("cannot bring the tables of {} to this release", path.display())]
    Migrate {
        /// Which file.
        path: PathBuf,
        /// Which migration failed.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// A failed read or write, before it is known whose.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite refused or did not answer.
    Sql(sqlx::Error),
    /// A row that cannot be read.
    Row(String),
    /// The rules of an append found something wrong.
    Log(LogError),
    /// The task that wrote ended without an answer.
    Stopped(tokio::task::JoinError),
}

/// [`Failure`] with the file that it happened to.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read or written", path.display())]
struct FileFailure {
    path: PathBuf,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Failure {
    /// The constraint, when it was one that fired.
    pub(crate) fn constraint(&self) -> Option<&str> {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return None };
        error.is_unique_violation().then(|| error.message())
    }

    pub(crate) fn of_log(self, path: &Path) -> LogError {
        let at = match &self {
            Self::Log(LogError::Damaged { at, .. }) => *at,
            _ => None,
        };
        match self.damage() {
            Some(what) => LogError::Damaged { what: format!("{}: {what}", path.display()), at },
            None => LogError::Unavailable(self.with_path(path)),
        }
    }

    pub(crate) fn of_keys(self, path: &Path) -> KeyStoreError {
        KeyStoreError(self.with_path(path))
    }

    /// What is wrong with the file or a row, where that is what failed.
    pub(crate) fn damage(&self) -> Option<String> {
        match self {
            Self::Row(what) | Self::Log(LogError::Damaged { what, .. }) => Some(what.clone()),
            Self::Sql(error @ sqlx::Error::Database(says)) => {
                let damaged = matches!(result_code(error)?, SQLITE_CORRUPT | SQLITE_NOTADB);
                damaged.then(|| says.message().to_owned())
            }
            Self::Sql(
                error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_)),
            ) => Some(error.to_string()),
            Self::Sql(_) | Self::Log(_) | Self::Stopped(_) => None,
        }
    }

    fn with_path(self, path: &Path) -> Box<dyn std::error::Error + Send + Sync> {
        let source = match self {
            Self::Sql(error) => error.into(),
            Self::Row(what) => what.into(),
            Self::Log(error) => error.into(),
            Self::Stopped(error) => error.into(),
        };
        Box::new(FileFailure { path: path.to_owned(), source })
    }
}

/// Whether another connection stood in the way: the same may go through in a moment.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| matches!(code, SQLITE_BUSY | SQLITE_LOCKED))
}

/// The low byte of what SQLite answered.
fn result_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// <https://www.sqlite.org/rescode.html>: the low byte of a result code.
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;
