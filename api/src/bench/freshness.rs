//! How soon view and index show what was written, while much is, and whether a reader ever misses an own write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use docket_schemas::{Role, Tenant, TicketId};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::client::Connection;
use super::in_scratch::in_scratch;
use super::lag::{Lag, Lags, Looking};
use super::report::{percentile_ms, two_columns, whole};
use super::requests::{TENANT, token};
use super::sagas;
use super::site::Site;
use super::writing::Writing;
use crate::clock;
use crate::wire::scratch::Scratch;
use crate::wire::{Installation, WireError};

/// How often what is due is written.
const WRITE_EVERY: Duration = Duration::from_millis(5);
/// Writes that wait for the log at the same time; of what is due beyond, nothing is written until one has ended.
const AT_ONCE: usize = 2_048;
/// Who change a ticket and look for it at once, each again as soon as it was found.
const READERS: usize = 2;
/// The view and the index come to rest before it begins.
const REST: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Writes a second.
    pub rate: u64,
    /// How long.
    pub duration: Duration,
    /// Tickets that they are about.
    pub tickets: usize,
}

/// What was measured. Its keys are described in `docs/bench.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    backend: String,
    processors: usize,
    rate: u64,
    written_per_second: f64,
    lag: Lags,
    /// Lists asked for with `Docket-After`, right after the write that they had to show.
    reads: u64,
    /// Those that did not, and did not say that they were stale either.
    missed: u64,
    /// Those that said so: the view had not come so far within two seconds.
    stale: u64,
    read_p50_ms: f64,
    read_p99_ms: f64,
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let behind = |lag: &Lag| {
            format!("{:.0} ms, {} events", lag.p99_ms, whole(Some(lag.events_max as f64)))
        };
        let lines = [
            ("writes/s to be done", whole(Some(self.rate as f64))),
            ("writes/s", whole(Some(self.written_per_second))),
            ("view behind the log, p99 and most", behind(&self.lag.view)),
            ("index behind the log, p99 and most", behind(&self.lag.index)),
            ("lists with Docket-After", whole(Some(self.reads as f64))),
            ("that missed their own write", whole(Some(self.missed as f64))),
            ("that said they were stale", whole(Some(self.stale as f64))),
            ("their p50, p99", format!("{:.1} ms, {:.1} ms", self.read_p50_ms, self.read_p99_ms)),
        ];
        format!("{}; {} processors\n{}", self.backend, self.processors, two_columns(&lines))
    }
}

/// Measures in a scratch installation like `installation`.
///
/// # Errors
/// When something fails.
pub async fn run(
    installation: &Installation,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<Report, WireError> {
    let measuring = async |scratch: &Scratch| measure(scratch, plan, &progress).await;
    let (backend, report) = in_scratch(installation, "freshness", measuring).await?;
    Ok(Report { backend, ..report })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<Report, WireError> {
    let site = Site::start(&scratch.installation).await?;
    progress(&format!("opening {} tickets", plan.tickets));
    let tickets = sagas::open_tickets(&site.app.desk, plan.tickets).await?;
    let writing = Writing::new(&site.app.desk).await?;
    tokio::time::sleep(REST).await;
    progress(&format!("{} writes a second", plan.rate));
    let tickets = Arc::new(tickets);
    let end = clock::monotonic() + plan.duration;
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        readers.spawn(read(Reader::open(&site, number).await?, Arc::clone(&tickets), end));
    }
    let looking = Looking::begin(&site.app);
    let written = write(&writing, &tickets, plan).await?;
    let lag = looking.end();
    let mut lists = Lists::default();
    while let Some(reader) = readers.join_next().await {
        lists.add(reader??);
    }
    lists.times.sort_unstable();
    // A desk that is still held keeps the appender.
    drop(writing);
    site.stop().await;
    Ok(Report {
        bench: "freshness",
        backend: String::new(),
        processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        rate: plan.rate,
        written_per_second: written,
        lag,
        reads: lists.times.len() as u64,
        missed: lists.missed,
        stale: lists.stale,
        read_p50_ms: percentile_ms(&lists.times, 0.50),
        read_p99_ms: percentile_ms(&lists.times, 0.99),
    })
}

/// Writes at the plan's rate, on tickets in an order that is not their own; answers how many a second were done.
async fn write(
    writing: &Writing,
    tickets: &Arc<Vec<TicketId>>,
    plan: &Plan,
) -> Result<f64, WireError> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let began = clock::monotonic();
    let mut ticks = interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut begun = 0_u64;
    let mut writes: JoinSet<Result<(), WireError>> = JoinSet::new();
    while began.elapsed() < plan.duration {
        ticks.tick().await;
        let due = (began.elapsed().as_secs_f64() * plan.rate as f64) as u64;
        while begun < due {
            let place = Arc::clone(&places).acquire_owned().await?;
            let mixed = begun.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            let ticket = tickets[usize::try_from(mixed % tickets.len() as u64)?];
            let (writing, number) = (writing.clone(), begun);
            writes.spawn(async move {
                let written = writing.mixed(ticket, number).await;
                drop(place);
                written
            });
            begun += 1;
        }
        while let Some(written) = writes.try_join_next() {
            written??;
        }
    }
    while let Some(written) = writes.join_next().await {
        written??;
    }
    Ok(begun as f64 / began.elapsed().as_secs_f64())
}

/// Somebody who changes a ticket over HTTP and lists it at once.
struct Reader {
    connection: Connection,
    number: usize,
    token: String,
}

impl Reader {
    async fn open(site: &Site, number: usize) -> Result<Self, WireError> {
        let tenant: Tenant = TENANT.parse()?;
        let token = token(&site.key, &tenant, Role::Agent, &format!("reader-{number}"))?;
        Ok(Self { connection: Connection::open(site.address).await?, number, token })
    }

    async fn ask(&mut self, request: &str, headers: &str, body: &str) -> Result<(), WireError> {
        let request = format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.token,
            body.len()
        );
        match self.connection.ask(request.as_bytes()).await? {
            200 => Ok(()),
            _ => Err(self.connection.answer().into()),
        }
    }

    /// Gives the ticket a tag that no other has, and lists by it.
    async fn look(
        &mut self,
        ticket: TicketId,
        round: usize,
        lists: &mut Lists,
    ) -> Result<(), WireError> {
        let tag = format!("reader-{}-{round}", self.number);
        let body = format!(r#"{{"add_tags":["{tag}"]}}"#);
        self.ask(&format!("PATCH /v1/tickets/{ticket}"), "", &body).await?;
        let position = header(&self.connection.answer(), "docket-position").to_owned();
        let began = clock::monotonic();
        let after = format!("docket-after: {position}\r\n");
        self.ask(&format!("GET /v1/tickets?tag={tag}"), &after, "").await?;
        let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        let answer = self.connection.answer();
        let is_stale = answer.contains(r#""stale":true"#);
        lists.times.push(took);
        lists.stale += u64::from(is_stale);
        lists.missed += u64::from(!is_stale && !answer.contains(&ticket.to_string()));
        Ok(())
    }
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(of, _)| of.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// What came of lists: how long each took, and how many were without what they were asked for.
#[derive(Default)]
struct Lists {
    times: Vec<u32>,
    missed: u64,
    stale: u64,
}

impl Lists {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.missed += other.missed;
        self.stale += other.stale;
    }
}

async fn read(
    mut reader: Reader,
    tickets: Arc<Vec<TicketId>>,
    end: Instant,
) -> Result<Lists, WireError> {
    let mut lists = Lists::default();
    for round in 0.. {
        if clock::monotonic() >= end {
            break;
        }
        // A ticket takes a hundred tags.
        let ticket = tickets[(round * READERS + reader.number) % tickets.len()];
        reader.look(ticket, round, &mut lists).await?;
    }
    Ok(lists)
}
