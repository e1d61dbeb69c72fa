//! The suite of stores, held against PostgreSQL.

#[path = "contract/database.rs"]
mod database;

use std::sync::Arc;

use async_trait::async_trait;
use database::Database;
use docket_projections::contract::ViewHarness;
use docket_projections::store::ViewStore;
use docket_views_postgres::PostgresViews;
use tokio::sync::OnceCell;

/// One database a case, made when it is first asked for.
#[derive(Default)]
struct Postgres(OnceCell<Database>);

#[async_trait]
impl ViewHarness for Postgres {
    async fn fresh(&self) -> Arc<dyn ViewStore> {
        self.second_connection().await
    }

    async fn second_connection(&self) -> Arc<dyn ViewStore> {
        let url = self.0.get_or_init(Database::create).await.url();
        Arc::new(PostgresViews::connect(&url).await.expect("a store"))
    }
}

docket_projections::view_contract!(Postgres::default());
