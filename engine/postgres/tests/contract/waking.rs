//! The bus: a wake-up reaches other nodes, and many are one.

use std::time::Duration;

use docket_engine::ports::bus::Bus as _;
use docket_postgres::{PostgresBus, PostgresOptions, WAKE_EVERY};

use crate::database::Database;

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_reaches_another_node_and_many_are_few() {
    let database = Database::create().await;
    let options = PostgresOptions::default();
    let ours = PostgresBus::connect(&database.url(), &options).await.expect("a bus");
    let theirs = PostgresBus::connect(&database.url(), &options).await.expect("a bus");
    let mut heard = theirs.woken();
    // Both wake once when they begin to listen.
    changed(&mut heard).await;
    let before = *heard.borrow_and_update();
    for _ in 0..10_000 {
        ours.wake();
    }
    changed(&mut heard).await;
    tokio::time::sleep(WAKE_EVERY * 5).await;
    let sent = *heard.borrow() - before;
    assert!((1..10).contains(&sent), "10,000 wake-ups were sent as {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_lost_its_connections_is_heard_again() {
    let database = Database::create().await;
    let options = PostgresOptions::default();
    let bus = PostgresBus::connect(&database.url(), &options).await.expect("a bus");
    let mut heard = bus.woken();
    changed(&mut heard).await;
    let mut beside = database.connect().await;
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(others).execute(&mut beside).await.expect("an admin may end sessions");
    // It listens again, and wakes because it may have missed something.
    changed(&mut heard).await;
    sqlx::query("SELECT pg_notify('docket', '')").execute(&mut beside).await.expect("sent");
    changed(&mut heard).await;
}

async fn changed(heard: &mut tokio::sync::watch::Receiver<u64>) {
    tokio::time::timeout(PATIENCE, heard.changed()).await.expect("in time").expect("the bus lives");
}
