//! Opening tickets over HTTP, and the same rows inserted raw.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::keyring::Keyring;
use docket_schemas::Tenant;

use super::in_scratch::in_scratch;
use super::load::{Answers, Load, Until};
use super::process;
use super::report::{RawRound, Report, Round, percentile_ms};
use super::requests::{Requests, TENANT};
use super::site::{Appended, Site};
use crate::wire::scratch::Scratch;
use crate::wire::{Installation, WireError};

/// Persons made by one write.
const PERSONS_AT_ONCE: usize = 1_000;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long, for each size of the log.
    pub duration: Duration,
    /// Connections of the load.
    pub connections: usize,
    /// Persons among whom the requesters are.
    pub persons: usize,
    /// Sizes of the log to begin with; what the warm-up leaves is the least.
    pub prefills: Vec<u64>,
}

/// Measures in scratch installations like `installation`; `progress` is told what is being done.
///
/// # Errors
/// When something fails, or any ticket was not opened.
pub async fn run(
    installation: &Installation,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<Report, WireError> {
    let mut rounds = Vec::new();
    let mut backend = String::new();
    for (number, events) in plan.prefills.iter().enumerate() {
        let measuring = async |scratch: &Scratch| round(scratch, plan, *events, &progress).await;
        let what = format!("create_{number}");
        let (measured_on, measured) = in_scratch(installation, &what, measuring).await?;
        backend = measured_on;
        rounds.push(measured);
    }
    let (connections, persons) = (plan.connections, plan.persons);
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Ok(Report { bench: "create", backend, connections, persons, processors, rounds })
}

async fn round(
    scratch: &Scratch,
    plan: &Plan,
    events: u64,
    progress: &impl Fn(&str),
) -> Result<Round, WireError> {
    let site = Site::start(&scratch.installation).await?;
    progress(&format!("made the scratch installation {}", scratch.installation.data.display()));
    let tenant: Tenant = TENANT.parse()?;
    let requests = Requests::new(&site.key, &tenant, plan.persons)?;
    introduce(site.app.keyring(), &tenant, requests.persons()).await?;
    let load = Arc::new(Load::new(site.address, plan.connections, requests)?);

    progress("warming up: every person opens a ticket");
    drive(&load, Until::Count(plan.persons as u64)).await?;
    if events > 0 {
        progress(&format!("filling the log up to {events} events"));
        scratch.prefill(events).await?;
    }
    let before = scratch.size().await?;
    progress(&format!("measuring for {} seconds", plan.duration.as_secs()));
    let (appended_before, busy_before) = (site.appends.read(), process::processor_seconds());
    let answers = drive(&load, Until::Over(plan.duration)).await?;
    let appended = site.appends.read();
    let (busy, peak) = (process::processor_seconds(), process::peak_bytes());
    let after = scratch.size().await?;
    drop(load);
    site.stop().await;

    let raw = match before {
        Some(before) => {
            progress("inserting the same rows raw, into a table of the same size");
            scratch.raw_inserts(before.recorded_at).await?
        }
        None => None,
    };
    let mut round = figures(&answers, appended_before, appended);
    round.events_before = before.map(|before| before.events);
    round.bytes_per_event = after.map(|after| after.bytes as f64 / after.events.max(1) as f64);
    round.peak_memory_bytes = peak;
    round.processor_micros_per_create = busy
        .zip(busy_before)
        .map(|(after, before)| (after - before) * 1e6 / round.creates.max(1) as f64);
    round.raw = raw.map(RawRound::from);
    round.ratio = round.raw.as_ref().map(|raw| round.creates_per_second / raw.rows_per_second);
    Ok(round)
}

async fn introduce(
    keyring: &Keyring,
    tenant: &Tenant,
    persons: &[String],
) -> Result<(), WireError> {
    for some in persons.chunks(PERSONS_AT_ONCE) {
        keyring.introduce(tenant, some).await?;
    }
    Ok(())
}

/// Every ticket has to be opened: a figure beside failures would say nothing.
async fn drive(load: &Arc<Load>, until: Until) -> Result<Answers, WireError> {
    let load = Arc::clone(load);
    let answers = tokio::task::spawn_blocking(move || load.drive(until)).await??;
    match &answers.first_error {
        Some(first) => {
            Err(format!("{} tickets were not opened; the first: {first}", answers.errors).into())
        }
        None => Ok(answers),
    }
}

fn figures(answers: &Answers, before: Appended, after: Appended) -> Round {
    let rows = (after.rows - before.rows).max(1) as f64;
    let creates = answers.latencies.len() as u64;
    Round {
        events_before: None,
        seconds: answers.seconds,
        creates,
        creates_per_second: creates as f64 / answers.seconds,
        p50_ms: percentile_ms(&answers.latencies, 0.50),
        p99_ms: percentile_ms(&answers.latencies, 0.99),
        errors: answers.errors,
        rows_per_append: rows / (after.count - before.count).max(1) as f64,
        bytes_per_event: None,
        peak_memory_bytes: None,
        processor_micros_per_create: None,
        append_micros_per_event: (after.micros - before.micros) as f64 / rows,
        raw: None,
        ratio: None,
    }
}
