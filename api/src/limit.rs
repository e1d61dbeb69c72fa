//! How many requests one principal may send.

mod rate;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use docket_schemas::Tenant;
use parking_lot::Mutex;

use crate::clock;
use crate::problem::{Code, Problem};
pub use rate::{RateError, RateLimit};

/// Parts of the table, so that threads seldom wait for each other.
const SHARDS: usize = 16;
/// Most principals in one part of the table.
const SHARD_PRINCIPALS_MAX: usize = 8_192;
/// Buckets forgotten at once from a full part, so that the search for room is seldom.
const SHARD_VICTIMS: usize = SHARD_PRINCIPALS_MAX / 8;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A token bucket for each (tenant, principal).
///
/// A bucket is one number, the time at which it will be full again (GCRA): a full bucket needs no entry.
pub struct RateLimiter {
    limit: RateLimit,
    started: Instant,
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, Nanos>>; SHARDS],
}

/// Nanoseconds since the limiter was made.
type Nanos = u64;

impl RateLimiter {
    /// A limiter whose buckets are all full.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { limit, started: clock::monotonic(), hasher: RandomState::new(), shards }
    }

    /// Takes one request from the principal's bucket.
    ///
    /// # Errors
    /// 429 `rate_limited` when it is empty.
    pub fn take(&self, tenant: &Tenant, subject: &str) -> Result<(), Problem> {
        self.take_at(tenant, subject, self.started.elapsed())
    }

    fn take_at(&self, tenant: &Tenant, subject: &str, now: Duration) -> Result<(), Problem> {
        let now = nanos(now);
        let key = self.hasher.hash_one((tenant, subject));
        let mut shard = self.shards[(key >> 60) as usize % SHARDS].lock();
        let full_at = shard.get(&key).copied().unwrap_or(now).max(now);
        let full_after = full_at + self.limit.interval_nanos();
        if full_after - now > self.limit.capacity_nanos() {
            drop(shard);
            return Err(self.refusal(full_after - now));
        }
        if shard.len() >= SHARD_PRINCIPALS_MAX && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        shard.insert(key, full_after);
        Ok(())
    }

    /// `owed` is how long the bucket would take to fill up if this request had been let through.
    fn refusal(&self, owed: Nanos) -> Problem {
        let wait = Duration::from_nanos(owed - self.limit.capacity_nanos());
        let reset = Duration::from_nanos(owed).as_secs().max(1);
        Problem::new(Code::RateLimited)
            .detail(format!("at most {}; slow down", self.limit))
            .retry_after(wait)
            .header(LIMIT, HeaderValue::from(self.limit.requests()))
            .header(REMAINING, HeaderValue::from_static("0"))
            .header(RESET, HeaderValue::from(reset))
    }
}

/// Forgets the buckets that are full, or else some others: their owners start with full ones.
fn make_room(shard: &mut HashMap<u64, Nanos>, now: Nanos) {
    shard.retain(|_, full_at| *full_at > now);
    if shard.len() >= SHARD_PRINCIPALS_MAX {
        let victims: Vec<_> = shard.keys().take(SHARD_VICTIMS).copied().collect();
        for victim in victims {
            shard.remove(&victim);
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn limiter(limit: &str) -> RateLimiter {
        RateLimiter::new(RateLimit::parse(limit).unwrap().unwrap())
    }

    #[test]
    fn a_burst_is_let_through_then_the_rate() {
        let limiter = limiter("10/s");
        let tenant: Tenant = "default".parse().unwrap();
        let take = |millis| limiter.take_at(&tenant, "ann", Duration::from_millis(millis));
        assert!((0..10).all(|_| take(0).is_ok()));
        let headers = take(0).unwrap_err().into_response().into_parts().0.headers;
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(headers["ratelimit-limit"], "10");
        assert_eq!(headers["ratelimit-remaining"], "0");
        assert_eq!(headers["ratelimit-reset"], "1");
        assert!(take(100).is_ok());
        assert!(take(100).is_err());
        assert!(limiter.take_at(&tenant, "bob", Duration::ZERO).is_ok());
        let other: Tenant = "other".parse().unwrap();
        assert!(limiter.take_at(&other, "ann", Duration::ZERO).is_ok());
        assert!((0..10).all(|_| take(60_000).is_ok()));
    }

    #[test]
    fn the_table_stays_bounded_and_forgets_full_buckets_first() {
        let keys = 0..SHARD_PRINCIPALS_MAX as u64;
        let mut idle: HashMap<u64, Nanos> = keys.clone().map(|key| (key, key % 2 * 10)).collect();
        make_room(&mut idle, 5);
        assert_eq!(idle.len(), SHARD_PRINCIPALS_MAX / 2);
        assert!(idle.values().all(|full_at| *full_at == 10));
        let mut busy: HashMap<u64, Nanos> = keys.map(|key| (key, 10)).collect();
        make_room(&mut busy, 5);
        assert_eq!(busy.len(), SHARD_PRINCIPALS_MAX - SHARD_VICTIMS);
    }
}
