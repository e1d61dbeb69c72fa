//! Answers that are lost: before the commit nothing is written, after it a resend finds what was; nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docket_engine::contract::drafts::{
    batch, draft, duplicate, eu, opening, placed, tenant, ticket, units,
};
use docket_engine::ports::log::{Batch, EventLog as _, LogError, StreamRead, UnitOutcome};
use docket_postgres::{PostgresLog, PostgresOptions};
use docket_schemas::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::database::Database;

/// A message of more is no ping and no set-up.
const APPEND_BYTES_MIN: usize = 2_000;

/// So many streams make a question of more bytes than that.
const WIDE_READ: u64 = 100;

/// When the log gives up, and when the test does.
const GIVE_UP: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);

/// What goes wrong in the proxy while it is armed.
struct Fault {
    loses: Loses,
    armed: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loses {
    /// The answer, and the connection with it.
    Connection,
    /// The answer alone: whoever waits for it is told nothing.
    Answer,
}

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
    let fault = Arc::new(Fault { loses: Loses::Connection, armed: AtomicBool::new(false) });
    let url = behind_proxy(&database.url(), fault.clone()).await;
    let options = PostgresOptions { connections_max: 1, ..PostgresOptions::default() };
    let log = PostgresLog::connect(&url, &options).await.expect("a log");
    warm_up(&log).await;
    fault.armed.store(true, Ordering::SeqCst);
    let outcome = log.append(ten_openings()).await;
    assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
    fault.armed.store(false, Ordering::SeqCst);
    assert_eq!(direct.heads().await.expect("heads").total(), 11, "it was written");
    let again = append_over_a_new_connection(&log, ten_openings()).await;
    for (outcome, number) in again.iter().zip(1..) {
        assert_eq!(duplicate(outcome).1.draft, draft(ticket(number), number));
    }
    assert_eq!(direct.heads().await.expect("heads").total(), 11);
}

/// A network that drops packets says nothing, and neither does a server that hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_is_given_up_with_its_connection() {
    let database = Database::create().await;
    let direct = log(&database.url()).await;
    let fault = Arc::new(Fault { loses: Loses::Answer, armed: AtomicBool::new(false) });
    let url = behind_proxy(&database.url(), fault.clone()).await;
    let options =
        PostgresOptions { connections_max: 1, answer_timeout: GIVE_UP, ..Default::default() };
    let log = PostgresLog::connect(&url, &options).await.expect("a log");

    warm_up(&log).await;
    fault.armed.store(true, Ordering::SeqCst);
    let outcome = in_time(log.append(ten_openings())).await;
    assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
    fault.armed.store(false, Ordering::SeqCst);
    for outcome in in_time(append_over_a_new_connection(&log, ten_openings())).await {
        duplicate(&outcome);
    }
    assert_eq!(direct.heads().await.expect("heads").total(), 11);

    let reads = (0..WIDE_READ).map(|number| StreamRead {
        tenant: tenant("acme"),
        stream: Stream::ticket(ticket(number)),
        after: 0,
    });
    let reads: Vec<_> = reads.collect();
    assert_eq!(log.stream_events(&reads).await.expect("events").len(), 11);
    fault.armed.store(true, Ordering::SeqCst);
    let outcome = in_time(log.stream_events(&reads)).await;
    assert!(matches!(outcome, Err(LogError::Unavailable(_))), "{outcome:?}");
    // Nor does a reader who goes away amid an answer leave the rest of it to the next one.
    let gone = tokio::time::timeout(GIVE_UP / 2, log.stream_events(&reads)).await;
    assert!(gone.is_err(), "{gone:?}");
    fault.armed.store(false, Ordering::SeqCst);
    assert_eq!(in_time(log.heads()).await.expect("heads").total(), 11);
}

/// The append's statement is prepared then, so the next call is one message and one answer.
async fn warm_up(log: &PostgresLog) {
    let warm = units([opening(draft(ticket(99), 99))]);
    placed(&log.append(batch(eu(1), warm)).await.expect("appended")[0]);
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("an end to the waiting")
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

/// The URL of a proxy in front of the server that `url` names. While its fault is armed, answers to long messages are lost.
async fn behind_proxy(url: &str, fault: Arc<Fault>) -> String {
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
            tokio::spawn(relay(client, upstream, fault.clone()));
        }
    });
    proxied
}

async fn relay(client: TcpStream, server: TcpStream, fault: Arc<Fault>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let deaf = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn({
        let (deaf, fault) = (deaf.clone(), fault.clone());
        async move {
            let mut asked = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_client.read(&mut asked).await {
                if read > APPEND_BYTES_MIN && fault.armed.load(Ordering::SeqCst) {
                    deaf.store(true, Ordering::SeqCst);
                }
                to_server.write_all(&asked[..read]).await.expect("the server listens");
            }
        }
    });
    let mut answer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_server.read(&mut answer).await {
        match (deaf.load(Ordering::SeqCst), fault.loses) {
            (true, Loses::Connection) => break,
            (true, Loses::Answer) => {}
            (false, _) if to_client.write_all(&answer[..read]).await.is_err() => break,
            (false, _) => {}
        }
    }
    asking.abort();
}
