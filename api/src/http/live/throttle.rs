//! What one socket may send: frames within a rate, whispers now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use docket_schemas::TicketId;

/// Frames that may come at once beside durable writes, which wait for the log; refused ones are frames like others.
const FRAMES_BURST: f64 = 500.0;
/// Frames a second that may come for long.
const FRAMES_PER_SECOND: f64 = 100.0;

/// A state that does not change is whispered no more often.
const WHISPER_EVERY: Duration = Duration::from_secs(1);
/// Tickets whose last whisper is remembered.
const WHISPERED_TICKETS_MAX: usize = 16;

/// A token bucket of one socket.
#[derive(Debug)]
pub(super) struct Frames {
    left: f64,
    at: Instant,
}

impl Frames {
    pub(super) const fn new(now: Instant) -> Self {
        Self { left: FRAMES_BURST, at: now }
    }

    /// Takes one frame; false where there were too many.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let refill = now.saturating_duration_since(self.at).as_secs_f64() * FRAMES_PER_SECOND;
        self.left = (self.left + refill).min(FRAMES_BURST) - 1.0;
        self.at = now;
        self.left >= 0.0
    }
}

/// What a socket has last whispered.
#[derive(Debug, Default)]
pub(super) struct Whispered(BTreeMap<(TicketId, &'static str), (String, Instant)>);

impl Whispered {
    /// Whether this is worth saying: it is new, or was said a while ago. What `ends` a state is new at once, or others would
    /// go on to see the state.
    pub(super) fn admits(
        &mut self,
        ticket: TicketId,
        op: &'static str,
        (state, ends): (&str, bool),
        now: Instant,
    ) -> bool {
        let said = self.0.get(&(ticket, op));
        if said.is_some_and(|(last, at)| last == state && now.duration_since(*at) < WHISPER_EVERY) {
            return false;
        }
        // Changing to and fro is throttled too.
        if !ends && said.is_some_and(|(_, at)| now.duration_since(*at) < WHISPER_EVERY / 4) {
            return false;
        }
        if self.0.len() >= WHISPERED_TICKETS_MAX {
            self.0.retain(|_, (_, at)| now.duration_since(*at) < WHISPER_EVERY);
        }
        if self.0.len() < WHISPERED_TICKETS_MAX || said_before(&self.0, ticket, op) {
            self.0.insert((ticket, op), (state.to_owned(), now));
            return true;
        }
        false
    }
}

fn said_before(
    said: &BTreeMap<(TicketId, &'static str), (String, Instant)>,
    ticket: TicketId,
    op: &'static str,
) -> bool {
    said.contains_key(&(ticket, op))
}

#[cfg(test)]
mod tests {
    use docket_schemas::TicketId;
    use uuid::Uuid;

    use super::*;
    use crate::clock;

    #[test]
    fn what_ends_a_state_is_said_at_once_and_nothing_else_too_often() {
        let (ticket, now) = (TicketId::new(Uuid::nil()), clock::monotonic());
        let mut whispered = Whispered::default();
        let mut admits =
            |on: &str, later| whispered.admits(ticket, "typing", (on, on == "false"), now + later);
        let millis = Duration::from_millis;
        assert!(admits("true", millis(0)));
        assert!(!admits("true", millis(10)), "nothing is new");
        assert!(admits("false", millis(20)), "others would see it typing for ever");
        assert!(!admits("false", millis(30)), "nothing is new");
        assert!(!admits("true", millis(40)), "to and fro");
        assert!(admits("true", WHISPER_EVERY));
    }
}
