//! Messages over WebSockets, from one client through the log to another, beside what the parts can do alone.

use std::io;
use std::time::Duration;

use docket_schemas::{Role, Tenant};
use serde::Serialize;

use super::client::Connection;
use super::crowd::{Asleep, Crowd, Heard, Seat};
use super::echo;
use super::process;
use super::report::{percentile_ms, two_columns, whole};
use super::requests::{Requests, TENANT, token};
use super::site::Site;
use crate::wire::scratch::Scratch;
use crate::wire::{Installation, WireError};

/// Characters of every message.
const MESSAGE_CHARS: usize = 180;
/// How long the bare echo server is measured.
const ECHO_FOR: Duration = Duration::from_secs(5);

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
    errors: u64,
    processor_micros_per_message: Option<f64>,
    peak_memory_bytes: Option<u64>,
    /// Deliveries a second, divided by bare echoes a second.
    echo_ratio: f64,
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
    let name = format!("docket_bench_fanout_{}", std::process::id());
    let scratch = Scratch::make(installation, &name).await?;
    let measured = tokio::select! {
        measured = measure(&scratch, plan, &progress) => measured,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    let backend = scratch.backend().await?;
    scratch.remove().await?;
    let (rounds, echo_per_second) = measured?;
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let sockets = plan.sockets;
    Ok(Report { bench: "fanout", backend, sockets, processors, rounds, echo_per_second })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<(Vec<Round>, f64), WireError> {
    progress("echoing over a bare WebSocket server");
    let (sockets, text) = (plan.sockets, "x".repeat(MESSAGE_CHARS));
    let echoes = echo::measure(sockets, ECHO_FOR, text.clone()).await?;
    let site = Site::start(&scratch.installation).await?;
    let tenant: Tenant = TENANT.parse()?;
    progress(&format!("opening {sockets} tickets"));
    let seats = seats(&site, &tenant, sockets).await?;
    progress(&format!("opening {sockets} sockets"));
    let address = site.address;
    let mut crowd = tokio::task::spawn_blocking(move || Crowd::open(address, seats)).await??;
    let mut rounds = Vec::new();
    let awake = plan.rates.iter().map(|rate| (*rate, Asleep::Nobody));
    let slowest = plan.rates.iter().min().map(|rate| (*rate, Asleep::OneInTen));
    for (rate, asleep) in awake.chain(slowest) {
        let stalled = asleep == Asleep::OneInTen;
        let sleeping = if stalled { ", every tenth client has stopped reading" } else { "" };
        progress(&format!("{rate} messages a second{sleeping}"));
        let before = process::processor_seconds();
        let (duration, text) = (plan.duration, text.clone());
        let speaking = move || {
            let heard = crowd.speak(rate, duration, asleep, &text);
            (crowd, heard)
        };
        let heard: io::Result<Heard>;
        (crowd, heard) = tokio::task::spawn_blocking(speaking).await?;
        let spent = process::processor_seconds().zip(before).map(|(after, before)| after - before);
        rounds.push(round(rate, stalled, &heard?, spent, echoes)?);
    }
    drop(crowd);
    site.stop().await;
    Ok((rounds, echoes))
}

fn round(
    rate: u64,
    stalled: bool,
    heard: &Heard,
    spent: Option<f64>,
    echoes: f64,
) -> Result<Round, WireError> {
    if let Some(first) = &heard.first_error
        && !stalled
    {
        return Err(format!("{} messages failed; the first: {first}", heard.errors).into());
    }
    let delivered = heard.latencies.len() as f64;
    let delivered_per_second = delivered / heard.seconds;
    Ok(Round {
        rate,
        stalled,
        delivered_per_second,
        p50_ms: percentile_ms(&heard.latencies, 0.50),
        p99_ms: percentile_ms(&heard.latencies, 0.99),
        errors: heard.errors,
        processor_micros_per_message: spent.map(|spent| spent * 1e6 / heard.said.max(1) as f64),
        peak_memory_bytes: process::peak_bytes(),
        echo_ratio: delivered_per_second / echoes,
    })
}

/// A ticket for each client, opened in the client's own name.
async fn seats(site: &Site, tenant: &Tenant, count: usize) -> Result<Vec<Seat>, WireError> {
    let requests = Requests::new(&site.key, tenant, count)?;
    site.desk.ports().keyring.introduce(tenant, requests.persons()).await?;
    let mut connection = Connection::open(site.address).await?;
    let mut seats = Vec::with_capacity(count);
    let mut request = Vec::new();
    for person in 0..count {
        requests.open_own(person, &mut request);
        if connection.ask(&request).await? != 201 {
            return Err(format!("no ticket was opened: {}", connection.answer()).into());
        }
        let answer = connection.answer();
        let ticket = answer.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next());
        let ticket = ticket.ok_or("an answer without an id")?.to_owned();
        let token = token(&site.key, tenant, Role::Customer, &requests.persons()[person])?;
        seats.push(Seat { token, ticket });
    }
    Ok(seats)
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { backend, sockets, processors, echo_per_second, .. } = self;
        let mut text = format!(
            "{backend}; {sockets} sockets, each on its own ticket, {MESSAGE_CHARS} characters, {processors} processors\n\
             bare echo server: {} echoes/s\n",
            whole(Some(*echo_per_second))
        );
        for round in &self.rounds {
            text += &two_columns(&round.lines());
        }
        text
    }
}

impl Round {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let none = || "–".to_owned();
        let stalled = if self.stalled { " (every tenth client does not read)" } else { "" };
        vec![
            ("messages/s to be said", format!("{}{stalled}", whole(Some(self.rate as f64)))),
            ("delivered/s", whole(Some(self.delivered_per_second))),
            (
                "commit to delivery p50, p99",
                format!("{:.1} ms, {:.1} ms", self.p50_ms, self.p99_ms),
            ),
            ("refused or begun again", whole(Some(self.errors as f64))),
            (
                "processor time, server and clients",
                self.processor_micros_per_message
                    .map_or_else(none, |micros| format!("{micros:.1} µs a message")),
            ),
            (
                "peak memory, server and clients",
                self.peak_memory_bytes
                    .map_or_else(none, |bytes| format!("{:.0} MB", bytes as f64 / 1e6)),
            ),
            ("delivered / bare echoes", format!("{:.2}", self.echo_ratio)),
        ]
    }
}
