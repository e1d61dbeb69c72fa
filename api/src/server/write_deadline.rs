//! A stream whose peer has to go on reading: a write that waits too long ends it.
//!
//! An answer that nobody reads is held in memory, and its connection in a place, for as long as the peer likes: closing
//! is all that a server can do about it. Only what waits counts, so a stream that has nothing to send may rest.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Longest time that a write may wait for the peer to read anything at all.
const WRITE_STALL_TIME_MAX: Duration = Duration::from_secs(30);

/// A stream that fails with [`io::ErrorKind::TimedOut`] where a write makes no progress for [`WRITE_STALL_TIME_MAX`].
pub(super) struct WriteDeadline<S> {
    stream: S,
    // Apart, for a flush may be done at once where a write before it still waits.
    write: Stall,
    flush: Stall,
}

impl<S> WriteDeadline<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self::within(WRITE_STALL_TIME_MAX, stream)
    }

    const fn within(longest: Duration, stream: S) -> Self {
        Self { stream, write: Stall::at_most(longest), flush: Stall::at_most(longest) }
    }
}

/// How long something waits.
struct Stall {
    longest: Duration,
    /// When it has waited for too long; none while nothing waits.
    until: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    const fn at_most(longest: Duration) -> Self {
        Self { longest, until: None }
    }

    /// What has come of the stream, or the end where it has waited for too long.
    fn check<T>(
        &mut self,
        context: &mut Context<'_>,
        came: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if came.is_ready() {
            self.until = None;
            return came;
        }
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(self.longest)));
        until.as_mut().poll(context).map(|()| {
            tracing::debug!("the peer reads no more");
            Err(io::ErrorKind::TimedOut.into())
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let came = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.write.check(context, came)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let came = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.write.check(context, came)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_flush(context);
        self.flush.check(context, came)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    /// Bytes that the stream takes before its peer has to read.
    const BUFFER_BYTES: usize = 64;

    fn stream(longest_millis: u64) -> (WriteDeadline<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(BUFFER_BYTES);
        (WriteDeadline::within(Duration::from_millis(longest_millis), near), far)
    }

    #[tokio::test]
    async fn a_write_that_nobody_reads_fails_in_the_end() {
        let (mut stream, _unread) = stream(50);
        let failed = stream.write_all(&[0; BUFFER_BYTES + 1]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_slowly_gets_it_all() {
        let (mut stream, mut peer) = stream(1_000);
        let sent = tokio::spawn(async move { stream.write_all(&[0; 8 * BUFFER_BYTES]).await });
        for _ in 0..8 {
            sleep(Duration::from_millis(200)).await;
            peer.read_exact(&mut [0; BUFFER_BYTES]).await.unwrap();
        }
        assert!(sent.await.unwrap().is_ok(), "only the time without any progress counts");
    }

    #[tokio::test]
    async fn a_stream_that_rests_stays_open() {
        let (mut stream, mut peer) = stream(10);
        for _ in 0..3 {
            stream.write_all(b"news").await.unwrap();
            stream.flush().await.unwrap();
            sleep(Duration::from_millis(50)).await;
            peer.read_exact(&mut [0; 4]).await.unwrap();
        }
        peer.write_all(b"ask").await.unwrap();
        stream.read_exact(&mut [0; 3]).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_was_given_up_does_not_fail_a_later_one() {
        let (mut stream, mut peer) = stream(100);
        stream.write_all(&[0; BUFFER_BYTES]).await.unwrap();
        assert!(timeout(Duration::from_millis(10), stream.write_all(b"x")).await.is_err());
        sleep(Duration::from_millis(200)).await;
        peer.read_exact(&mut [0; BUFFER_BYTES]).await.unwrap();
        stream.write_all(b"x").await.unwrap();
    }
}
