//! The load: connections that each send the next request as soon as they have their answer, on a thread of their own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::client::Connection;
use super::requests::Requests;
use crate::clock;

/// The status of a ticket that was opened.
const CREATED: u16 = 201;

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// So many requests over all connections.
    Count(u64),
    /// So long.
    Over(Duration),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Of every ticket opened within the time, in microseconds, sorted.
    pub(super) latencies: Vec<u32>,
    /// Answers other than 201.
    pub(super) errors: u64,
    /// The first of them.
    pub(super) first_error: Option<String>,
    /// Seconds that it took.
    pub(super) seconds: f64,
}

/// The requests and the thread that sends them.
pub(super) struct Load {
    /// Always there until it is dropped, which must not wait: the caller may be a task.
    runtime: Option<Runtime>,
    address: SocketAddr,
    connections: usize,
    shared: Arc<Shared>,
}

struct Shared {
    requests: Requests,
    next: AtomicU64,
}

impl Load {
    /// A load on the server at `address`.
    pub(super) fn new(
        address: SocketAddr,
        connections: usize,
        requests: Requests,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let shared = Arc::new(Shared { requests, next: AtomicU64::new(0) });
        Ok(Self { runtime: Some(runtime), address, connections, shared })
    }

    /// Sends requests on every connection, one after the other on each.
    pub(super) fn drive(&self, until: Until) -> io::Result<Answers> {
        let Some(runtime) = &self.runtime else { return Ok(Answers::default()) };
        // Anew each time: the server closes connections that rest while the log is filled.
        let connections = runtime.block_on(connect(self.address, self.connections))?;
        let began = clock::monotonic();
        let end = match until {
            Until::Count(count) => End::Number(self.shared.next.load(Ordering::Relaxed) + count),
            Until::Over(duration) => End::At(began + duration),
        };
        let shared = &self.shared;
        let mut answers = Answers::default();
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for connection in connections {
                tasks.spawn(send(connection, Arc::clone(shared), end));
            }
            while let Some(ended) = tasks.join_next().await {
                let part = ended.map_err(io::Error::other)??;
                answers.latencies.extend(part.latencies);
                answers.errors += part.errors;
                answers.first_error = answers.first_error.take().or(part.first_error);
            }
            io::Result::Ok(())
        })?;
        answers.seconds = match until {
            Until::Over(duration) => duration.as_secs_f64(),
            Until::Count(_) => began.elapsed().as_secs_f64(),
        };
        answers.latencies.sort_unstable();
        Ok(answers)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn connect(address: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(Connection::open(address).await?);
    }
    Ok(connections)
}

#[derive(Clone, Copy)]
enum End {
    Number(u64),
    At(Instant),
}

async fn send(mut connection: Connection, shared: Arc<Shared>, end: End) -> io::Result<Answers> {
    let mut answers = Answers::default();
    let mut request = Vec::new();
    let mut sent = clock::monotonic();
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if matches!(end, End::Number(last) if number >= last) {
            return Ok(answers);
        }
        shared.requests.write(number, &mut request);
        let status = connection.ask(&request).await?;
        let now = clock::monotonic();
        if matches!(end, End::At(end) if now > end) {
            return Ok(answers);
        }
        if status == CREATED {
            let micros = (now - sent).as_micros();
            answers.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
        } else {
            answers.errors += 1;
            answers.first_error.get_or_insert_with(|| connection.answer());
        }
        sent = now;
    }
}
