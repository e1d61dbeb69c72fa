//! A rate as it is written: `100/s`, `6000/m`, `off`.

use std::fmt;
use std::num::NonZeroU32;

/// How many periods' worth of requests may come at once.
const BURST_PERIODS: u64 = 1;

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate such as `100/s`, `6000/m`, `10000/h`, nor `off`")]
pub struct RateError;

/// So many requests in each second, minute or hour, as many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    requests: NonZeroU32,
    period: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
}

impl RateLimit {
    /// Reads a rate; `off` is none.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Option<Self>, RateError> {
        if text == "off" {
            return Ok(None);
        }
        let (requests, period) = text.split_once('/').ok_or(RateError)?;
        let period = match period {
            "s" => Period::Second,
            "m" => Period::Minute,
            "h" => Period::Hour,
            _ => return Err(RateError),
        };
        let requests = requests.parse().map_err(|_| RateError)?;
        Ok(Some(Self { requests, period }))
    }

    /// The requests of one period.
    #[must_use]
    pub const fn requests(self) -> u32 {
        self.requests.get()
    }

    /// The time after which one more request may come.
    pub(super) const fn interval_nanos(self) -> u64 {
        self.period_nanos() / self.requests.get() as u64
    }

    /// The time that an empty bucket takes to fill.
    pub(super) const fn capacity_nanos(self) -> u64 {
        self.interval_nanos() * self.requests.get() as u64 * BURST_PERIODS
    }

    const fn period_nanos(self) -> u64 {
        1_000_000_000
            * match self.period {
                Period::Second => 1,
                Period::Minute => 60,
                Period::Hour => 3_600,
            }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
        };
        write!(f, "{} requests a {period}", self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_nothing_else_is() {
        assert_eq!(RateLimit::parse("off"), Ok(None));
        let rate = RateLimit::parse("6000/m").unwrap().unwrap();
        assert_eq!((rate.requests(), rate.interval_nanos()), (6_000, 10_000_000));
        for wrong in ["", "100", "0/s", "-1/s", "1.5/s", "100/d", "100/s ", "OFF"] {
            assert_eq!(RateLimit::parse(wrong), Err(RateError), "{wrong}");
        }
    }
}
