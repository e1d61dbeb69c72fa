//! The server loop: accepts connections within a limit, speaks HTTP on them, drains on request.

mod accept;
mod connection;
mod lingering;
mod refusal;
mod tls;
mod write_deadline;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

pub use tls::{TlsError, tls_acceptor};
use tokio_rustls::TlsAcceptor;

/// Most connections at once; one more gets 503 and is closed.
pub const CONNECTIONS_MAX: usize = 20_000;
/// Connections waiting to be accepted, in the kernel.
pub const BACKLOG_MAX: u32 = 1_024;
/// Longest time for requests in flight to finish once the drain has begun.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// A server that has its address but takes no connections yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Whole,
    /// So many connections were still open after [`DRAIN_TIME_MAX`].
    Cut(usize),
}

impl Server {
    /// Takes the address; encrypted where there is an acceptor.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr, tls: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { listener: socket.listen(BACKLOG_MAX)?, tls })
    }

    /// The address, with the port that the system chose where none was named.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `drain` turns true, then finishes what is in flight, for at most [`DRAIN_TIME_MAX`].
    pub async fn serve(self, router: Router, mut drain: watch::Receiver<bool>) -> Drained {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let shared = connection::Shared {
            service: router,
            tls: self.tls,
            http1: connection::http1(),
            drain: drain.clone(),
        };
        tokio::select! {
            () = accept::accept(&self.listener, shared, &places) => {}
            () = begun(&mut drain) => {}
        }
        drop(self.listener);
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        match timeout(DRAIN_TIME_MAX, places.acquire_many(all)).await {
            Ok(_) => Drained::Whole,
            Err(_) => Drained::Cut(CONNECTIONS_MAX - places.available_permits()),
        }
    }
}

/// Waits until the drain begins.
async fn begun(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|draining| *draining).await;
}

#[cfg(test)]
mod tests;
