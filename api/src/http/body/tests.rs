//! Which bodies are read, and what the others get.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::http::Version;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};

use super::*;

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    assignee_id: Option<String>,
}

/// A body that comes in so many pieces, and how many of them were taken.
fn pieces(count: usize, bytes: usize) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let piece = move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))
    };
    (Body::from_stream(futures_util::stream::iter((0..count).map(piece))), taken)
}

/// What `settle` says of a body of which a handler has taken one piece, and how many pieces were taken in all.
async fn settled(version: Version, count: usize, response: Response) -> (Option<String>, usize) {
    let (body, taken) = pieces(count, 64 * 1024);
    let request = Request::builder().version(version).body(body).unwrap();
    settled_of(request, taken, response).await
}

async fn settled_of(
    request: Request,
    taken: Arc<AtomicUsize>,
    mut response: Response,
) -> (Option<String>, usize) {
    let (request, unread) = unread::lend(request);
    let mut body = request.into_body();
    let _ = body.frame().await.unwrap();
    drop(body);
    unread.unwrap().settle(&mut response).await;
    let connection = response.headers().get(header::CONNECTION);
    let connection = connection.map(|value| value.to_str().unwrap().to_owned());
    (connection, taken.load(Ordering::Relaxed))
}

async fn payload(media_type: Option<&str>, body: impl Into<Body>) -> Payload {
    let mut request = Request::builder();
    if let Some(media_type) = media_type {
        request = request.header(header::CONTENT_TYPE, media_type);
    }
    let Ok(payload) = Payload::from_request(request.body(body.into()).unwrap(), &()).await;
    payload
}

#[tokio::test]
async fn a_body_of_the_right_media_type_is_read() {
    for media_type in ["application/json", "Application/JSON; charset=utf-8"] {
        let payload = payload(Some(media_type), r#"{"assignee_id":"ann"}"#).await;
        let claim = Claim { assignee_id: Some("ann".into()) };
        assert_eq!(payload.parse().map_err(code), Ok(claim));
    }
}

#[tokio::test]
async fn another_media_type_gets_415() {
    for media_type in [None, Some("text/plain"), Some("application/json5"), Some("")] {
        let payload = payload(media_type, "{}").await;
        assert_eq!(payload.parse::<Claim>().map_err(code), Err(Code::UnsupportedMediaType));
        let optional = payload.parse_or_default::<Claim>();
        assert_eq!(optional.map_err(code), Err(Code::UnsupportedMediaType));
    }
}

#[tokio::test]
async fn no_body_at_all_is_the_default_where_it_may_be_left_out() {
    for media_type in [None, Some("application/json")] {
        let payload = payload(media_type, "").await;
        assert_eq!(payload.parse_or_default().map_err(code), Ok(Claim::default()));
        assert!(payload.parse::<Claim>().is_err());
    }
}

#[tokio::test]
async fn a_body_beyond_1_mib_gets_413_with_the_limit() {
    let most = format!("{{}}{}", " ".repeat(BODY_BYTES_MAX - 2));
    assert!(payload(Some("application/json"), most.clone()).await.parse::<Claim>().is_ok());
    let more = payload(Some("application/json"), format!("{most} ")).await;
    let problem = more.parse::<Claim>().unwrap_err();
    assert_eq!(problem.code(), Code::TooLarge);
    assert_eq!(serde_json::to_value(&problem).unwrap()["limit"], BODY_BYTES_MAX);
}

/// A body that announces 1 MiB, sends one byte of it and then nothing.
struct Idle(Option<Bytes>);

impl axum::body::HttpBody for Idle {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.take().map_or(Poll::Pending, |first| Poll::Ready(Some(Ok(Frame::data(first)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(BODY_BYTES_MAX as u64)
    }
}

#[tokio::test]
async fn bodies_that_are_announced_and_do_not_come_keep_nobody_out() {
    let mut idle = Vec::new();
    for _ in 0..2 * BODIES_BYTES_MAX / BODY_BYTES_MAX {
        let body = Body::new(Idle(Some(Bytes::from_static(b"{"))));
        let mut reading = Box::pin(payload(Some("application/json"), body));
        assert!(futures_util::poll!(&mut reading).is_pending());
        idle.push(reading);
    }
    let small = payload(Some("application/json"), "{}").await;
    assert_eq!(small.parse().map_err(code), Ok(Claim::default()));
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together_and_counted_while_it_is_held() {
    for (count, bytes) in [(1, 0), (5, 1), (3, 1_000), (16, 64 * 1024)] {
        let (_, share) =
            read(Limited::new(pieces(count, bytes).0, BODY_BYTES_MAX), 0, None).await.unwrap();
        assert!((count * bytes..=BODY_BYTES_MAX).contains(&share.bytes()), "{count} of {bytes}");
    }
    let texts = ["{\"assignee_id\":", "\"ann\"}"].map(Ok::<_, std::io::Error>);
    let said = Body::from_stream(futures_util::stream::iter(texts));
    let claim = Claim { assignee_id: Some("ann".into()) };
    assert_eq!(payload(Some("application/json"), said).await.parse().map_err(code), Ok(claim));
}

#[tokio::test]
async fn what_is_not_read_is_thrown_away_before_the_answer() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(settled(version, 60, Response::default()).await, (None, 60));
    }
}

#[tokio::test]
async fn the_connection_closes_behind_an_answer_to_a_body_that_goes_on() {
    let (connection, taken) = settled(Version::HTTP_11, 1_000, Response::default()).await;
    assert_eq!(connection.as_deref(), Some("close"));
    assert!(taken < 100, "{taken}");
    // Which HTTP/2 has no field for.
    assert_eq!(settled(Version::HTTP_2, 1_000, Response::default()).await.0, None);
}

#[tokio::test]
async fn the_connection_closes_at_once_where_reading_on_is_of_no_use() {
    let close = Some("close".to_owned());
    let late = Problem::new(Code::Timeout).into_response();
    assert_eq!(settled(Version::HTTP_11, 60, late).await, (close.clone(), 1));
    let (body, taken) = pieces(60, 64 * 1024);
    let request = Request::builder().header(header::EXPECT, "100-continue").body(body).unwrap();
    assert_eq!(settled_of(request, taken, Response::default()).await, (close, 1));
}

#[tokio::test]
async fn a_body_that_was_read_leaves_nothing_to_do() {
    for body in [Body::from("{}"), pieces(3, 10).0] {
        let (request, unread) = unread::lend(Request::new(body));
        let _ = request.into_body().collect().await.unwrap();
        let mut response = Response::default();
        unread.unwrap().settle(&mut response).await;
        assert!(response.headers().is_empty());
    }
    assert!(unread::lend(Request::new(Body::empty())).1.is_none());
}

#[tokio::test]
async fn only_plain_utf8_is_read() {
    for charset in ["charset=utf-16", "charset=\"UTF-16\"", "a=b; Charset = latin1", "charset"] {
        let refused = payload(Some(&format!("application/json; {charset}")), "{}").await;
        let refused = refused.parse::<Claim>().map_err(code);
        assert_eq!(refused, Err(Code::UnsupportedMediaType), "{charset}");
    }
    for (coding, expected) in [
        ("identity", Ok(Claim::default())),
        ("gzip", Err(Code::UnsupportedMediaType)),
        ("identity, gzip", Err(Code::UnsupportedMediaType)),
        ("x", Err(Code::UnsupportedMediaType)),
    ] {
        let request = Request::builder()
            .header(header::CONTENT_TYPE, "application/json; charset=\"UTF-8\"")
            .header(header::CONTENT_ENCODING, coding);
        let Ok(payload) = Payload::from_request(request.body("{}".into()).unwrap(), &()).await;
        assert_eq!(payload.parse::<Claim>().map_err(code), expected, "{coding}");
    }
}

fn code(problem: Problem) -> Code {
    problem.code()
}
