//! One connection: its handshake, its requests, its end.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::lingering::Lingering;
use super::refusal::{self, WithRefusals};
use super::write_deadline::WriteDeadline;
use crate::http::head::HEAD_BYTES_MAX;

/// Longest time for the head of a request, and for an idle connection to send its next one.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest time for a TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest list of header fields over HTTP/2, each counted 32 bytes longer than it is (RFC 9113, 6.5.2). Beyond it the
/// stream is reset without an answer, so it is more than what gets one.
const HTTP2_HEAD_BYTES_MAX: u32 = 128 * 1024;
/// Most requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 128;
/// How often an HTTP/2 connection is asked whether it is still there.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// What all connections have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) service: Router,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) http1: http1::Builder,
    pub(super) drain: watch::Receiver<bool>,
}

/// HTTP/1.1 within our limits.
pub(super) fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        // The one bounds a head that has arrived, the other what is kept of one that has not.
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
}

/// Serves a connection until it ends.
pub(super) async fn run(stream: TcpStream, mut shared: Shared) {
    // Below TLS: what it has sealed waits for the peer as well.
    let stream = WriteDeadline::new(Lingering::new(stream));
    let Some(tls) = &shared.tls else { return run_http1(stream, shared).await };
    let Ok(Ok(mut stream)) = timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await else {
        tracing::debug!("TLS handshake failed");
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(super::tls::HTTP2) {
        if speaks(&mut stream, &mut shared.drain).await {
            run_http2(stream, shared).await;
        }
    } else {
        run_http1(stream, shared).await;
    }
}

/// Whether the caller begins to speak in time: until it has, nobody asks whether it is still there.
async fn speaks<S>(stream: &mut S, drain: &mut watch::Receiver<bool>) -> bool
where
    S: AsyncBufRead + Unpin,
{
    tokio::select! {
        first = timeout(HEAD_TIME_MAX, stream.fill_buf()) => matches!(first, Ok(Ok([_, ..]))),
        () = super::begun(drain) => false,
    }
}

async fn run_http1<S>(stream: S, mut shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(WithRefusals::new(stream));
    let service = TowerToHyperService::new(shared.service);
    let mut connection = shared.http1.serve_connection(io, service).with_upgrades();
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = super::begun(&mut shared.drain) => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = ended else { return };
    tracing::debug!(%error, "connection ended early");
    // Half a head that does not go on gets an answer; an idle connection just ends.
    if error.is_timeout()
        && let Some(parts) = connection.into_parts()
        && !parts.read_buf.is_empty()
    {
        let mut stream = parts.io.into_inner();
        let _ = stream.write_all(&refusal::timeout()).await;
        let _ = stream.shutdown().await;
    }
}

pub(super) async fn run_http2<S>(stream: S, mut shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HTTP2_HEAD_BYTES_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL);
    let service = TowerToHyperService::new(shared.service);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = super::begun(&mut shared.drain) => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
