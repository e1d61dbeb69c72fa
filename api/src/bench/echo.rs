//! A bare echo server on the WebSocket library that Docket stands on: what sockets alone can do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::socket;

/// Sockets that are opened at the same time.
const OPENED_AT_ONCE: usize = 64;

/// Echoes a second: each client says its text again as soon as it has heard it.
///
/// # Errors
/// When a socket breaks.
pub(super) async fn measure(clients: usize, over: Duration, text: &'static str) -> io::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let upgrade = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo);
    let server =
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/", get(upgrade))).await },
        );
    let crowd = move || crowd(address, clients, over, text);
    let echoes = tokio::task::spawn_blocking(crowd).await?;
    server.abort();
    echoes
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(_) = message
            && socket.send(message).await.is_err()
        {
            return;
        }
    }
}

fn crowd(
    address: SocketAddr,
    clients: usize,
    over: Duration,
    text: &'static str,
) -> io::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let echoes = Arc::new(AtomicU64::new(0));
    let counted = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        let mut sockets = Vec::with_capacity(clients);
        while sockets.len() < clients {
            let some = OPENED_AT_ONCE.min(clients - sockets.len());
            let opening = (0..some).map(|_| socket::open(address, "/", "none"));
            sockets.extend(try_join_all(opening).await?);
        }
        for (mut reader, mut writer) in sockets {
            let echoes = Arc::clone(&echoes);
            tasks.spawn(async move {
                while writer.send(text.as_bytes()).await.is_ok() && reader.text().await.is_ok() {
                    echoes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let before = echoes.load(Ordering::Relaxed);
        tokio::time::sleep(over).await;
        io::Result::Ok(echoes.load(Ordering::Relaxed) - before)
    });
    runtime.shutdown_background();
    Ok(counted? as f64 / over.as_secs_f64())
}
