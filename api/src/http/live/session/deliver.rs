//! What a socket was told by the hub, the feed and the timer, as frames.

use std::sync::Arc;

use axum::extract::ws::Message;
use bytes::Bytes;
use docket_engine::cursor::Cursor;
use docket_engine::desk::{Desk, DeskError};
use docket_engine::policy::Audience;
use docket_schemas::Event;
use futures_util::SinkExt as _;
use serde_json::{Value, json};

use super::{Closing, Session, error};
use crate::http::live::subscribe::Subscription;
use crate::http::live::whisper;
use crate::live::feed::Next;
use crate::live::outbox::{Due, Heard, OUTBOX_ITEMS_MAX, SubscriptionNumber};
use crate::live::shown::Shown;
use crate::problem::Problem;

/// Events that are written before the peer is waited for.
const FLUSH_EVERY: usize = 32;

impl Session {
    /// Does what the outbox says is due.
    pub(super) async fn deliver(&mut self) -> Result<(), Closing> {
        let Due { heard, lost, ping, ending } = self.outbox.take(OUTBOX_ITEMS_MAX);
        if let Some(ending) = ending {
            return Err(ending.into());
        }
        for (number, heard) in heard {
            match heard {
                Heard::Event(event) => self.tell(number, &event).await?,
                Heard::Whisper(whisper) => {
                    let Some(subscription) = self.subscriptions.get(&number) else { continue };
                    let audience = subscription.audience;
                    let heard = whisper::hear(&self.app, &whisper, audience, self.number).await;
                    if let Some(frame) = heard {
                        self.put(frame.to_string()).await?;
                    }
                }
            }
        }
        if lost {
            for (_, subscription) in std::mem::take(&mut self.subscriptions) {
                self.resync(&subscription.id, &subscription.cursor).await?;
            }
        }
        if ping {
            let pinging = self.socket.feed(Message::Ping(Bytes::new()));
            pinging.await.map_err(Closing::from)?;
        }
        self.flush().await
    }

    /// Tells an event that a subscription has heard.
    async fn tell(&mut self, number: SubscriptionNumber, shown: &Shown) -> Result<(), Closing> {
        let Some(subscription) = self.subscriptions.get_mut(&number) else { return Ok(()) };
        if !subscription.follows(&shown.event) {
            return Ok(());
        }
        let reads = subscription.still_reads(&self.app, &self.token, &shown.event).await;
        // Where nobody can say, the peer comes back with its cursor and asks again.
        if !reads.map_err(|problem| unknown(&problem))? {
            if !subscription.is_by_name() {
                return Ok(());
            }
            let id = subscription.id.clone();
            let ended = error(Some(&id), &Problem::not_found());
            return self.put(ended.to_string()).await;
        }
        if !subscription.awaits(&shown.event) {
            return Ok(());
        }
        let Some(frame) = self.event_frame(number, shown).await? else { return Ok(()) };
        self.put(frame).await
    }

    /// The frame of an event, if the subscription's audience gets it.
    async fn event_frame(
        &mut self,
        number: SubscriptionNumber,
        shown: &Shown,
    ) -> Result<Option<String>, Closing> {
        let Some(subscription) = self.subscriptions.get_mut(&number) else { return Ok(None) };
        let event = &shown.event;
        if !crate::present::event::shows(subscription.audience, event) {
            return Ok(None);
        }
        subscription.cursor.positions.advance(event.partition, event.position);
        let (audience, cursor) = (subscription.audience, &subscription.cursor);
        let json = shown.json(&self.app.desk, audience, cursor).await;
        let json = json.map_err(|error| failed(&error))?;
        Ok(Some(event_frame(&subscription.id, &json)))
    }

    /// Tells what a new subscription has missed; meanwhile its news wait in the outbox.
    pub(super) async fn catch_up(&mut self, subscription: Subscription) -> Result<(), Closing> {
        let number = self.next_subscription;
        let mut missed = subscription.missed(&self.token.tenant);
        self.subscriptions.insert(number, subscription);
        let mut waiting = 0;
        while let Some(event) = missed.next(&self.app).await.map_err(|error| failed(&error))? {
            let shown = Shown::new(Arc::new(event));
            let Some(frame) = self.event_frame(number, &shown).await? else { continue };
            self.put(frame).await?;
            self.beat.heard();
            waiting += 1;
            if waiting == FLUSH_EVERY {
                self.flush().await?;
                waiting = 0;
                // A token may expire over what was missed, and a node may stop.
                if let Some(ending) = self.outbox.ending() {
                    return Err(ending.into());
                }
            }
        }
        self.flush().await
    }

    /// Tells what the subscription to everything has next.
    pub(super) async fn deliver_feed(
        &mut self,
        next: Result<Next, DeskError>,
    ) -> Result<(), Closing> {
        let events = match next {
            Ok(Next::Events(events)) => events,
            Ok(Next::Behind | Next::Replaced) => return self.end_feed().await,
            Err(error) => return Err(failed(&error)),
        };
        let Some(id) = self.feed.as_ref().map(|feed| feed.0.clone()) else { return Ok(()) };
        for chunk in events.chunks(FLUSH_EVERY) {
            for (event, cursor) in chunk {
                let frame = feed_frame(&self.app.desk, &id, event, cursor).await?;
                self.put(frame).await?;
            }
            self.flush().await?;
        }
        Ok(())
    }

    async fn end_feed(&mut self) -> Result<(), Closing> {
        let Some(feed) = self.feed.take() else { return Ok(()) };
        self.resync(&feed.0, feed.1.cursor()).await?;
        self.flush().await
    }

    /// Says that a subscription has ended, and from where to read on.
    async fn resync(&mut self, id: &str, cursor: &Cursor) -> Result<(), Closing> {
        let frame = json!({"op": "resync", "sub": id, "cursor": cursor.to_string()});
        self.put(frame.to_string()).await
    }
}

async fn feed_frame(
    desk: &Desk,
    id: &str,
    event: &Arc<Event>,
    cursor: &Cursor,
) -> Result<String, Closing> {
    let json = Shown::new(Arc::clone(event)).json(desk, Audience::Staff, cursor).await;
    Ok(event_frame(id, &json.map_err(|error| failed(&error))?))
}

fn event_frame(id: &str, event: &str) -> String {
    format!(r#"{{"op":"event","sub":{},"event":{event}}}"#, Value::from(id))
}

fn unknown(problem: &Problem) -> Closing {
    tracing::warn!(code = problem.code().as_str(), "http.live.failed");
    Closing::FAILED
}

pub(super) fn failed(error: &DeskError) -> Closing {
    tracing::warn!(error = error as &dyn std::error::Error, "http.live.failed");
    Closing::FAILED
}
