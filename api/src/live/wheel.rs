//! One timer for all sockets: who has to be pinged, whose token has expired, who goes when the node stops.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use docket_schemas::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::outbox::{Ending, Outbox};
use crate::auth::{Token, Trust};
use crate::clock;

/// The wheel turns by one slot in this time.
const TICK: Duration = Duration::from_secs(1);
/// Slots, and so the longest time that anything can be due in, in ticks.
const SLOTS: u64 = 32;
/// A peer that was not heard for so many ticks is pinged.
const PING_AFTER_TICKS: u64 = 30;
/// A peer that was not heard for so many ticks is gone.
const SILENT_AFTER_TICKS: u64 = 75;
/// Over so many ticks the sockets of a stopping node are closed, so that their peers do not all come back at once.
const DRAIN_TICKS: u64 = 5;

/// What the wheel knows of one socket.
#[derive(Debug)]
pub struct Beat {
    outbox: Arc<Outbox>,
    /// The tick at which the peer was last heard.
    heard: AtomicU64,
    token: Mutex<Standing>,
    tick: Arc<AtomicU64>,
}

impl Beat {
    /// The peer has sent something.
    pub fn heard(&self) {
        self.heard.store(self.tick.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The token is another.
    pub fn renew(&self, token: &Token) {
        *self.token.lock() = Standing::of(token);
    }
}

/// For how long a socket's token holds.
#[derive(Debug)]
struct Standing {
    expires_at: Timestamp,
    key: Trust,
}

impl Standing {
    fn of(token: &Token) -> Self {
        Self { expires_at: token.expires_at, key: token.key.clone() }
    }
}

/// The timer of all sockets of a node.
pub struct Wheel {
    shared: Arc<Shared>,
    _turning: JoinSet<()>,
}

struct Shared {
    tick: Arc<AtomicU64>,
    slots: Vec<Mutex<Vec<Weak<Beat>>>>,
}

impl Wheel {
    /// Begins to turn; once `drain` is true every socket is closed within [`DRAIN_TICKS`].
    #[must_use]
    pub fn start(drain: watch::Receiver<bool>) -> Self {
        let slots = (0..SLOTS).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared { tick: Arc::default(), slots });
        let mut turning = JoinSet::new();
        turning.spawn(turn(Arc::clone(&shared), drain));
        Self { shared, _turning: turning }
    }

    /// Looks after a socket for as long as its beat lives.
    #[must_use]
    pub fn follow(&self, outbox: Arc<Outbox>, token: &Token) -> Arc<Beat> {
        let tick = Arc::clone(&self.shared.tick);
        let now = tick.load(Ordering::Relaxed);
        let beat = Arc::new(Beat {
            outbox,
            heard: AtomicU64::new(now),
            token: Mutex::new(Standing::of(token)),
            tick,
        });
        // Looked at with the next turn, which says when it is due.
        self.shared.put(now + 1, Arc::downgrade(&beat));
        beat
    }
}

impl Shared {
    fn put(&self, tick: u64, beat: Weak<Beat>) {
        let slot = usize::try_from(tick % SLOTS).unwrap_or(0);
        self.slots[slot].lock().push(beat);
    }

    /// Looks at those who are due now, and says when each is due again.
    fn look(&self, now: u64) {
        let slot = usize::try_from(now % SLOTS).unwrap_or(0);
        let due = std::mem::take(&mut *self.slots[slot].lock());
        let time = clock::now().micros();
        for weak in due {
            if let Some(beat) = weak.upgrade() {
                self.put(now + beat.look(now, time).clamp(1, SLOTS - 1), weak);
            }
        }
    }

    fn drain(&self, turn: u64) {
        for slot in &self.slots {
            let beats = slot.lock();
            let leaving = beats.iter().enumerate().filter(|(index, _)| {
                u64::try_from(*index).is_ok_and(|index| index % DRAIN_TICKS <= turn)
            });
            for beat in leaving.filter_map(|(_, beat)| beat.upgrade()) {
                beat.outbox.end(Ending::Restart);
            }
        }
    }
}

impl Beat {
    /// Does what is due, and answers after how many ticks something is due again.
    fn look(&self, now: u64, time: i64) -> u64 {
        let token = self.token.lock();
        let expires_in = token.expires_at.micros() - time;
        if expires_in <= 0 || token.key.is_withdrawn() {
            drop(token);
            self.outbox.end(Ending::Expired);
            return SLOTS;
        }
        drop(token);
        let silent = now.saturating_sub(self.heard.load(Ordering::Relaxed));
        if silent >= SILENT_AFTER_TICKS {
            self.outbox.end(Ending::Silent);
            return SLOTS;
        }
        if silent >= PING_AFTER_TICKS {
            self.outbox.ping();
        }
        let expires_in = u64::try_from(expires_in).unwrap_or(0) / 1_000_000 + 1;
        let due = if silent < PING_AFTER_TICKS { PING_AFTER_TICKS - silent } else { SLOTS };
        due.min(expires_in)
    }
}

async fn turn(shared: Arc<Shared>, drain: watch::Receiver<bool>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut draining = 0;
    loop {
        ticks.tick().await;
        let now = shared.tick.fetch_add(1, Ordering::Relaxed) + 1;
        shared.look(now);
        if *drain.borrow() {
            shared.drain(draining);
            draining += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use docket_schemas::Role;

    use super::*;

    #[tokio::test]
    async fn a_socket_ends_with_its_token_or_with_the_key_that_signed_it() {
        let time = clock::now();
        let token = |expires_at| Token {
            tenant: "default".parse().unwrap(),
            role: Role::Agent,
            subject: "ann".into(),
            device: "".into(),
            expires_at,
            key: Trust::default(),
        };
        let (_stop, drain) = watch::channel(false);
        let wheel = Wheel::start(drain);
        let follow = |token: &Token| {
            let outbox = Arc::new(Outbox::default());
            (wheel.follow(Arc::clone(&outbox), token), outbox)
        };
        let long = token(time.plus_micros(3_600_000_000));
        let (beat, outbox) = follow(&long);
        assert_eq!((beat.look(0, time.micros()), outbox.ending()), (PING_AFTER_TICKS, None));
        long.key.withdraw();
        assert_eq!(beat.look(0, time.micros()), SLOTS);
        assert_eq!(outbox.ending(), Some(Ending::Expired));
        let (beat, outbox) = follow(&token(time.plus_micros(5_500_000)));
        assert_eq!((beat.look(0, time.micros()), outbox.ending()), (6, None));
        beat.renew(&token(time.plus_micros(60_000_000)));
        assert_eq!(beat.look(0, time.micros() + 6_000_000), PING_AFTER_TICKS);
        assert_eq!(outbox.ending(), None);
    }
}
