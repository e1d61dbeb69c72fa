//! NATS core publish-subscribe by itself: what a server carries with nothing around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::NatsOptions;
use crate::link::{LinkError, addresses, with_secret};

/// Clients that connect at the same time.
const CONNECTED_AT_ONCE: usize = 64;
/// Bytes that a client reads at once.
const READ_BUFFER_BYTES: u16 = 2 * 1024;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The options cannot be right.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The server did not take a client.
    #[error("NATS took no client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Messages delivered by the second: each of so many clients is subscribed to a subject of its own under `prefix`, and
/// publishes `text` there again as soon as it has come back.
///
/// # Errors
/// When a client cannot connect.
pub async fn publish_subscribe(
    options: &NatsOptions,
    prefix: &str,
    clients: usize,
    over: Duration,
    text: Bytes,
) -> Result<f64, BenchError> {
    let delivered = Arc::new(AtomicU64::new(0));
    let mut turning = JoinSet::new();
    for first in (0..clients).step_by(CONNECTED_AT_ONCE) {
        let last = clients.min(first + CONNECTED_AT_ONCE);
        for client in join_all((first..last).map(|_| connect(options))).await {
            let subject = format!("{prefix}.{}", turning.len());
            turning.spawn(turn(client?, subject, text.clone(), Arc::clone(&delivered)));
        }
    }
    let before = delivered.load(Ordering::Relaxed);
    tokio::time::sleep(over).await;
    let after = delivered.load(Ordering::Relaxed);
    Ok((after - before) as f64 / over.as_secs_f64())
}

async fn connect(options: &NatsOptions) -> Result<Client, BenchError> {
    let connecting: ConnectOptions =
        with_secret(&addresses(&options.url)?, options.secret.as_deref())?
            .name("docket-bench")
            .read_buffer_capacity(READ_BUFFER_BYTES);
    let client = connecting.connect(addresses(&options.url)?).await;
    client.map_err(|error| BenchError::Client(error.into()))
}

async fn turn(client: Client, subject: String, text: Bytes, delivered: Arc<AtomicU64>) {
    let Ok(mut heard) = client.subscribe(subject.clone()).await else { return };
    while client.publish(subject.clone(), text.clone()).await.is_ok()
        && heard.next().await.is_some()
    {
        delivered.fetch_add(1, Ordering::Relaxed);
    }
}
