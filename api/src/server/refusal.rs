//! Gives the answers that hyper makes by itself, which have no body, the body of a problem.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::problem::{Code, Problem};

struct Refusals {
    malformed: Vec<u8>,
    timeout: Vec<u8>,
    uri_too_long: Vec<u8>,
    headers_too_large: Vec<u8>,
    overloaded: Vec<u8>,
}

static REFUSALS: LazyLock<Refusals> = LazyLock::new(|| Refusals {
    malformed: bytes(Code::MalformedRequest, ""),
    timeout: bytes(Code::Timeout, ""),
    uri_too_long: bytes(Code::UriTooLong, ""),
    headers_too_large: bytes(Code::HeadersTooLarge, ""),
    overloaded: bytes(Code::Overloaded, "retry-after: 1\r\n"),
});

fn bytes(code: Code, headers: &str) -> Vec<u8> {
    let status = code.status();
    let body = serde_json::to_string(&Problem::new(code)).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\
         connection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n{headers}\r\n{body}",
        status.as_u16()
    )
    .into_bytes()
}

/// For half a head that did not go on.
pub(super) fn timeout() -> &'static [u8] {
    &REFUSALS.timeout
}

/// For a connection that there is no place for.
pub(super) fn overloaded() -> &'static [u8] {
    &REFUSALS.overloaded
}

/// The refusal to send instead of what hyper is about to send, where that is an answer of its own.
///
/// Docket's own answers of these statuses always have a body, so an empty one is hyper's.
fn instead_of(bytes: &[u8]) -> Option<&'static [u8]> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 4")?;
    let refusal = match rest.first_chunk::<2>()? {
        b"00" => &REFUSALS.malformed,
        b"14" => &REFUSALS.uri_too_long,
        b"31" => &REFUSALS.headers_too_large,
        _ => return None,
    };
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    head.windows(b"content-length: 0".len())
        .any(|window| window.eq_ignore_ascii_case(b"content-length: 0"))
        .then_some(refusal.as_slice())
}

/// A stream that replaces hyper's own answers.
pub(super) struct WithRefusals<S> {
    stream: S,
    /// What is left of a refusal that is being sent.
    unsent: &'static [u8],
}

impl<S> WithRefusals<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, unsent: &[] }
    }
}

impl<S: AsyncWrite + Unpin> WithRefusals<S> {
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unsent = &self.unsent[written..],
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithRefusals<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithRefusals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(context))?;
        match instead_of(bytes) {
            Some(refusal) => {
                self.unsent = refusal;
                Poll::Ready(Ok(bytes.len()))
            }
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(context))?;
        match slices {
            [only] => self.poll_write(context, only),
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
