//! The wiring of the tickets view: beside the log on PostgreSQL, else in a file of its own.

use std::sync::Arc;

use docket_projections::store::ViewStore;
use docket_views_postgres::PostgresViews;
use docket_views_sqlite::SqliteViews;

use super::{Installation, WireError};

/// Opens the store of the tickets view.
///
/// # Errors
/// Naming what was wrong.
pub async fn view_store(installation: &Installation) -> Result<Arc<dyn ViewStore>, WireError> {
    match &installation.database_url {
        Some(url) => Ok(Arc::new(PostgresViews::connect(url).await?)),
        None => Ok(Arc::new(SqliteViews::open(installation.data.join("views.db")).await?)),
    }
}
