//! Appending a batch: one call of `docket.append`, in a task that its caller cannot cancel.

mod alone;
mod bookkeeping;
mod columns;
mod reply;

use crate::failure::{failed, refused};
use crate::session::{Session, Sessions};
use crate::writer::Writer;
use bookkeeping::Bookkeeping;
use columns::Columns;
use docket_engine::ports::log::{Batch, LogError, UnitOutcome};
use reply::Reply;

/// Why a call wrote nothing, or may have.
enum CallError {
    /// A constraint fired, or a value cannot be stored: nothing was written.
    Refused(String),
    /// All else.
    Failed(LogError),
}

/// Writes a batch. The task goes on when the caller is gone: a call that is dropped amid its answer costs the connection.
pub(crate) async fn append(
    writer: &Writer,
    readers: &Sessions,
    batch: Batch,
) -> Result<Vec<UnitOutcome>, LogError> {
    let (writer, readers) = (writer.clone(), readers.clone());
    let task = tokio::spawn(async move {
        let mut session = writer.session().await?;
        match call(&mut session, &readers, &batch).await {
            Err(CallError::Refused(what)) => {
                tracing::error!(constraint = what, "a batch was refused and is sent unit by unit");
                alone::append_one_by_one(&mut session, &readers, &batch).await
            }
            Err(CallError::Failed(error)) => Err(error),
            Ok(outcomes) => Ok(outcomes),
        }
    });
    task.await.unwrap_or_else(|stopped| Err(LogError::Unavailable(Box::new(stopped))))
}

async fn call(
    session: &mut Session,
    readers: &Sessions,
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
    let rows =
        session.rows(columns.bind(books.bind(query))).await.map_err(|error| {
            match refused(&error) {
                Some(what) => CallError::Refused(what),
                None => CallError::Failed(failed(error)),
            }
        })?;
    let reply = Reply::read(&rows).map_err(CallError::Failed)?;
    reply.outcomes(readers, batch, &books).await.map_err(CallError::Failed)
}
