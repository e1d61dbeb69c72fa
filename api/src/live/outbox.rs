//! What waits for one socket: bounded, so that a slow reader costs the others nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use docket_engine::ports::ephemeral::Whisper;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::shown::Shown;

/// Most events and whispers that wait for one socket.
pub const OUTBOX_ITEMS_MAX: usize = 128;

/// Most bytes of events that wait for one socket, as they stand in the log.
pub const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// Which of a socket's subscriptions.
pub type SubscriptionNumber = u32;

/// What a subscription hears.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Something was written.
    Event(Arc<Shown>),
    /// Somebody types or looks.
    Whisper(Whisper),
}

/// Why a socket is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The token has expired.
    Expired,
    /// Nothing was heard of the peer for too long.
    Silent,
    /// The node stops.
    Restart,
}

/// Whoever is told of events.
pub trait Listener: Send + Sync {
    /// Takes something in, at once. `subscription` is the number under which the listener was entered.
    fn hear(&self, subscription: SubscriptionNumber, heard: Heard);

    /// What was to come next is lost: the log was restored, or too much waited.
    fn lose(&self);
}

/// A listener that is only woken: whoever waits reads the log.
impl Listener for Notify {
    fn hear(&self, _: SubscriptionNumber, heard: Heard) {
        if matches!(heard, Heard::Event(_)) {
            self.notify_one();
        }
    }

    fn lose(&self) {
        self.notify_one();
    }
}

/// What one socket is to do next.
#[derive(Debug, Default)]
pub struct Due {
    /// What was heard, oldest first.
    pub heard: Vec<(SubscriptionNumber, Heard)>,
    /// Events were dropped: every subscription has ended.
    pub lost: bool,
    /// The peer is to be asked whether it is there.
    pub ping: bool,
    /// The socket is to be closed.
    pub ending: Option<Ending>,
}

/// The queue of one socket.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct State {
    heard: VecDeque<(SubscriptionNumber, Heard)>,
    bytes: usize,
    lost: bool,
    ping: bool,
    ending: Option<Ending>,
}

impl Outbox {
    /// Waits until there is something to do.
    pub async fn ready(&self) {
        loop {
            if !self.state.lock().is_idle() {
                return;
            }
            self.ready.notified().await;
        }
    }

    /// Takes what is to be done next, at most `most` of what was heard.
    pub fn take(&self, most: usize) -> Due {
        let mut state = self.state.lock();
        let most = most.min(state.heard.len());
        let heard: Vec<_> = state.heard.drain(..most).collect();
        state.bytes -= heard.iter().map(|(_, heard)| weight(heard)).sum::<usize>();
        if state.heard.is_empty() {
            // An idle socket keeps no room.
            state.heard = VecDeque::new();
        }
        Due {
            heard,
            lost: std::mem::take(&mut state.lost),
            ping: std::mem::take(&mut state.ping),
            ending: state.ending,
        }
    }

    /// Why the socket is to be closed, if it is.
    pub fn ending(&self) -> Option<Ending> {
        self.state.lock().ending
    }

    /// Asks the socket to ping its peer.
    pub fn ping(&self) {
        self.state.lock().ping = true;
        self.ready.notify_one();
    }

    /// Asks the socket to close; the first reason stands.
    pub fn end(&self, ending: Ending) {
        self.state.lock().ending.get_or_insert(ending);
        self.ready.notify_one();
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.heard.is_empty() && !self.lost && !self.ping && self.ending.is_none()
    }

    fn lose(&mut self) {
        self.heard = VecDeque::new();
        self.bytes = 0;
        self.lost = true;
    }
}

impl Listener for Outbox {
    fn hear(&self, subscription: SubscriptionNumber, heard: Heard) {
        let mut state = self.state.lock();
        if state.lost {
            return;
        }
        let full = state.heard.len() >= OUTBOX_ITEMS_MAX;
        let bytes = state.bytes + weight(&heard);
        match heard {
            Heard::Whisper(_) if full => return,
            Heard::Event(_) if full || bytes > OUTBOX_BYTES_MAX && !state.heard.is_empty() => {
                state.lose();
            }
            heard => {
                state.bytes = bytes;
                state.heard.push_back((subscription, heard));
            }
        }
        drop(state);
        self.ready.notify_one();
    }

    fn lose(&self) {
        self.state.lock().lose();
        self.ready.notify_one();
    }
}

fn weight(heard: &Heard) -> usize {
    match heard {
        Heard::Event(shown) => {
            let event = &shown.event;
            event.data.len() + event.sealed.as_ref().map_or(0, |sealed| sealed.bytes.len())
        }
        Heard::Whisper(whisper) => whisper.bytes.len(),
    }
}
