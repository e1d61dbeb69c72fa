//! Appends whose answer is lost: before the commit nothing is written, after it a resend finds what was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docket_engine::contract::drafts::{
    batch, draft, duplicate, eu, opening, placed, ticket, units,
};
use docket_engine::ports::log::{Batch, EventLog as _, LogError, UnitOutcome};
use docket_postgres::{PostgresLog, PostgresOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::database::Database;

/// A message of more is no ping and no set-up.
const APPEND_BYTES_MIN: usize = 2_000;

fn ten_openings() -> Batch {
    batch(eu(1), units((1..=10).map(|number| opening(draft(ticket(number), number)))))
}

async fn log(url: &str) -> PostgresLog {
    let log = PostgresLog::connect(url, &PostgresOptions::default()).await.expect("a log");
    log.begin_incarnation(None, &eu(1)).await.expect("an incarnation begins");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_killed_amid_an_append_has_written_nothing() {
    let database = Database::create().await;
    let log = Arc::new(log(&database.url()).await);
    let mut beside = database.connect().await;
    run(&mut beside, "BEGIN").await;
    run(&mut beside, "SELECT FROM docket.partition_head FOR UPDATE").await;
    let appending = tokio::spawn({
        let log = log.clone();
        async move { log.append(ten_openings()).await }
    });
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                AND datname = current_database() AND query LIKE '%docket.append%'";
    while run(&mut beside, kill).await == 0 {
        run(&mut beside, "SELECT pg_stat_clear_snapshot()").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let outcome = appending.await.expect("no panic");
    assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
    run(&mut beside, "ROLLBACK").await;
    assert_eq!(log.heads().await.expect("heads").total(), 0);
    for outcome in append_over_a_new_connection(&log, ten_openings()).await {
        placed(&outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resend_after_a_lost_answer_finds_every_event() {
    let database = Database::create().await;
    let direct = log(&database.url()).await;
    let armed = Arc::new(AtomicBool::new(false));
    let url = behind_proxy(&database.url(), armed.clone()).await;
    let options = PostgresOptions { connections_max: 1, ..PostgresOptions::default() };
    let log = PostgresLog::connect(&url, &options).await.expect("a log");
    // The statement is prepared, so the next call is one message and one answer.
    let warm = units([opening(draft(ticket(99), 99))]);
    placed(&log.append(batch(eu(1), warm)).await.expect("appended")[0]);
    armed.store(true, Ordering::SeqCst);
    let outcome = log.append(ten_openings()).await;
    assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
    armed.store(false, Ordering::SeqCst);
    assert_eq!(direct.heads().await.expect("heads").total(), 11, "it was written");
    let again = append_over_a_new_connection(&log, ten_openings()).await;
    for (outcome, number) in again.iter().zip(1..) {
        assert_eq!(duplicate(outcome).1.draft, draft(ticket(number), number));
    }
    assert_eq!(direct.heads().await.expect("heads").total(), 11);
}

/// The log may be another behind a new connection: whoever appends is told so once.
async fn append_over_a_new_connection(log: &PostgresLog, batch: Batch) -> Vec<UnitOutcome> {
    let told = log.append(batch.clone()).await;
    assert!(matches!(told, Err(LogError::Reconnected)), "{told:?}");
    log.append(batch).await.expect("the log is back")
}

async fn run(connection: &mut sqlx::PgConnection, sql: &'static str) -> u64 {
    sqlx::query(sql).execute(connection).await.expect("the server answers").rows_affected()
}

/// The URL of a proxy in front of the server that `url` names. While it is `armed`, an append's answer is lost with its
/// connection.
async fn behind_proxy(url: &str, armed: Arc<AtomicBool>) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    let authority = rest.split('/').next().expect("a server");
    let server = authority.rsplit('@').next().expect("a host").to_owned();
    let server = if server.contains(':') { server } else { format!("{server}:5432") };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let proxied = url.replacen(
        authority,
        &authority.replace(authority.rsplit('@').next().expect("a host"), &address),
        1,
    );
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream =
                TcpStream::connect(&server).await.expect("DATABASE_URL names a TCP server");
            tokio::spawn(relay(client, upstream, armed.clone()));
        }
    });
    proxied
}

async fn relay(client: TcpStream, server: TcpStream, armed: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let deaf = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn({
        let deaf = deaf.clone();
        async move {
            let mut asked = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_client.read(&mut asked).await {
                if read > APPEND_BYTES_MIN && armed.load(Ordering::SeqCst) {
                    deaf.store(true, Ordering::SeqCst);
                }
                to_server.write_all(&asked[..read]).await.expect("the server listens");
            }
        }
    });
    let mut answer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_server.read(&mut answer).await {
        if deaf.load(Ordering::SeqCst) || to_client.write_all(&answer[..read]).await.is_err() {
            break;
        }
    }
    asking.abort();
}
