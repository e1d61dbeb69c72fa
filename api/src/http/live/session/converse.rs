//! The loop, and what each frame of the peer does.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use docket_engine::cursor::Cursor;
use docket_engine::desk::DeskError;
use docket_schemas::{Role, TicketId};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::deliver::failed;
use super::writes::{Answered, Asked};
use super::{ACK_WAITS_FOR, Closing, SUBSCRIBED_TICKETS_MAX, SUBSCRIPTIONS_MAX, Session, error};
use crate::auth::Token;
use crate::clock;
use crate::http::live::frame::{self, Auth, Frame, Subscribe};
use crate::http::live::subscribe::Subscription;
use crate::http::live::whisper::{self, What};
use crate::http::page::{from_the_start, read_cursor};
use crate::http::tickets::problem;
use crate::live::feed::{FeedReader, Next};
use crate::problem::{Code, FieldError, Problem};

/// What the loop has to do next.
enum Step {
    Heard(Option<Result<Message, axum::Error>>),
    Written(Answered),
    Due,
    Flush,
    Feed(Result<Next, DeskError>),
}

impl Session {
    /// Serves until there is a reason to close.
    pub(super) async fn converse(&mut self) -> Result<Infallible, Closing> {
        let now = self.now().await.map_err(|error| failed(&error.into()))?;
        let ready = json!({
            "op": "ready",
            "region": now.incarnation,
            "cursor": now.to_string(),
            "expires_at": self.token.expires_at,
        });
        self.send(&ready).await?;
        loop {
            // Boxed is what is seldom or large, for a socket that rests should not keep room for it.
            match self.step().await {
                Step::Heard(heard) => self.heard(heard).await?,
                Step::Written(answered) => self.acknowledge(answered).await?,
                Step::Flush => self.flush().await?,
                Step::Due => Box::pin(self.deliver()).await?,
                Step::Feed(next) => Box::pin(self.deliver_feed(next)).await?,
            }
        }
    }

    async fn step(&mut self) -> Step {
        let Self { app, token, socket, writes, outbox, feed, flush_by, .. } = self;
        let room = writes.have_room();
        let next = async {
            tokio::select! {
                frame = writes.next(app, token) => Step::Written(frame),
                () = outbox.ready() => Step::Due,
                next = next_of(feed) => Step::Feed(next),
                heard = recv(socket), if room => Step::Heard(heard),
            }
        };
        match *flush_by {
            None => next.await,
            Some(time) => timeout_at(time, next).await.unwrap_or(Step::Flush),
        }
    }

    /// Tells what became of a write. Its event follows at once where it is subscribed to, and one packet carries both.
    async fn acknowledge(&mut self, answered: Answered) -> Result<(), Closing> {
        let frame = match answered {
            Ok(ack) => ack,
            Err(refusal) => {
                self.send(&refusal).await?;
                return self.count();
            }
        };
        self.put(frame).await?;
        if self.subscriptions.is_empty() {
            return self.flush().await;
        }
        let now = Instant::from_std(clock::monotonic());
        self.flush_by.get_or_insert(now + ACK_WAITS_FOR);
        Ok(())
    }

    async fn heard(&mut self, heard: Option<Result<Message, axum::Error>>) -> Result<(), Closing> {
        self.beat.heard();
        let text = match heard {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(Closing::BINARY),
            Some(Ok(Message::Close(_))) | None => return Err(Closing::GONE),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return self.count(),
            Some(Err(error)) => return Err(error.into()),
        };
        let refused = match frame::read(text.as_bytes()) {
            // A write waits for the log; that is rate enough. One that is refused does not: it is counted then.
            Ok(Frame::Message(frame)) => {
                self.writes.push(&self.app, &self.token, Asked::Message(frame), text.len());
                return Ok(());
            }
            Ok(Frame::Patch(frame)) => {
                let asked = Asked::Patch(Box::new(frame));
                self.writes.push(&self.app, &self.token, asked, text.len());
                return Ok(());
            }
            Ok(Frame::Auth(auth)) => return Box::pin(self.renew(auth)).await,
            Ok(Frame::Subscribe(frame)) => {
                let id = frame.id.clone();
                Box::pin(self.subscribe(frame)).await?.map_err(|problem| (Some(id), problem))
            }
            Ok(Frame::Unsubscribe(frame)) => {
                let ended = self.unsubscribe(&frame.id);
                ended.map_err(|problem| (Some(frame.id), problem))
            }
            Ok(Frame::Typing(frame)) => {
                let whispering = self.whisper(frame.ticket, What::Typing(frame.on));
                Box::pin(whispering).await.map_err(|problem| (None, problem))
            }
            Ok(Frame::Presence(frame)) => {
                let whispering = self.whisper(frame.ticket, What::Presence(frame.state));
                Box::pin(whispering).await.map_err(|problem| (None, problem))
            }
            Ok(Frame::Ping(frame)) => {
                self.send(&json!({"op": "pong", "id": frame.id})).await?;
                Ok(())
            }
            Err(refused) => Err((refused.id, refused.problem)),
        };
        if let Err((id, problem)) = refused {
            self.send(&error(id.as_deref(), &problem)).await?;
        }
        self.count()
    }

    /// Counts a frame that waited for nothing.
    fn count(&mut self) -> Result<(), Closing> {
        if self.frames.take(clock::monotonic()) { Ok(()) } else { Err(Closing::FLOODING) }
    }

    /// Another token of the same caller keeps the socket open for longer. A valid one that is not taken now leaves the socket
    /// with its old one.
    async fn renew(&mut self, auth: Auth) -> Result<(), Closing> {
        let same = |token: &Token| {
            (&token.tenant, token.role, &token.subject)
                == (&self.token.tenant, self.token.role, &self.token.subject)
        };
        match self.app.gate.admit(&auth.token, clock::now()).await {
            Ok(token) if same(&token) => {
                self.beat.renew(&token);
                self.token = token;
            }
            Err(problem) if problem.code() != Code::Unauthenticated => {
                self.send(&error(None, &problem)).await?;
            }
            Ok(_) | Err(_) => return Err(Closing::UNAUTHENTICATED),
        }
        self.count()
    }

    /// Begins a subscription, and tells what was missed since its cursor.
    async fn subscribe(&mut self, frame: Subscribe) -> Result<Result<(), Problem>, Closing> {
        match self.admit_subscription(&frame).await {
            Err(problem) => Ok(Err(problem)),
            Ok(Admitted::Everything(reader)) => {
                let cursor = reader.cursor().to_string();
                self.feed = Some(Box::new((frame.id.clone(), *reader)));
                let subscribed = json!({"op": "subscribed", "id": frame.id, "cursor": cursor});
                self.send(&subscribed).await.map(Ok)
            }
            Ok(Admitted::Tickets(subscription)) => {
                let cursor = subscription.cursor.to_string();
                let subscribed = json!({"op": "subscribed", "id": frame.id, "cursor": cursor});
                self.send(&subscribed).await?;
                self.catch_up(*subscription).await.map(Ok)
            }
        }
    }

    async fn admit_subscription(&mut self, frame: &Subscribe) -> Result<Admitted, Problem> {
        let taken = self.subscriptions.values().any(|subscription| subscription.id == frame.id)
            || self.feed.as_ref().is_some_and(|feed| feed.0 == frame.id);
        if taken {
            return Err(Problem::invalid("id", "is the id of another subscription of this socket"));
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let message = "is one subscription too many for this socket";
            let error = FieldError::beyond("id", message, SUBSCRIPTIONS_MAX);
            return Err(Problem::new(Code::Invalid).error(error));
        }
        let after = match frame.after.as_deref() {
            None => None,
            Some("") => Some(from_the_start(&self.app)),
            Some(after) => Some(read_cursor(&self.app, after).await?),
        };
        let tickets = match (&frame.tickets, frame.all) {
            (None, true) if self.token.role == Role::Customer => {
                return self.begin_own(frame, after).await;
            }
            (None, true) => {
                self.check_feed()?;
                if self.feed.is_some() {
                    let message = "this socket has a subscription to everything already";
                    return Err(Problem::invalid("all", message));
                }
                let from = match after {
                    Some(after) => after,
                    None => self.now().await.map_err(|error| problem(error.into()))?,
                };
                let tenant = self.token.tenant.clone();
                let reader = FeedReader::new(&self.app.desk, &self.app.live, tenant, from);
                return Ok(Admitted::Everything(Box::new(reader)));
            }
            (Some(tickets), false) => checked(tickets)?,
            _ => return Err(Problem::invalid("tickets", "name `tickets`, or else `all`: true")),
        };
        self.next_subscription += 1;
        let listener = Arc::clone(&self.outbox);
        let begun = Subscription::begin(
            &self.app,
            &self.token,
            frame.id.clone(),
            &tickets,
            after,
            (self.next_subscription, listener),
        );
        Ok(Admitted::Tickets(Box::new(begun.await?)))
    }

    /// A customer's tickets, all of them, now and later.
    async fn begin_own(
        &mut self,
        frame: &Subscribe,
        after: Option<Cursor>,
    ) -> Result<Admitted, Problem> {
        let (_, person) = self.app.caller(&self.token).await.map_err(problem)?;
        self.next_subscription += 1;
        let begun = Subscription::begin_own(
            &self.app,
            &self.token.tenant,
            (frame.id.clone(), person.id),
            after,
            (self.next_subscription, Arc::clone(&self.outbox) as _),
        );
        Ok(Admitted::Tickets(Box::new(begun.await?)))
    }

    fn unsubscribe(&mut self, id: &str) -> Result<(), Problem> {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|_, subscription| subscription.id != id);
        let everything = self.feed.take_if(|feed| feed.0 == id);
        if everything.is_some() || self.subscriptions.len() < before {
            return Ok(());
        }
        Err(Problem::not_found())
    }

    async fn whisper(&mut self, ticket: TicketId, what: What) -> Result<(), Problem> {
        let person = whisper::admit(&self.app, &self.token, ticket, what).await?;
        let (op, state, ends) = match what {
            What::Typing(on) => ("typing", on.to_string(), !on),
            What::Presence(state) => {
                ("presence", format!("{state:?}"), matches!(state, frame::State::Away))
            }
        };
        if self.whispered.admits(ticket, op, (&state, ends), clock::monotonic()) {
            whisper::say(&self.app, &self.token, ticket, person, (self.number, what));
        }
        Ok(())
    }
}

/// A subscription that may begin.
enum Admitted {
    Everything(Box<FeedReader>),
    Tickets(Box<Subscription>),
}

fn checked(tickets: &[TicketId]) -> Result<Vec<TicketId>, Problem> {
    if !(1..=SUBSCRIBED_TICKETS_MAX).contains(&tickets.len()) {
        let message = format!("names not 1 to {SUBSCRIBED_TICKETS_MAX} tickets");
        let error = FieldError::beyond("tickets", message, SUBSCRIBED_TICKETS_MAX);
        return Err(Problem::new(Code::Invalid).error(error));
    }
    let mut tickets = tickets.to_vec();
    tickets.sort_unstable();
    tickets.dedup();
    Ok(tickets)
}

async fn recv(socket: &mut WebSocket) -> Option<Result<Message, axum::Error>> {
    socket.recv().await
}

/// What the feed has next; never, where there is none.
async fn next_of(feed: &mut Option<Box<(String, FeedReader)>>) -> Result<Next, DeskError> {
    match feed {
        Some(feed) => feed.1.next().await,
        None => std::future::pending().await,
    }
}
