//! The clocks of the process.

use std::time::{Instant, SystemTime};

use docket_schemas::Timestamp;

/// Now, in UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// Now, for measuring durations.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the steady clock is read")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock as the engine's port.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl docket_engine::ports::clock::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}
