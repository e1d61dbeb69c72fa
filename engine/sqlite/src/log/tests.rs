//! The log's contract, and what is SQLite's own.

use std::sync::Arc;

use docket_engine::contract::drafts::{
    append, batch, check_order, draft, eu, opening, started, ticket, units,
};
use docket_engine::contract::keeping;
use docket_engine::ports::bus::Bus as _;
use docket_engine::ports::log::{EventLog, LogError};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::testing::Directory;
use crate::{LOOK_EVERY, SqliteBus, SqliteLog};
use tokio::time::timeout;

mod contract {
    docket_engine::log_contract!(crate::testing::Directory::new());
}

mod saga_table {
    docket_engine::saga_table_contract!(crate::testing::Directory::new());
}

mod roster {
    docket_engine::roster_contract!(crate::testing::Directory::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_writes_is_heard() {
    let directory = Directory::new();
    let log = started(&directory).await;
    let bus = SqliteBus::open(directory.file("log.db")).await.unwrap();
    let mut woken = bus.woken();
    // The first look may come at any time; then nothing is written, and nothing is heard.
    tokio::time::sleep(LOOK_EVERY * 4).await;
    woken.mark_unchanged();
    assert!(timeout(LOOK_EVERY * 4, woken.changed()).await.is_err());
    append(&log, units([opening(draft(ticket(1), 1))])).await;
    timeout(LOOK_EVERY * 40, woken.changed()).await.expect("it is heard").unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let directory = Directory::new();
    let missing = directory.file("missing/log.db");
    let error = SqliteLog::open(&missing).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open {}", missing.display()));
    let other = directory.file("notes.txt");
    std::fs::write(&other, "this is no database, and long enough to show it\n".repeat(100))
        .unwrap();
    let error = SqliteLog::open(&other).await.unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_may_be_opened_by_many_at_once() {
    let directory = Directory::new();
    let opening = (0..8).map(|_| {
        let path = directory.file("log.db");
        tokio::spawn(async move { SqliteLog::open(path).await })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_opened_again_goes_on_where_it_was() {
    let directory = Directory::new();
    let log = started(&directory).await;
    append(&log, units([opening(draft(ticket(1), 1)), opening(draft(ticket(2), 2))])).await;
    drop(log);
    let log: Arc<dyn EventLog> = directory.log().await;
    assert_eq!(log.incarnations().await.unwrap()[0].incarnation, eu(1));
    append(&log, units([opening(draft(ticket(3), 3))])).await;
    assert_eq!(log.heads().await.unwrap().total(), 3);
    check_order(&log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_process_holds_too_long_is_unavailable_until_it_lets_go() {
    let directory = Directory::new();
    let log = started(&directory).await;
    let file = SqliteConnectOptions::new().filename(directory.file("log.db"));
    let mut other = SqliteConnection::connect_with(&file).await.unwrap();
    let holding = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let rows = units([opening(draft(ticket(1), 1))]);
    let refused = log.append(batch(eu(1), rows.clone())).await.unwrap_err();
    assert!(matches!(refused, LogError::Unavailable(_)), "{refused:?}");
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("log.db"), "the cause names the file: {cause}");
    assert_eq!(log.heads().await.unwrap().total(), 0, "readers never wait");
    holding.rollback().await.unwrap();
    append(&log, rows).await;
    check_order(&log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_what_the_log_does_not_have_is_not_kept() {
    keeping::a_snapshot_of_what_the_log_does_not_have_is_not_kept(&Directory::new()).await;
}
