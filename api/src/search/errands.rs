//! Errands done by the node that has the index open: rebuilds and repairs that an operator asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use docket_engine::keyring::Keyring;
use docket_engine::ports::log::EventLog;
use docket_projections::told;
use docket_search::drift::{Difference, diff};
use docket_search::errands::{Errand, LOOKED_EVERY, Taken, end_taken, take};
use docket_search::home::IndexHome;
use docket_search::indexer::{Indexer, Rebuilding};
use docket_search::port::SearchIndex;
use tokio::time::{interval, sleep};

/// Tickets that are written anew at once.
const MENDED_AT_ONCE: usize = 1_000;

/// Does what is asked of the process that has an index open.
pub struct Errands {
    /// The index.
    pub home: Arc<IndexHome>,
    /// Who writes it.
    pub indexer: Arc<Indexer>,
    /// Opens the texts.
    pub keyring: Arc<Keyring>,
    /// The truth.
    pub log: Arc<dyn EventLog>,
}

/// How far an errand has come.
#[derive(Debug, Default)]
pub struct Course {
    /// Events read.
    pub events: AtomicU64,
    /// Of how many.
    pub of: AtomicU64,
}

impl Errands {
    /// Does what is asked for as long as the process lives.
    pub(super) async fn run(self) {
        if let Err(error) = end_taken(self.home.directory()) {
            tracing::warn!(%error, "search.errands.unknown");
        }
        loop {
            sleep(LOOKED_EVERY).await;
            match take(self.home.directory()) {
                Ok(Some(taken)) => self.see_to(taken).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "search.errands.unknown"),
            }
        }
    }

    async fn see_to(&self, taken: Taken) {
        tracing::info!(errand = ?taken.errand, "search.errand.begun");
        let course = Course::default();
        let doing = self.do_one(taken.errand, &course);
        tokio::pin!(doing);
        let (mut turn, mut tell) = (0, interval(LOOKED_EVERY));
        let outcome = loop {
            tokio::select! {
                outcome = &mut doing => break outcome,
                _ = tell.tick() => {
                    turn += 1;
                    let [events, of] = [&course.events, &course.of]
                        .map(|number| number.load(Ordering::Relaxed));
                    taken.tell(turn, events, of);
                }
            }
        };
        match &outcome {
            Ok(what) => tracing::info!(%what, "search.errand.done"),
            Err(reason) => tracing::error!(%reason, "search.errand.failed"),
        }
        if let Err(error) = taken.end(outcome) {
            tracing::warn!(%error, "search.errands.unknown");
        }
    }

    /// Does one errand; answers what there is to say of it.
    ///
    /// # Errors
    /// Why it was not done, as operators read it.
    pub async fn do_one(&self, errand: Errand, course: &Course) -> Result<String, String> {
        let on_progress = |rebuilding: Rebuilding| {
            course.events.store(rebuilding.events, Ordering::Relaxed);
            course.of.store(rebuilding.of, Ordering::Relaxed);
        };
        match errand {
            Errand::Rebuild => {
                let rebuilt = self.indexer.rebuild(&self.home, on_progress).await;
                rebuilt.map_err(|error| told(&error))?;
                Ok(format!("index {} answers", self.home.number()))
            }
            Errand::RollBack => {
                let back = self.indexer.roll_back(&self.home, on_progress).await;
                if back.map_err(|error| told(&error))? {
                    Ok(format!("index {} answers", self.home.number()))
                } else {
                    Err("there is no index to go back to".to_owned())
                }
            }
            Errand::Repair => {
                let mended = self.repair(course).await;
                mended.map(|mended| format!("{mended} tickets mended"))
            }
        }
    }

    async fn repair(&self, course: &Course) -> Result<usize, String> {
        let found = self.differences(course).await?;
        for some in found.chunks(MENDED_AT_ONCE) {
            let tickets: Vec<_> = some.iter().filter_map(|one| one.ticket.clone()).collect();
            let strangers: Vec<_> =
                some.iter().filter(|one| one.ticket.is_none()).map(|one| one.place).collect();
            let mended = self.indexer.mend(&tickets, &strangers).await;
            mended.map_err(|error| told(&error))?;
        }
        Ok(found.len())
    }

    /// What differs between the index and the log.
    ///
    /// # Errors
    /// Why they could not be compared.
    pub async fn differences(&self, course: &Course) -> Result<Vec<Difference>, String> {
        let index = Arc::clone(&self.home) as Arc<dyn SearchIndex>;
        let of = index.standing().map_or(0, |standing| standing.positions.total());
        course.of.store(of, Ordering::Relaxed);
        let on_events = |events: usize| {
            course.events.fetch_add(events as u64, Ordering::Relaxed);
        };
        let compared = diff(&index, &self.log, &self.keyring, on_events).await;
        compared.map(|(_, differences)| differences).map_err(|error| told(&error))
    }
}
