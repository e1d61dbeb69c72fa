//! What can go wrong with the file, in the words of the port.

use std::path::PathBuf;

use docket_projections::store::StoreError;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, Type};

/// A file that cannot be opened as a view.
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
    #[error("cannot bring the tables of {} to this release: it may be deleted, and is filled again then", path.display())]
    Migrate {
        /// Which file.
        path: PathBuf,
        /// Which migration failed.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// An error of a statement.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => damaged(error),
        error => StoreError::Unavailable(Box::new(error)),
    }
}

/// A row that this release has not written.
pub(crate) fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.to_string() }
}

/// One column by its place.
pub(crate) fn get<'r, T>(row: &'r SqliteRow, column: usize) -> Result<T, StoreError>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(column).map_err(failed)
}
