//! The suite of stores, held against PostgreSQL.

#[path = "contract/database.rs"]
mod database;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use database::Database;
use docket_projections::contract::ViewHarness;
use docket_projections::row::ROW_FORMAT;
use docket_projections::store::ViewStore;
use docket_schemas::Timestamp;
use docket_views_postgres::PostgresViews;
use sqlx::{AssertSqlSafe, Connection as _};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_waits_for_whoever_writes_and_sees_how_far_they_have_come() {
    let now = Timestamp::from_micros(1);
    let database = Database::create().await;
    let store = PostgresViews::connect(&database.url()).await.expect("a store");
    let old = store.versions().await.expect("an answer")[0].number;
    let new = store.begin(ROW_FORMAT, now).await.expect("a version");
    store.index(new).await.expect("indexes");
    store.vouch(new).await.expect("an answer");
    // What a writer does, and stays open.
    let mut writer = database.connect().await;
    let mut writing = writer.begin().await.expect("a transaction");
    let written = format!(
        "SELECT FROM docket_views.version WHERE number = {old} FOR SHARE; \
         UPDATE docket_views.checkpoint SET position = 1 WHERE version = {old} AND partition = 0"
    );
    sqlx::raw_sql(AssertSqlSafe(written)).execute(&mut *writing).await.expect("it is written");
    let switching = tokio::spawn({
        let store = store.clone();
        async move { store.switch(new, now).await }
    });
    let mut watcher = database.connect().await;
    let waits = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watcher).await.expect("a count") == 0 {
        assert!(!switching.is_finished(), "it has not waited");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    writing.commit().await.expect("a commit");
    let switched = switching.await.expect("a task").expect("an answer");
    assert!(!switched, "the new version is behind");
}
