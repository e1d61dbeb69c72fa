//! Gives the answers that hyper makes by itself, which have no body, the body of a problem.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::body;
use crate::http::head::{self, HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::http::request_id::RequestIds;
use crate::problem::{Code, Problem};

static IDS: LazyLock<RequestIds> = LazyLock::new(RequestIds::new);

/// For half a head that did not go on.
pub(super) fn timeout() -> Bytes {
    bytes(&Problem::new(Code::Timeout), "")
}

/// For a connection that there is no place for.
pub(super) fn overloaded() -> Bytes {
    bytes(&Problem::new(Code::Overloaded), "retry-after: 1\r\n")
}

fn bytes(problem: &Problem, headers: &str) -> Bytes {
    let (status, id) = (problem.code().status(), IDS.next());
    let id = id.to_str().unwrap_or_default();
    tracing::debug!(target: "docket::request", status = status.as_u16(), request.id = id, "refused");
    let body = serde_json::to_string(problem).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\
         connection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n\
         x-request-id: {id}\r\n{headers}\r\n{body}",
        status.as_u16()
    );
    answer.into()
}

/// What has come in since the last answer: a head, as far as it goes.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    bytes: usize,
    lines: usize,
    first_line_bytes: usize,
}

impl Received {
    fn add(&mut self, bytes: &[u8]) {
        if self.lines == 0 {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.first_line_bytes += end.unwrap_or(bytes.len());
        }
        self.bytes += bytes.len();
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
    }

    /// What hyper means by 431: it says the same of a body whose length is too large to be counted with.
    fn too_large(self) -> Problem {
        match self {
            Self { bytes: HEAD_BYTES_MAX.., .. } => head::too_large(self.first_line_bytes),
            Self { lines: 1..=HEAD_FIELDS_MAX, .. } => body::too_large(),
            _ => head::too_many_fields(),
        }
    }
}

/// The refusal to send instead of what hyper is about to send, where that is an answer of its own.
///
/// Docket's own answers of these statuses always have a body, so an empty one is hyper's.
fn instead_of(answer: &[u8], received: Received) -> Option<Bytes> {
    let status = answer.strip_prefix(b"HTTP/1.1 4")?.first_chunk::<2>()?;
    let head = answer.strip_suffix(b"\r\n\r\n")?;
    let mut windows = head.windows(b"content-length: 0".len());
    if !windows.any(|window| window.eq_ignore_ascii_case(b"content-length: 0")) {
        return None;
    }
    let problem = match status {
        b"00" => Problem::new(Code::MalformedRequest),
        b"14" => Problem::new(Code::UriTooLong),
        b"31" => received.too_large(),
        _ => return None,
    };
    Some(bytes(&problem, ""))
}

/// A stream that replaces hyper's own answers.
pub(super) struct WithRefusals<S> {
    stream: S,
    /// What is left of a refusal that is being sent.
    unsent: Bytes,
    received: Received,
}

impl<S> WithRefusals<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, unsent: Bytes::new(), received: Received::default() }
    }
}

impl<S: AsyncWrite + Unpin> WithRefusals<S> {
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unsent.advance(written),
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
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.received.add(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithRefusals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(context))?;
        match instead_of(bytes, std::mem::take(&mut self.received)) {
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
            _ => {
                self.received = Received::default();
                Pin::new(&mut self.stream).poll_write_vectored(context, slices)
            }
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
