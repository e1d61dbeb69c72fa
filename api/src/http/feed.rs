//! `GET /v1/feed`: the tenant's feed as server-sent events (WHATWG HTML, 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use docket_engine::cursor::Cursor;
use docket_engine::desk::Desk;
use docket_engine::policy::Audience;
use docket_schemas::{Event, Timestamp};
use futures_util::stream;

use super::page::{from_now, from_the_start, read_cursor};
use super::query::Query;
use super::tickets::{check_feed, problem};
use crate::app::App;
use crate::auth::{Token, Trust};
use crate::clock;
use crate::live::Live;
use crate::live::feed::{FeedReader, Next};
use crate::live::shown::Shown;
use crate::problem::{Code, Problem};

/// A comment says so often that the stream lives: proxies end what is silent.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How long a client is told to wait before it comes back.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Bytes after which what is due is sent in another piece: a slow reader holds one of them as text.
const PIECE_BYTES: usize = 256 * 1024;

/// A proxy that gathers answers would hold the events back.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

/// The tenant's events beyond a cursor, and then as they come; from now on where no cursor is given.
#[tracing::instrument(name = "http.feed.stream", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_feed(&token)?;
    let [after] = query.params(["after"])?;
    let last = last_event_id(&headers)?;
    let from = match last.or(after.as_deref()) {
        Some("") => from_the_start(&app),
        Some(after) => read_cursor(&app, after).await?,
        None => from_now(&app).await.map_err(|error| problem(error.into()))?,
    };
    let stream = Streaming {
        reader: FeedReader::new(&app.desk, &app.live, token.tenant.clone(), from),
        desk: app.desk.clone(),
        live: Arc::clone(&app.live),
        expires_at: token.expires_at,
        key: token.key,
        begun: false,
        due: VecDeque::new(),
    };
    let chunks = stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    let content_type = HeaderValue::from_static("text/event-stream");
    let headers = [(header::CONTENT_TYPE, content_type)];
    Ok((headers, [UNBUFFERED], Body::from_stream(chunks)).into_response())
}

/// The cursor of the last event that a client has got, as it says when it comes back.
fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut fields = headers.get_all("last-event-id").iter();
    let Some(field) = fields.next() else { return Ok(None) };
    match (field.to_str(), fields.next()) {
        (Ok(id), None) => Ok(Some(id)),
        _ => Err(Problem::new(Code::CursorMalformed)),
    }
}

struct Streaming {
    reader: FeedReader,
    desk: Desk,
    live: Arc<Live>,
    expires_at: Timestamp,
    key: Trust,
    begun: bool,
    /// What was read and not sent yet, with the cursor after each.
    due: VecDeque<(Arc<Event>, Cursor)>,
}

impl Streaming {
    /// What is sent next; none ends the stream, and the client comes back with its last cursor.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(format!("retry: {}\n\n", RETRY_AFTER.as_millis()).into());
        }
        let comment_at = clock::monotonic() + COMMENT_EVERY;
        loop {
            let left = self.expires_at.micros() - clock::now().micros();
            let expired = Duration::from_micros(u64::try_from(left).ok()?);
            if self.key.is_withdrawn() {
                return None;
            }
            if !self.due.is_empty() {
                return self.write().await;
            }
            let next = tokio::select! {
                next = self.reader.next() => next,
                () = self.live.draining() => return None,
                () = tokio::time::sleep(expired) => return None,
                () = tokio::time::sleep_until(comment_at.into()) => {
                    return Some(Bytes::from_static(b":\n\n"));
                }
            };
            match next {
                Ok(Next::Events(events)) => self.due.extend(events),
                Ok(Next::Behind) => {}
                Ok(Next::Replaced) => return None,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "http.feed.failed");
                    return None;
                }
            }
        }
    }

    /// The next piece of what is due.
    async fn write(&mut self) -> Option<Bytes> {
        let mut text = String::new();
        while text.len() < PIECE_BYTES
            && let Some((event, cursor)) = self.due.pop_front()
        {
            let json = Shown::new(event).json(&self.desk, Audience::Staff, &cursor).await;
            match json {
                Ok(json) => text.push_str(&message(&cursor, &json)),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "http.feed.failed");
                    return None;
                }
            }
        }
        Some(text.into())
    }
}

fn message(cursor: &Cursor, json: &str) -> String {
    format!("id: {cursor}\ndata: {json}\n\n")
}

/// The route of the stream.
#[must_use]
pub(super) fn routes() -> super::Routes<App> {
    super::Routes::new().on(axum::http::Method::GET, "/v1/feed", get)
}
