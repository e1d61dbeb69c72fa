//! `wait`: how long a reader who is up to date waits for news.

use std::time::{Duration, Instant};

use crate::clock;
use crate::live::{Live, WAIT_MAX};
use crate::problem::{Code, FieldError, Problem};

/// Until when a request waits; one without `wait` does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting(Option<Instant>);

impl Waiting {
    /// Reads `30s`, `500ms` or `1m`, up to [`WAIT_MAX`].
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text else { return Ok(Self(None)) };
        let wait = duration(text).filter(|wait| *wait <= WAIT_MAX).ok_or_else(|| {
            let seconds = usize::try_from(WAIT_MAX.as_secs()).unwrap_or(usize::MAX);
            let message = format!("is not a time such as `30s` or `500ms`, up to {seconds}s");
            Problem::new(Code::Invalid).error(FieldError::beyond("wait", message, seconds))
        })?;
        Ok(Self((!wait.is_zero()).then(|| clock::monotonic() + wait)))
    }

    /// Whether it waits at all.
    pub(super) const fn begun(self) -> bool {
        self.0.is_some()
    }

    /// Waits for news; false once the time is over or the node stops.
    pub(super) async fn news(self, live: &Live, news: impl Future<Output = ()>) -> bool {
        let Some(until) = self.0 else { return false };
        tokio::select! {
            () = news => true,
            () = live.draining() => false,
            () = tokio::time::sleep_until(until.into()) => false,
        }
    }
}

/// How long the query of a request asks to wait; no time where it does not ask, or not rightly.
pub(super) fn asked(query: Option<&str>) -> Duration {
    let mut fields = query.unwrap_or_default().split('&');
    let wait = fields.find_map(|field| field.strip_prefix("wait="));
    wait.and_then(duration).filter(|wait| *wait <= WAIT_MAX).unwrap_or_default()
}

/// A whole number with its unit.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number.into())),
        "s" => Some(Duration::from_secs(number.into())),
        "m" => Duration::from_secs(60).checked_mul(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_a_limit() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("1m", 60_000), ("0s", 0)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert!(Waiting::parse(Some(text)).is_ok(), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "61s", "2m", "99999999999s", "1h", "30 s", "é"]
        {
            let refused = Waiting::parse(Some(text)).unwrap_err();
            assert_eq!(refused.field_errors()[0].field, "wait", "{text}");
        }
        assert!(!Waiting::parse(None).unwrap().begun());
    }

    #[test]
    fn a_query_says_how_long_it_asks_to_wait() {
        for (query, seconds) in [
            (None, 0),
            (Some("after=&limit=5"), 0),
            (Some("wait=30s"), 30),
            (Some("after=x&wait=1m"), 60),
            (Some("wait=2m"), 0),
            (Some("await=30s"), 0),
        ] {
            assert_eq!(asked(query), Duration::from_secs(seconds), "{query:?}");
        }
    }
}
