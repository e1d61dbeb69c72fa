//! A socket's writes: done one after the other, in the order in which they came.

use std::collections::VecDeque;
use std::pin::Pin;

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

/// What was asked and not yet answered. What waits is kept as it was asked, for to do it takes much more room.
#[derive(Default)]
pub(super) struct Writes {
    waiting: VecDeque<Asked>,
    running: Option<Pin<Box<dyn Future<Output = String> + Send>>>,
}

impl Writes {
    /// Whether another one may be read from the socket.
    pub(super) fn have_room(&self) -> bool {
        self.waiting.len() < WRITES_WAITING_MAX
    }

    /// Takes one in; it begins at once where none runs.
    pub(super) fn push(&mut self, app: &App, token: &Token, asked: Asked) {
        if self.running.is_some() {
            self.waiting.push_back(asked);
        } else {
            self.running = Some(Box::pin(answer(app.clone(), token.clone(), asked)));
        }
    }

    /// The answer to the first, once it is done, and the next one begins; never, where there is none.
    pub(super) async fn next(&mut self, app: &App, token: &Token) -> String {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let frame = running.await;
        self.running = None;
        if let Some(asked) = self.waiting.pop_front() {
            self.push(app, token, asked);
        }
        frame
    }
}

async fn answer(app: App, token: Token, asked: Asked) -> String {
    let (id, written) = match asked {
        Asked::Message(frame) => (frame.id.clone(), write::message(&app, &token, frame).await),
        Asked::Patch(frame) => {
            (frame.id.clone(), Box::pin(write::patch(&app, &token, *frame)).await)
        }
    };
    written.unwrap_or_else(|problem| error(Some(&id), &problem).to_string())
}
