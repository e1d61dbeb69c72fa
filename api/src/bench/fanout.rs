//! Messages over WebSockets, from one client through the log to another, beside what the parts can do alone.

use std::io;
use std::time::Duration;

use docket_schemas::{Role, Tenant};
use futures_util::future::try_join_all;
use serde::Serialize;

use super::client::Connection;
use super::crowd::{Asleep, Crowd, Heard, Seat};
use super::echo;
use super::in_scratch::in_scratch;
use super::lag::{Lag, Lags, Looking};
use super::process;
use super::report::{percentile_ms, two_columns, whole};
use super::requests::{Requests, TENANT, token};
use super::site::Site;
use crate::wire::scratch::Scratch;
use crate::wire::{Installation, WireError};

/// Characters of every message.
const MESSAGE_CHARS: usize = 180;
/// How long the bare echo server is measured, and NATS.
const BARE_FOR: Duration = Duration::from_secs(5);
/// Tickets that are opened at the same time.
const OPENED_AT_ONCE: usize = 64;
/// The status of a ticket that was opened.
const CREATED: u16 = 201;
/// Said before the first round, so that it finds every ticket warm: so many messages on each.
const WARM_UP_MESSAGES: u64 = 2;
/// How long the log, the view and the index may come to rest between two rounds.
const REST: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sockets, each on its own ticket.
    pub sockets: usize,
    /// How long each round takes.
    pub duration: Duration,
    /// Messages a second, a round each.
    pub rates: Vec<u64>,
}

/// What was measured. Its keys are described in `docs/bench.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    backend: String,
    sockets: usize,
    processors: usize,
    rounds: Vec<Round>,
    /// Echoes a second of the bare server, all sockets at once.
    echo_per_second: f64,
    /// Messages a second that NATS core carries alone; none without NATS.
    nats_per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Round {
    /// Messages a second that were to be said.
    rate: u64,
    /// Whether every tenth client had stopped reading.
    stalled: bool,
    delivered_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// By how much the percentile is above the mean of the rounds before and after, in which everybody reads, as a share of it.
    p99_growth: Option<f64>,
    errors: u64,
    /// Messages that nobody heard within ten seconds of the last, among those who read.
    unheard: u64,
    /// Rows that one transaction carried on average, and how long it took.
    rows_per_append: f64,
    append_ms: f64,
    processor_micros_per_message: Option<f64>,
    /// Resident at the end of the round: server and clients.
    memory_bytes: Option<u64>,
    lag: Lags,
    /// Deliveries a second, divided by bare echoes a second.
    echo_ratio: f64,
    /// Deliveries a second, divided by what NATS core alone delivers.
    nats_ratio: Option<f64>,
}

/// What the parts do alone.
#[derive(Clone, Copy)]
struct Bare {
    echo_per_second: f64,
    nats_per_second: Option<f64>,
}

/// Measures in a scratch installation like `installation`; `progress` is told what is being done.
///
/// # Errors
/// When something fails.
pub async fn run(
    installation: &Installation,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<Report, WireError> {
    let bare = alone(installation, plan, &progress).await?;
    let measuring = async |scratch: &Scratch| measure(scratch, plan, bare, &progress).await;
    let (backend, rounds) = in_scratch(installation, "fanout", measuring).await?;
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let Bare { echo_per_second, nats_per_second } = bare;
    let (bench, sockets) = ("fanout", plan.sockets);
    Ok(Report { bench, backend, sockets, processors, rounds, echo_per_second, nats_per_second })
}

/// The same sockets and texts with nothing behind them.
async fn alone(
    installation: &Installation,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<Bare, WireError> {
    let (text, over) = (Requests::text(MESSAGE_CHARS), BARE_FOR.min(plan.duration));
    progress("echoing over a bare WebSocket server");
    let echo_per_second = echo::measure(plan.sockets, over, text).await?;
    let nats_per_second = match &installation.nats {
        None => None,
        Some(place) => {
            progress("publishing over NATS core");
            Some(place.publish_subscribe(plan.sockets, over, text).await?)
        }
    };
    Ok(Bare { echo_per_second, nats_per_second })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    bare: Bare,
    progress: &impl Fn(&str),
) -> Result<Vec<Round>, WireError> {
    let site = Site::start(&scratch.installation).await?;
    let tenant: Tenant = TENANT.parse()?;
    let sockets = plan.sockets;
    progress(&format!("opening {sockets} tickets"));
    let seats = seats(&site, &tenant, sockets).await?;
    progress(&format!("opening {sockets} sockets"));
    let address = site.address;
    let mut crowd = tokio::task::spawn_blocking(move || Crowd::open(address, seats)).await??;
    let slowest = plan.rates.iter().min().copied().unwrap_or(1).max(1);
    progress("warming up");
    let over = Duration::from_secs_f64((sockets as u64 * WARM_UP_MESSAGES) as f64 / slowest as f64);
    let warm_up = Said { rate: slowest, over, asleep: Asleep::Nobody };
    crowd = round(&site, crowd, warm_up, bare).await?.0;
    let awake = plan.rates.iter().map(|rate| (*rate, Asleep::Nobody));
    let mut rounds: Vec<Round> = Vec::new();
    // Everybody reads again afterwards: what a longer log, and its vacuuming, cost is not the sleepers' doing.
    for (rate, asleep) in awake.chain([(slowest, Asleep::OneInTen), (slowest, Asleep::Nobody)]) {
        let sleeping = match asleep {
            Asleep::OneInTen => ", every tenth client has stopped reading",
            Asleep::Nobody => "",
        };
        progress(&format!("{rate} messages a second{sleeping}"));
        let measured;
        (crowd, measured) =
            round(&site, crowd, Said { rate, over: plan.duration, asleep }, bare).await?;
        rounds.push(measured);
    }
    compare_sleepers(&mut rounds);
    drop(crowd);
    site.stop().await;
    Ok(rounds)
}

/// Sets the round with sleepers against those of its rate before and after it.
fn compare_sleepers(rounds: &mut [Round]) {
    let Some(rate) = rounds.iter().find(|round| round.stalled).map(|round| round.rate) else {
        return;
    };
    let same = rounds.iter().filter(|round| round.rate == rate && !round.stalled);
    let awake: Vec<f64> = same.map(|round| round.p99_ms).collect();
    let mean = awake.iter().sum::<f64>() / awake.len().max(1) as f64;
    for round in rounds.iter_mut().filter(|round| round.stalled) {
        round.p99_growth = Some(round.p99_ms / mean - 1.0);
    }
}

/// What the crowd is to say.
#[derive(Clone, Copy)]
struct Said {
    rate: u64,
    over: Duration,
    asleep: Asleep,
}

async fn round(
    site: &Site,
    mut crowd: Crowd,
    said: Said,
    bare: Bare,
) -> Result<(Crowd, Round), WireError> {
    let Said { rate, over, asleep } = said;
    let stalled = asleep == Asleep::OneInTen;
    let (busy, appended) = (process::processor_seconds(), site.appends.read());
    let looking = Looking::begin(&site.app);
    let speaking = move || {
        let heard = crowd.speak(rate, over, asleep, Requests::text(MESSAGE_CHARS));
        (crowd, heard)
    };
    let heard: io::Result<Heard>;
    (crowd, heard) = tokio::task::spawn_blocking(speaking).await?;
    let (heard, lag) = (heard?, looking.end());
    let busy = process::processor_seconds().zip(busy).map(|(after, before)| after - before);
    let memory_bytes = process::resident_bytes();
    if let Some(first) = heard.first_error.as_ref().filter(|_| !stalled) {
        return Err(format!("{} messages failed; the first: {first}", heard.errors).into());
    }
    let appends = site.appends.read();
    let batches = (appends.count - appended.count).max(1) as f64;
    let delivered_per_second = heard.latencies.len() as f64 / heard.seconds.max(f64::MIN_POSITIVE);
    let round = Round {
        rate,
        stalled,
        delivered_per_second,
        p50_ms: percentile_ms(&heard.latencies, 0.50),
        p99_ms: percentile_ms(&heard.latencies, 0.99),
        p99_growth: None,
        errors: heard.errors,
        unheard: heard.unheard,
        rows_per_append: (appends.rows - appended.rows) as f64 / batches,
        append_ms: (appends.micros - appended.micros) as f64 / 1e3 / batches,
        processor_micros_per_message: busy.map(|busy| busy * 1e6 / heard.said.max(1) as f64),
        memory_bytes,
        lag,
        echo_ratio: delivered_per_second / bare.echo_per_second,
        nats_ratio: bare.nats_per_second.map(|nats| delivered_per_second / nats),
    };
    tokio::time::sleep(REST).await;
    Ok((crowd, round))
}

/// A ticket for each client, opened in the client's own name.
async fn seats(site: &Site, tenant: &Tenant, count: usize) -> Result<Vec<Seat>, WireError> {
    let requests = Requests::new(&site.key, tenant, count)?;
    site.app.keyring().introduce(tenant, requests.persons()).await?;
    let opening = (0..OPENED_AT_ONCE).map(|first| {
        let requests = &requests;
        async move {
            let mut connection = Connection::open(site.address).await?;
            let mut seats = Vec::new();
            for person in (first..count).step_by(OPENED_AT_ONCE) {
                let ticket = open_own(&mut connection, requests, person).await?;
                let name = &requests.persons()[person];
                seats.push(Seat { token: token(&site.key, tenant, Role::Customer, name)?, ticket });
            }
            Ok::<_, WireError>(seats)
        }
    });
    Ok(try_join_all(opening).await?.into_iter().flatten().collect())
}

/// The ticket that a person opens for themselves.
async fn open_own(
    connection: &mut Connection,
    requests: &Requests,
    person: usize,
) -> Result<String, WireError> {
    let mut request = Vec::new();
    requests.open_own(person, &mut request);
    if connection.ask(&request).await? != CREATED {
        return Err(format!("no ticket was opened: {}", connection.answer()).into());
    }
    let answer = connection.answer();
    let ticket = answer.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next());
    Ok(ticket.ok_or("an answer without an id")?.to_owned())
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { backend, sockets, processors, .. } = self;
        let mut text = format!(
            "{backend}; {sockets} sockets, each on its own ticket, {MESSAGE_CHARS} characters, {processors} processors\n\
             bare echo server: {} echoes/s; NATS core alone: {} messages/s\n",
            whole(Some(self.echo_per_second)),
            whole(self.nats_per_second)
        );
        for round in &self.rounds {
            text += &two_columns(&round.lines());
        }
        text
    }
}

impl Round {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let stalled = if self.stalled { " (every tenth client does not read)" } else { "" };
        let ratio = |ratio: Option<f64>| ratio.map_or_else(none, |ratio| format!("{ratio:.3}"));
        let behind = |lag: &Lag| {
            format!("{:.0} ms, {} events", lag.p99_ms, whole(Some(lag.events_max as f64)))
        };
        let micros = self.processor_micros_per_message;
        let (memory, growth) = (self.memory_bytes, self.p99_growth);
        vec![
            ("messages/s to be said", format!("{}{stalled}", whole(Some(self.rate as f64)))),
            ("delivered/s", whole(Some(self.delivered_per_second))),
            (
                "commit to delivery p50, p99",
                format!("{:.1} ms, {:.1} ms", self.p50_ms, self.p99_ms),
            ),
            (
                "p99 above everybody reading",
                growth.map_or_else(none, |by| format!("{:.0} %", by * 100.0)),
            ),
            ("refused or begun again", whole(Some(self.errors as f64))),
            ("never heard", whole(Some(self.unheard as f64))),
            ("rows per append", whole(Some(self.rows_per_append))),
            ("time of an append", format!("{:.1} ms", self.append_ms)),
            (
                "processor time, server and clients",
                micros.map_or_else(none, |micros| format!("{micros:.1} µs a message")),
            ),
            (
                "memory, server and clients",
                memory.map_or_else(none, |bytes| format!("{:.0} MB", bytes as f64 / 1e6)),
            ),
            ("view behind the log, p99 and most", behind(&self.lag.view)),
            ("index behind the log, p99 and most", behind(&self.lag.index)),
            ("delivered / bare echoes", ratio(Some(self.echo_ratio))),
            ("delivered / NATS core alone", ratio(self.nats_ratio)),
        ]
    }
}

fn none() -> String {
    "–".to_owned()
}
