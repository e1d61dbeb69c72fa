//! Answers that wait for their readers: how much memory they may take together.
//!
//! A page of a few megabytes is asked for with a few bytes, and whoever reads slowly, or not at all, keeps it in memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody, to_bytes};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::problem::{Code, Problem};

/// Most bytes of large answers held at once; beyond it who asks for another gets 503.
pub(super) const ANSWERS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// From so many bytes on an answer is large. Smaller ones are bounded by the connections.
const LARGE_BYTES: usize = 16 * 1024;
/// Bytes that are handed to a connection at once: what it has copied is counted no more.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes of all large answers that have not been sent.
static ANSWERS_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Counts an answer until it was sent, or until its reader has gone. What a read would answer beyond
/// [`ANSWERS_BYTES_MAX`] is refused; a write is done, and its answer is given in any case.
pub(super) async fn count(method: &Method, response: Response) -> Response {
    count_among(&ANSWERS_BYTES, method, response).await
}

async fn count_among(all: &'static AtomicUsize, method: &Method, response: Response) -> Response {
    let length = response.body().size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let Some(length) = length.filter(|bytes| *bytes >= LARGE_BYTES) else { return response };
    let share = Share { all, bytes: length };
    let held = all.fetch_add(length, Ordering::Relaxed) + length;
    if method.is_safe() && held > ANSWERS_BYTES_MAX {
        return Problem::overloaded().detail("too many answers wait to be read").into_response();
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, length).await else {
        return Problem::new(Code::Internal).into_response();
    };
    let bytes = Bytes::from_owner(Counted { bytes, _share: share });
    Response::from_parts(parts, Body::new(Pieces(bytes)))
}

/// A part of what all answers take, given back when dropped.
struct Share {
    all: &'static AtomicUsize,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes with their share, which is given back when the last piece is dropped.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body that is handed out in pieces.
struct Pieces(Bytes);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.0.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use http_body_util::BodyExt as _;

    use super::*;

    fn answer(bytes: usize) -> Response {
        Response::new(Body::from(vec![b'x'; bytes]))
    }

    #[tokio::test]
    async fn answers_are_counted_until_they_are_sent_and_reads_beyond_the_limit_are_refused() {
        static ALL: AtomicUsize = AtomicUsize::new(0);
        let count = async |method: &Method, answer| count_among(&ALL, method, answer).await;
        let mut held = Vec::new();
        let large = ANSWERS_BYTES_MAX / 8;
        for _ in 0..8 {
            let answered = count(&Method::GET, answer(large)).await;
            assert_eq!(answered.status(), StatusCode::OK);
            held.push(answered);
        }
        let refused = count(&Method::GET, answer(LARGE_BYTES)).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        for (method, bytes) in [(Method::GET, LARGE_BYTES - 1), (Method::POST, LARGE_BYTES)] {
            let answered = count(&method, answer(bytes)).await;
            assert_eq!(answered.status(), StatusCode::OK, "{method}, {bytes}");
        }
        let mut body = held.swap_remove(0).into_body();
        assert_eq!(body.size_hint().exact(), Some(large as u64));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PIECE_BYTES);
        drop(body);
        let refused = count(&Method::GET, answer(LARGE_BYTES)).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "a piece is still held");
        drop(first);
        let answered = count(&Method::GET, answer(3 * PIECE_BYTES + 1)).await;
        let sent = to_bytes(answered.into_body(), usize::MAX).await.unwrap();
        assert_eq!(sent.len(), 3 * PIECE_BYTES + 1);
        drop((held, sent));
        assert_eq!(ALL.load(Ordering::Relaxed), 0);
    }
}
