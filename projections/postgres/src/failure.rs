//! What the server's errors mean to the view.

use docket_projections::store::StoreError;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

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
pub(crate) fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(column).map_err(failed)
}
