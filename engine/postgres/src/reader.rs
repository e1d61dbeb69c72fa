//! Reads, which are asked again when the server has closed a connection that lay in the pool.

use docket_engine::ports::log::LogError;
use sqlx::PgPool;

/// `SQLSTATE`s with which a server ends a connection: administrator's command, crash, database dropped.
const ENDED: [&str; 3] = ["57P01", "57P02", "57P04"];

/// Asks, and asks again for each connection that turns out to be closed: every one in the pool may be.
///
/// # Errors
/// What is answered at last.
pub(crate) async fn ask<'a, T, F>(
    pool: &'a PgPool,
    question: impl Fn(&'a PgPool) -> F + Send + Sync,
) -> Result<T, LogError>
where
    F: Future<Output = Result<T, LogError>> + Send,
{
    for _ in 0..pool.options().get_max_connections() {
        match question(pool).await {
            Err(error) if is_lost_connection(&error) => {}
            answer => return answer,
        }
    }
    question(pool).await
}

fn is_lost_connection(error: &LogError) -> bool {
    let LogError::Unavailable(source) = error else { return false };
    match source.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Io(_)) => true,
        Some(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| ENDED.contains(&code.as_ref()))
        }
        _ => false,
    }
}
