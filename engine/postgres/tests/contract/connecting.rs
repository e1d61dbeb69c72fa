//! Connecting: several nodes at once, and errors that say what to do.

use std::time::Duration;

use docket_engine::ports::log::EventLog as _;
use docket_postgres::{ConnectError, PostgresKeyStore, PostgresLog, PostgresOptions};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::database::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_nodes_start_at_once_on_an_empty_database() {
    let database = Database::create().await;
    let nodes: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move {
                let options = PostgresOptions::default();
                let log = PostgresLog::connect(&url, &options).await.expect("a log");
                PostgresKeyStore::connect(&url, &options).await.expect("a key store");
                log.heads().await.expect("heads").total()
            })
        })
        .collect();
    for node in nodes {
        assert_eq!(node.await.expect("no panic"), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_databases_own_settings_do_not_reach_the_log() {
    let database = Database::create().await;
    let mut beside = database.connect().await;
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut beside)
        .await
        .expect("a name");
    for setting in ["statement_timeout = 200", "default_transaction_read_only = on"] {
        let sql = format!("ALTER DATABASE {name} SET {setting}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut beside).await.expect("set");
    }
    let options = PostgresOptions::default();
    let log = PostgresLog::connect(&database.url(), &options).await.expect("a log");
    // `beside` is older than the settings. It makes the log wait for longer than they allow.
    let mut held = beside.begin().await.expect("begun");
    sqlx::query("SELECT FROM docket.meta FOR UPDATE").execute(&mut *held).await.expect("locked");
    let waiting = tokio::spawn(async move { log.probe_write().await });
    tokio::time::sleep(Duration::from_millis(600)).await;
    held.rollback().await.expect("let go");
    waiting.await.expect("no panic").expect("written in the end");
}

#[tokio::test]
async fn an_error_says_what_to_do_and_hides_the_password() {
    let database = Database::create().await;
    let options = PostgresOptions::default();
    let missing = format!("{}_gone", database.url());
    let missing = PostgresLog::connect(&missing, &options).await.expect_err("no such database");
    assert!(matches!(missing, ConnectError::NoDatabase { .. }), "{missing:?}");
    let silent = "postgres://docket:s3cr3t@127.0.0.1:1/docket";
    let silent = PostgresLog::connect(silent, &options).await.expect_err("nobody listens");
    assert!(matches!(silent, ConnectError::Unreachable { .. }), "{silent:?}");
    let wrong =
        PostgresLog::connect("postgres://do:s3cr3t@[x", &options).await.expect_err("no URL");
    assert!(matches!(wrong, ConnectError::Url(_)), "{wrong:?}");
    for error in [missing, silent, wrong] {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
