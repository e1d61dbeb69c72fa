//! What a handler leaves of a body, thrown away before the answer so that the connection can go on.
//!
//! An answer to a body that is still being sent gets lost: HTTP/1.1 has to close behind it, and over HTTP/2 some callers
//! (curl 7.88) take the reset of the stream for a failure of the whole exchange.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Most bytes that are thrown away before an answer.
const UNREAD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest time that an answer waits for them.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(2);
/// Longest time that the stream of an answer over HTTP/2 stays open for a body that is longer.
const HTTP2_LINGER_TIME_MAX: Duration = Duration::from_secs(2);

/// Gets back what a handler does not read of a body.
pub(in crate::http) struct Unread {
    back: oneshot::Receiver<Body>,
    version: Version,
    /// The caller sends nothing before it is told to, which reading would do.
    waits: bool,
}

/// Lends the body of a request to a handler, if it has one.
pub(in crate::http) fn lend(request: Request) -> (Request, Option<Unread>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (owner, back) = oneshot::channel();
    let version = request.version();
    let waits = version < Version::HTTP_2 && request.headers().contains_key(header::EXPECT);
    let lent = request.map(|body| Body::new(Lent { body: Some(body), owner: Some(owner) }));
    (lent, Some(Unread { back, version, waits }))
}

impl Unread {
    /// Reads the body to its end within [`UNREAD_BYTES_MAX`] and [`UNREAD_TIME_MAX`]; where it goes on beyond, the answer
    /// says that the connection closes.
    pub(in crate::http) async fn settle(mut self, response: &mut Response) {
        let left = match self.back.try_recv() {
            Ok(body) => self.discard(body, response.status()).await,
            // Read to its end.
            Err(oneshot::error::TryRecvError::Closed) => return,
            Err(oneshot::error::TryRecvError::Empty) => Some(Body::empty()),
        };
        match left {
            None => {}
            Some(_) if self.version < Version::HTTP_2 => {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            // The reset that follows a dropped body must not overtake the answer.
            Some(mut body) => {
                tokio::spawn(async move {
                    let _ = timeout(HTTP2_LINGER_TIME_MAX, discard(&mut body, u64::MAX)).await;
                });
            }
        }
    }

    /// What is still there afterwards, if anything.
    async fn discard(&self, mut body: Body, status: StatusCode) -> Option<Body> {
        let late = status == StatusCode::REQUEST_TIMEOUT;
        if self.waits || late || body.size_hint().lower() > UNREAD_BYTES_MAX {
            return Some(body);
        }
        match timeout(UNREAD_TIME_MAX, discard(&mut body, UNREAD_BYTES_MAX)).await {
            Ok(End::Reached) => None,
            Ok(End::Beyond) | Err(_) => Some(body),
        }
    }
}

/// Where throwing away came to.
enum End {
    Reached,
    Beyond,
}

async fn discard(body: &mut Body, mut bytes_left: u64) -> End {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return End::Beyond };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        match bytes_left.checked_sub(bytes) {
            Some(left) => bytes_left = left,
            None => return End::Beyond,
        }
    }
    End::Reached
}

/// A body that goes back to its owner unless it was read to its end.
struct Lent {
    body: Option<Body>,
    owner: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(owner)) = (unread, self.owner.take()) {
            let _ = owner.send(body);
        }
    }
}
