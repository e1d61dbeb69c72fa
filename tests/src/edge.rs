//! The one place of the harness that reads the environment, the clock and free ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Time between two looks at something that has to happen by itself.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// An environment variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the test runner hands its servers over this way")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether this is a run with `--long`: a million histories for the merge law, tests that take minutes.
#[must_use]
pub fn is_long() -> bool {
    variable("DOCKET_TEST_LONG").is_some()
}

/// A real incident event log to be imported instead of the made-up one.
#[must_use]
pub fn real_incident_log() -> Option<String> {
    variable("DOCKET_TEST_INCIDENT_LOG")
}

/// The NATS server of this test run.
///
/// # Panics
///
/// When there is none.
#[must_use]
#[track_caller]
pub fn nats_url() -> String {
    variable("NATS_URL").expect("NATS_URL is not set: run the tests with `cargo xtask test`")
}

/// A name that no other test of this run uses: lower-case letters, digits and `prefix`.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{}x{count}", std::process::id())
}

/// Waits until `look` answers something; nothing after `limit`.
pub async fn eventually<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = deadline(limit);
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if is_over(end) {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An address of the loopback on which nothing listened a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has free ports");
    probe.local_addr().expect("a bound socket has an address")
}

#[expect(
    clippy::disallowed_methods,
    reason = "waiting for another process is bounded by real time"
)]
fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit
}

#[expect(
    clippy::disallowed_methods,
    reason = "waiting for another process is bounded by real time"
)]
fn is_over(end: Instant) -> bool {
    Instant::now() >= end
}
