//! A socket's writes: done one after the other, in the order in which they came.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument as _;

use super::error;
use crate::app::App;
use crate::auth::Token;
use crate::http::live::frame::Write;
use crate::http::live::write;
use crate::http::tickets::add_message::AddMessage;
use crate::http::tickets::patch::PatchTicket;

/// Most writes of one socket that wait for the one before them.
const WRITES_WAITING_MAX: usize = 32;

/// What a frame asked to write.
pub(super) enum Asked {
    Message(Write<AddMessage>),
    Patch(Box<Write<PatchTicket>>),
}

/// The acknowledgement of a write, or the frame of its refusal.
pub(super) type Answered = Result<String, Value>;

/// A write that waits, with its part of what all sockets may keep waiting. None where that is full: of each socket one
/// waits all the same, for it was read already.
struct Waiting {
    asked: Asked,
    share: Option<OwnedSemaphorePermit>,
}

/// What was asked and not yet answered. What waits is kept as it was asked, for to do it takes much more room.
#[derive(Default)]
pub(super) struct Writes {
    waiting: VecDeque<Waiting>,
    /// A task of its own: a write holds a ticket, or stands in the queue for one, and nobody else gets that ticket while
    /// the session sees to something else.
    running: Option<JoinHandle<Answered>>,
}

impl Writes {
    /// Whether another one may be read from the socket.
    pub(super) fn have_room(&self) -> bool {
        self.waiting.len() < WRITES_WAITING_MAX
            && self.waiting.back().is_none_or(|last| last.share.is_some())
    }

    /// Takes one in, of a frame of so many bytes; it begins at once where none runs.
    pub(super) fn push(&mut self, app: &App, token: &Token, asked: Asked, bytes: usize) {
        if self.running.is_some() {
            self.wait(&app.live.waiting_writes, asked, bytes);
        } else {
            self.begin(app, token, asked);
        }
    }

    fn begin(&mut self, app: &App, token: &Token, asked: Asked) {
        let answered = answer(app.clone(), token.clone(), asked).in_current_span();
        self.running = Some(tokio::spawn(answered));
    }

    fn wait(&mut self, bytes_left: &Arc<Semaphore>, asked: Asked, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let share = Arc::clone(bytes_left).try_acquire_many_owned(bytes).ok();
        self.waiting.push_back(Waiting { asked, share });
    }

    /// The answer to the first, once it is done, and the next one begins; never, where there is none.
    pub(super) async fn next(&mut self, app: &App, token: &Token) -> Answered {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let ended = running.await;
        self.running = None;
        let answered = match ended.map_err(JoinError::try_into_panic) {
            Ok(answered) => answered,
            // As if the session itself had done it.
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The process stops.
            Err(Err(_)) => return std::future::pending().await,
        };
        if let Some(next) = self.waiting.pop_front() {
            self.begin(app, token, next.asked);
        }
        answered
    }
}

impl Drop for Writes {
    /// Nobody hears of it any more. What has gone to the log stays there.
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

async fn answer(app: App, token: Token, asked: Asked) -> Answered {
    let (id, written) = match asked {
        Asked::Message(frame) => (frame.id.clone(), write::message(&app, &token, frame).await),
        Asked::Patch(frame) => {
            (frame.id.clone(), Box::pin(write::patch(&app, &token, *frame)).await)
        }
    };
    written.map_err(|problem| error(Some(&id), &problem))
}

#[cfg(test)]
mod tests {
    use docket_schemas::TicketId;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_socket_is_read_no_further_while_all_sockets_keep_enough_waiting() {
        let asked = || {
            let body = serde_json::from_value(json!({"body": "B"})).expect("a message");
            let (id, ticket) = ("m".to_owned(), TicketId::new(Uuid::nil()));
            Asked::Message(Write { id, ticket, body })
        };
        let bytes_left = Arc::new(Semaphore::new(100));
        let (mut first, mut second) = (Writes::default(), Writes::default());
        first.wait(&bytes_left, asked(), 80);
        assert!(first.have_room());
        second.wait(&bytes_left, asked(), 80);
        assert!(!second.have_room(), "no socket keeps more than one beyond what all may keep");
        drop(first);
        assert!(second.waiting.pop_front().is_some() && second.have_room());
        second.wait(&bytes_left, asked(), 80);
        assert!(second.have_room(), "what has been begun is given back");
    }
}
