//! Appending a batch: one call of `docket.append`, in a task that its caller cannot cancel.

mod alone;
mod bookkeeping;
mod columns;
mod reply;

use docket_engine::ports::log::{Batch, LogError, UnitOutcome};
use sqlx::{PgConnection, PgPool};

use crate::failure::{failed, refused};
use crate::writer::Writer;
use bookkeeping::Bookkeeping;
use columns::Columns;
use reply::Reply;

/// Why a call wrote nothing, or may have.
enum CallError {
    /// A constraint fired, or a value cannot be stored: nothing was written.
    Refused(String),
    /// All else.
    Failed(LogError),
}

/// Writes a batch. The task goes on when the caller is gone: a future that is dropped amid a call would leave its
/// connection in the middle of an answer (sqlx#4385).
pub(crate) async fn append(
    writer: &Writer,
    readers: &PgPool,
    batch: Batch,
) -> Result<Vec<UnitOutcome>, LogError> {
    let (writer, readers) = (writer.clone(), readers.clone());
    let task = tokio::spawn(async move {
        let mut connection = writer.connection().await?;
        match call(&mut connection, &readers, &batch).await {
            Err(CallError::Refused(what)) => {
                tracing::error!(constraint = what, "a batch was refused and is sent unit by unit");
                alone::append_one_by_one(&mut connection, &readers, &batch).await
            }
            Err(CallError::Failed(error)) => Err(error),
            Ok(outcomes) => Ok(outcomes),
        }
    });
    task.await.unwrap_or_else(|stopped| Err(LogError::Unavailable(Box::new(stopped))))
}

async fn call(
    writer: &mut PgConnection,
    readers: &PgPool,
    batch: &Batch,
) -> Result<Vec<UnitOutcome>, CallError> {
    let books = Bookkeeping::of(&batch.units);
    if books.is_empty() {
        return Ok(vec![UnitOutcome::Appended(Vec::new()); batch.units.len()]);
    }
    let columns = Columns::of(&batch.units);
    let query = sqlx::query(columns::CALL)
        .bind(batch.incarnation.as_str())
        .bind(i64::try_from(batch.erasure_epoch).unwrap_or(i64::MAX));
    // To the end: the row arrives before the commit, and an answer to the row alone would acknowledge too early.
    let rows = columns.bind(books.bind(query)).fetch_all(writer).await;
    let rows = rows.map_err(|error| match refused(&error) {
        Some(what) => CallError::Refused(what),
        None => CallError::Failed(failed(error)),
    })?;
    let reply = Reply::read(&rows).map_err(CallError::Failed)?;
    reply.outcomes(readers, batch, &books).await.map_err(CallError::Failed)
}
