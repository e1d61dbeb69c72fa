//! One socket from its token to its end: a loop that reads frames, writes what was heard and finishes writes in order.

mod converse;
mod deliver;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use docket_engine::cursor::Cursor;
use docket_engine::policy::{Action, Relation, Verdict, may};
use docket_engine::ports::log::LogError;
use docket_schemas::Role;
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::closing::{Closing, close};
use super::frame::{self, Refused};
use super::subscribe::Subscription;
use super::throttle::{Frames, Whispered};
use crate::app::App;
use crate::auth::Token;
use crate::clock;
use crate::http::page::{from_now, from_the_start};
use crate::live::feed::FeedReader;
use crate::live::outbox::{Outbox, SubscriptionNumber};
use crate::live::wheel::Beat;
use crate::problem::{Code, Problem};
use writes::Writes;

/// How long a socket without a token may take to bring one.
const AUTH_WITHIN: Duration = Duration::from_secs(10);
/// Longest frame that may bring a token: the longest token (8 KiB), with room. What is longer is not even parsed.
const AUTH_FRAME_BYTES_MAX: usize = 16 * 1024;
/// How long a peer may take to read what it was sent.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long an acknowledgement may wait in the buffer for the event of its write, to go out with it.
const ACK_WAITS_FOR: Duration = Duration::from_millis(25);
/// Most subscriptions of one socket.
const SUBSCRIPTIONS_MAX: usize = 32;
/// Most tickets of one subscription.
const SUBSCRIBED_TICKETS_MAX: usize = 100;

/// Serves a socket to its end, in a task of its own: that of the handshake keeps more room than a socket needs.
pub(super) async fn run(
    app: App,
    token: Option<Token>,
    mut socket: WebSocket,
    place: OwnedSemaphorePermit,
) {
    let token = match token {
        Some(token) => Ok(token),
        None => match timeout(AUTH_WITHIN, Box::pin(authenticate(&app, &mut socket))).await {
            Ok(token) => token,
            Err(_) => Err(Closing::UNAUTHENTICATED),
        },
    };
    match token {
        Ok(token) => {
            tokio::spawn(Box::new(Session::new(app, token, socket, place)).serve());
        }
        Err(closing) => Box::pin(close(socket, closing)).await,
    }
}

/// Waits for the frame that brings the token.
async fn authenticate(app: &App, socket: &mut WebSocket) -> Result<Token, Closing> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) if text.len() > AUTH_FRAME_BYTES_MAX => {
                return Err(Closing::TOO_BIG);
            }
            Some(Ok(Message::Text(text))) => {
                let admitted = match frame::read_first(text.as_bytes()) {
                    Ok(auth) => {
                        let admitted = app.gate.admit(&auth.token, clock::now()).await;
                        admitted.map_err(|problem| Refused { id: None, problem })
                    }
                    Err(refused) => Err(refused),
                };
                return match admitted {
                    Ok(token) => Ok(token),
                    Err(Refused { id, problem }) => {
                        let frame = error(id.as_deref(), &problem).to_string();
                        let _ = socket.send(Message::Text(frame.into())).await;
                        Err(Closing::UNAUTHENTICATED)
                    }
                };
            }
            Some(Ok(Message::Binary(_))) => return Err(Closing::BINARY),
            Some(Ok(Message::Close(_))) | None => return Err(Closing::GONE),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// A refusal as a frame.
fn error(id: Option<&str>, problem: &Problem) -> Value {
    json!({"op": "error", "id": id, "problem": problem})
}

struct Session {
    app: App,
    token: Token,
    socket: WebSocket,
    outbox: Arc<Outbox>,
    beat: Arc<Beat>,
    frames: Frames,
    whispered: Whispered,
    /// Names this socket among those that whisper.
    number: Uuid,
    subscriptions: BTreeMap<SubscriptionNumber, Subscription>,
    next_subscription: SubscriptionNumber,
    /// The one subscription to everything.
    feed: Option<Box<(String, FeedReader)>>,
    writes: Writes,
    /// When what is in the buffer is sent, whatever else comes.
    flush_by: Option<Instant>,
    /// Given back when the socket is closed.
    place: OwnedSemaphorePermit,
}

impl Session {
    fn new(app: App, token: Token, socket: WebSocket, place: OwnedSemaphorePermit) -> Self {
        let outbox = Arc::new(Outbox::default());
        let beat = app.live.wheel.follow(Arc::clone(&outbox), &token);
        Self {
            number: app.desk.ports().ids.time_ordered(),
            frames: Frames::new(clock::monotonic()),
            whispered: Whispered::default(),
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            feed: None,
            writes: Writes::default(),
            flush_by: None,
            app,
            token,
            socket,
            outbox,
            beat,
            place,
        }
    }

    async fn serve(mut self: Box<Self>) {
        let Err(closing) = self.converse().await;
        let Self { socket, subscriptions, place, .. } = *self;
        drop(subscriptions);
        Box::pin(close(socket, closing)).await;
        drop(place);
    }

    /// Where a reader of everything stands now. A customer's cursor moves only for what they may see.
    async fn now(&mut self) -> Result<Cursor, LogError> {
        match self.token.role {
            Role::Customer => Ok(from_the_start(&self.app)),
            _ => from_now(&self.app).await,
        }
    }

    /// Refuses a caller who may not read the feed.
    fn check_feed(&self) -> Result<(), Problem> {
        match may(self.token.role, Relation::Other, Action::ReadFeed) {
            Verdict::Allow => Ok(()),
            _ => Err(Problem::new(Code::Forbidden).detail("this role may not read the event feed")),
        }
    }

    /// Puts a frame into the socket's buffer.
    async fn put(&mut self, frame: String) -> Result<(), Closing> {
        let putting = self.socket.feed(Message::Text(frame.into()));
        timeout(READ_WITHIN, putting).await.map_err(|_| Closing::GONE)?.map_err(Closing::from)
    }

    /// Sends what is in the buffer.
    async fn flush(&mut self) -> Result<(), Closing> {
        self.flush_by = None;
        let flushing = self.socket.flush();
        timeout(READ_WITHIN, flushing).await.map_err(|_| Closing::GONE)?.map_err(Closing::from)
    }

    async fn send(&mut self, frame: &Value) -> Result<(), Closing> {
        self.put(frame.to_string()).await?;
        self.flush().await
    }
}
