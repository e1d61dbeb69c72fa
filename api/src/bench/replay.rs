//! Rebuilding the tickets view from a log of a million events, with nobody there and while it is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use docket_projections::query::{
    CountQuery, Direction, ListQuery, Sort, SortKey, TicketFilter, Viewer,
};
use docket_projections::store::ViewStore;
use docket_projections::{Rebuild, RebuildPhase};
use docket_schemas::{Status, Tenant};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::in_scratch::in_scratch;
use super::report::{percentile_ms, two_columns, whole};
use super::requests::TENANT;
use super::writing::Writing;
use super::{process, sagas};
use crate::clock;
use crate::wire::scratch::Scratch;
use crate::wire::{self, Installation, Opened as Node, WireError};

/// Events of a ticket.
const EVENTS: u64 = 7;
/// Tickets that are opened and written on before the next ones are.
const TICKETS_IN_TURN: usize = 10_000;
/// Who asks while the view is rebuilt, each its next question when it has its answer.
const ASKERS: u32 = 4;
/// Tickets of a page.
const PAGE: usize = 50;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Events in the log, about.
    pub events: u64,
    /// One rebuild follows another until then, alone and asked; there is one of each at least.
    pub at_least: Duration,
}

/// Everything that was measured. Its keys are described in `docs/bench.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    backend: String,
    processors: usize,
    events: u64,
    /// Nobody asks.
    alone: Round,
    /// Lists and counts are asked for all the time.
    asked: Round,
    questions: u64,
    failed_questions: u64,
    questions_p99_ms: f64,
}

/// Rebuilds one after the other.
#[derive(Debug, Clone, Serialize)]
struct Round {
    rebuilds: u32,
    /// Until every event was folded and its row written.
    events_per_second: f64,
    /// Until a new version answered: with indexes, comparison and switch; on average.
    seconds_until_switch: f64,
    /// Processor time of this process, without the database, for one event.
    processor_micros_per_event: Option<f64>,
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let rate = |round: &Round| whole(Some(round.events_per_second));
        let lines = [
            ("events", whole(Some(self.events as f64))),
            ("events/s", rate(&self.alone)),
            ("events/s, while lists are asked for", rate(&self.asked)),
            ("until the switch", format!("{:.1} s", self.alone.seconds_until_switch)),
            (
                "processor time for an event",
                self.alone
                    .processor_micros_per_event
                    .map_or_else(String::new, |micros| format!("{micros:.1} µs")),
            ),
            ("questions meanwhile", whole(Some(self.questions as f64))),
            ("that failed", whole(Some(self.failed_questions as f64))),
            ("their p99", format!("{:.1} ms", self.questions_p99_ms)),
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
    let (backend, report) = in_scratch(installation, "replay", measuring).await?;
    Ok(Report { backend, ..report })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<Report, WireError> {
    let node = wire::open(&scratch.installation, "bench", Box::new(|_, _| {})).await?;
    let writing = Writing::new(&node.desk).await?;
    let tickets = (plan.events / EVENTS).max(1);
    progress(&format!("writing {} events into the log", tickets * EVENTS));
    let mut left = usize::try_from(tickets)?;
    while left > 0 {
        let some = left.min(TICKETS_IN_TURN);
        left -= some;
        writing.work_on(sagas::open_tickets(&node.desk, some).await?).await?;
        progress(&format!("{left} of {tickets} tickets are left"));
    }
    let store = wire::view_store(&scratch.installation).await?;
    progress("rebuilding the view, with nobody there");
    let alone = rebuild_for(plan.at_least, &node, &store).await?;
    progress("rebuilding the view while it is asked");
    let asking = Asking::begin(&store)?;
    let asked = rebuild_for(plan.at_least, &node, &store).await?;
    let (times, failed_questions) = asking.end().await?;
    Ok(Report {
        bench: "replay",
        backend: String::new(),
        processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        events: tickets * EVENTS,
        alone,
        asked,
        questions: times.len() as u64,
        failed_questions,
        questions_p99_ms: percentile_ms(&times, 0.99),
    })
}

/// When a phase began: after how many events, and how much processor time of this process.
type Told = (RebuildPhase, u64, Instant, Option<f64>);

async fn rebuild_for(
    at_least: Duration,
    node: &Node,
    store: &Arc<dyn ViewStore>,
) -> Result<Round, WireError> {
    let until = clock::monotonic() + at_least;
    let mut all = Vec::new();
    while all.is_empty() || clock::monotonic() < until {
        all.push(rebuild(node, store).await?);
    }
    Ok(Round::of(&all))
}

/// One rebuild.
struct Rebuilt {
    events: u64,
    filling_seconds: f64,
    seconds_until_switch: f64,
    processor_seconds: Option<f64>,
}

impl Round {
    fn of(all: &[Rebuilt]) -> Self {
        let events = all.iter().map(|one| one.events).sum::<u64>() as f64;
        let sum = |of: fn(&Rebuilt) -> f64| all.iter().map(of).sum::<f64>();
        let busy = all.iter().map(|one| one.processor_seconds).sum::<Option<f64>>();
        Self {
            rebuilds: u32::try_from(all.len()).unwrap_or(u32::MAX),
            events_per_second: events / sum(|one| one.filling_seconds),
            seconds_until_switch: sum(|one| one.seconds_until_switch) / all.len() as f64,
            processor_micros_per_event: busy.map(|seconds| seconds * 1e6 / events.max(1.0)),
        }
    }
}

async fn rebuild(node: &Node, store: &Arc<dyn ViewStore>) -> Result<Rebuilt, WireError> {
    let ports = node.desk.ports();
    let times: Arc<Mutex<Vec<Told>>> = Arc::default();
    let noted = Arc::clone(&times);
    let told = Box::new(move |progress: docket_projections::RebuildProgress| {
        let mut noted = noted.lock();
        if noted.last().is_none_or(|(phase, ..)| *phase != progress.phase) {
            let (now, busy) = (clock::monotonic(), process::processor_seconds());
            noted.push((progress.phase, progress.events, now, busy));
        }
    });
    let (log, clock) = (Arc::clone(&ports.log), Arc::clone(&ports.clock));
    let (began, busy) = (clock::monotonic(), process::processor_seconds());
    Rebuild { store: Arc::clone(store), log, clock, told }.run().await?;
    let times = times.lock();
    let at = |wanted| times.iter().find(|(phase, ..)| *phase == wanted).copied();
    let (_, events, filled, busy_then) =
        at(RebuildPhase::Indexing).ok_or("the rebuild never came to its indexes")?;
    let (_, _, switched, _) =
        at(RebuildPhase::Switching).ok_or("the rebuild never came to its switch")?;
    let since = |then: Instant| then.duration_since(began).as_secs_f64();
    Ok(Rebuilt {
        events,
        filling_seconds: since(filled),
        seconds_until_switch: since(switched),
        processor_seconds: busy_then.zip(busy).map(|(after, before)| after - before),
    })
}

/// Some who ask all the time.
struct Asking {
    askers: JoinSet<(Vec<u32>, u64)>,
    end: watch::Sender<bool>,
}

impl Asking {
    fn begin(store: &Arc<dyn ViewStore>) -> Result<Self, WireError> {
        let (end, ended) = watch::channel(false);
        let tenant: Tenant = TENANT.parse()?;
        let mut askers = JoinSet::new();
        for _ in 0..ASKERS {
            askers.spawn(ask(Arc::clone(store), tenant.clone(), ended.clone()));
        }
        Ok(Self { askers, end })
    }

    /// How long each answer took, sorted, and how many there were none to.
    async fn end(mut self) -> Result<(Vec<u32>, u64), WireError> {
        self.end.send_replace(true);
        let (mut times, mut failed) = (Vec::new(), 0);
        while let Some(asked) = self.askers.join_next().await {
            let (some, none) = asked?;
            times.extend(some);
            failed += none;
        }
        times.sort_unstable();
        Ok((times, failed))
    }
}

/// Lists and counts by turns; an empty answer is none.
async fn ask(
    store: Arc<dyn ViewStore>,
    tenant: Tenant,
    ended: watch::Receiver<bool>,
) -> (Vec<u32>, u64) {
    let filter = TicketFilter { status: Some(Status::Solved), ..TicketFilter::default() };
    let sort = Sort { key: SortKey::UpdatedAt, direction: Direction::Descending };
    let (viewer, limit) = (Viewer::Staff, PAGE);
    let count = CountQuery { tenant: tenant.clone(), viewer, filter: filter.clone() };
    let list = ListQuery { tenant, viewer, filter, sort, after: None, limit };
    let (mut times, mut failed) = (Vec::new(), 0);
    while !*ended.borrow() {
        for counts in [true, false] {
            let began = clock::monotonic();
            let answered = if counts {
                store.count(&count).await.is_ok_and(|count| count.count > 0)
            } else {
                store.list(&list).await.is_ok_and(|page| !page.tickets.is_empty())
            };
            let took = clock::monotonic().duration_since(began).as_micros();
            times.push(u32::try_from(took).unwrap_or(u32::MAX));
            failed += u64::from(!answered);
        }
    }
    (times, failed)
}
