//! What the server's errors mean to the log.

use docket_engine::ports::log::LogError;

/// An error of a read, or of a write that cannot break a constraint.
pub(crate) fn failed(error: sqlx::Error) -> LogError {
    match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => damaged(error),
        error => LogError::Unavailable(Box::new(error)),
    }
}

/// A row that cannot be what was once written.
pub(crate) fn damaged(what: impl std::fmt::Display) -> LogError {
    LogError::damaged(what.to_string())
}

/// The constraint or value that made the server refuse a write: nothing was written, and nothing will be by trying
/// the same again. Classes 22 (data exception) and 23 (integrity constraint violation) of SQLSTATE.
pub(crate) fn refused(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    if !code.starts_with("22") && !code.starts_with("23") {
        return None;
    }
    Some(error.constraint().map_or_else(|| error.message().to_owned(), str::to_owned))
}
