//! The crowd: thousands of WebSocket clients, each on its own ticket, on a thread of their own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use docket_schemas::Timestamp;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::socket::{self, Reader, Writer};
use crate::clock;

/// How often the crowd speaks; what is due meanwhile is said at once.
const SPEAK_EVERY: Duration = Duration::from_millis(5);
/// Sockets that are opened at the same time.
const OPENED_AT_ONCE: usize = 64;
/// How long what was said last may take to be heard; what takes longer is not counted.
const SETTLE: Duration = Duration::from_secs(10);
/// How often it is looked whether all was heard.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// One client before it comes in.
pub(super) struct Seat {
    pub(super) token: String,
    pub(super) ticket: String,
}

/// What was heard within a round.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// From a write's place in the log to its event at the client, in microseconds, sorted.
    pub(super) latencies: Vec<u32>,
    /// Messages that were sent.
    pub(super) said: u64,
    /// Those that were not heard in time by somebody who read.
    pub(super) unheard: u64,
    /// Refusals, and subscriptions that had to be begun again.
    pub(super) errors: u64,
    /// The first of them.
    pub(super) first_error: Option<String>,
    /// From the first to the last that was heard, in seconds.
    pub(super) seconds: f64,
}

/// Which clients stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asleep {
    /// None.
    Nobody,
    /// Every tenth.
    OneInTen,
}

/// Sockets that are open.
pub(super) struct Crowd {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    writers: Vec<(Writer, String)>,
    next: u64,
}

#[derive(Default)]
struct Shared {
    measuring: AtomicBool,
    asleep: AtomicBool,
    awake: Notify,
    heard: Mutex<Deliveries>,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

/// Events that came to clients.
#[derive(Debug, Default)]
struct Deliveries {
    latencies: Vec<u32>,
    /// When the first came, and the last.
    between: Option<(Timestamp, Timestamp)>,
}

impl Deliveries {
    fn add(&mut self, recorded: Timestamp, now: Timestamp) {
        let micros = now.micros().saturating_sub(recorded.micros());
        self.latencies.push(u32::try_from(micros).unwrap_or(0));
        self.between = Some((self.between.map_or(now, |(first, _)| first), now));
    }
}

impl Crowd {
    /// Opens a socket for each seat and subscribes it to its ticket.
    pub(super) fn open(address: SocketAddr, seats: Vec<Seat>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::default());
        let mut writers = Vec::with_capacity(seats.len());
        let mut seats = seats.into_iter().peekable();
        while seats.peek().is_some() {
            let some: Vec<_> = seats.by_ref().take(OPENED_AT_ONCE).collect();
            let opening = some.into_iter().map(|seat| async move {
                let (mut reader, mut writer) =
                    socket::open(address, "/v1/live", &seat.token).await?;
                let ticket = seat.ticket;
                let subscribe = format!(r#"{{"op":"subscribe","id":"s","tickets":["{ticket}"]}}"#);
                writer.send(subscribe.as_bytes()).await?;
                for expected in [&br#""op":"ready""#[..], br#""op":"subscribed""#] {
                    let frame = reader.text().await?;
                    if !contains(frame, expected) {
                        return Err(io::Error::other(String::from_utf8_lossy(frame).into_owned()));
                    }
                }
                Ok((reader, writer, ticket))
            });
            let opened = runtime.block_on(futures_util::future::join_all(opening));
            for opened in opened {
                let (reader, writer, ticket) = opened?;
                let sleeper = writers.len() % 10 == 9;
                runtime.spawn(listen(reader, sleeper, Arc::clone(&shared)));
                writers.push((writer, ticket));
            }
        }
        Ok(Self { runtime: Some(runtime), shared, writers, next: 0 })
    }

    /// Lets the crowd say `rate` messages a second, its members in turn, and counts what each hears of its own ticket.
    pub(super) fn speak(
        &mut self,
        rate: u64,
        duration: Duration,
        asleep: Asleep,
        text: &str,
    ) -> io::Result<Heard> {
        let Self { runtime, shared, writers, next } = self;
        let Some(runtime) = runtime else { return Ok(Heard::default()) };
        shared.asleep.store(asleep == Asleep::OneInTen, Ordering::Release);
        shared.begin();
        let said = runtime.block_on(speak(writers, next, (rate, duration), text))?;
        let listening = match asleep {
            Asleep::Nobody => said,
            Asleep::OneInTen => said - said.div_ceil(10),
        };
        runtime.block_on(shared.heard_all(listening));
        let mut heard = shared.take();
        if asleep == Asleep::OneInTen {
            // What they have slept through is not part of the next round.
            shared.asleep.store(false, Ordering::Release);
            shared.awake.notify_waiters();
            shared.measuring.store(true, Ordering::Release);
            runtime.block_on(shared.heard_all(said - listening));
            drop(shared.take());
        }
        heard.latencies.sort_unstable();
        let unheard = listening.saturating_sub(heard.latencies.len() as u64);
        Ok(Heard { said, unheard, ..heard })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn speak(
    writers: &mut [(Writer, String)],
    next: &mut u64,
    (rate, duration): (u64, Duration),
    text: &str,
) -> io::Result<u64> {
    let began = clock::monotonic();
    let mut ticks = interval(SPEAK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut said = 0;
    loop {
        ticks.tick().await;
        let elapsed = began.elapsed().min(duration);
        let due = (elapsed.as_secs_f64() * rate as f64) as u64;
        while said < due {
            let count = writers.len() as u64;
            let speaker = usize::try_from(*next % count).unwrap_or(0);
            let (writer, ticket) = &mut writers[speaker];
            let frame =
                format!(r#"{{"op":"message","id":"m{next}","ticket":"{ticket}","body":"{text}"}}"#);
            writer.send(frame.as_bytes()).await?;
            *next += 1;
            said += 1;
        }
        if elapsed >= duration {
            return Ok(said);
        }
    }
}

async fn listen(mut reader: Reader, sleeper: bool, shared: Arc<Shared>) {
    loop {
        while sleeper && shared.asleep.load(Ordering::Acquire) {
            let _ = tokio::time::timeout(SETTLE, shared.awake.notified()).await;
        }
        match reader.text().await {
            Ok(frame) => shared.hear(frame),
            Err(error) => {
                shared.fail(&error.to_string());
                return;
            }
        }
    }
}

impl Shared {
    fn begin(&self) {
        drop(self.take());
        self.measuring.store(true, Ordering::Release);
    }

    /// Waits until so many messages were heard, [`SETTLE`] at most.
    async fn heard_all(&self, count: u64) {
        let hearing = async {
            while (self.heard.lock().latencies.len() as u64) < count {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(SETTLE, hearing).await;
    }

    fn take(&self) -> Heard {
        self.measuring.store(false, Ordering::Release);
        let Deliveries { latencies, between } = std::mem::take(&mut *self.heard.lock());
        let micros = between.map_or(0, |(first, last)| last.micros() - first.micros());
        Heard {
            latencies,
            seconds: micros as f64 / 1e6,
            errors: self.errors.swap(0, Ordering::Relaxed),
            first_error: self.first_error.lock().take(),
            ..Heard::default()
        }
    }

    fn hear(&self, frame: &[u8]) {
        if !self.measuring.load(Ordering::Acquire) {
            return;
        }
        if frame.starts_with(br#"{"op":"event""#) {
            let recorded = recorded_at(frame).unwrap_or_default();
            self.heard.lock().add(recorded, clock::now());
        } else if !contains(frame, br#""op":"ack""#) {
            self.fail(&String::from_utf8_lossy(frame));
        }
    }

    fn fail(&self, what: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.first_error.lock().get_or_insert_with(|| what.to_owned());
    }
}

/// The last time in a frame of that name: an event's own, for its origin's stands before it.
fn recorded_at(frame: &[u8]) -> Option<Timestamp> {
    const NAME: &[u8] = br#""recorded_at":""#;
    let at = frame.windows(NAME.len()).rposition(|window| window == NAME)? + NAME.len();
    let length = frame[at..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&frame[at..at + length]).ok()?.parse().ok()
}

fn contains(frame: &[u8], wanted: &[u8]) -> bool {
    frame.windows(wanted.len()).any(|window| window == wanted)
}
