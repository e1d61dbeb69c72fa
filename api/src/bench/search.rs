//! Lists, counts and searches over a million made-up tickets, beside the database's own full-text search.

mod corpus;
mod fill;
mod full_text;
mod lists;
mod questions;
mod report;
mod times;
mod words;

use std::sync::Arc;
use std::time::Duration;

use docket_projections::store::ViewStore;
use docket_schemas::Tenant;
use docket_search::port::SearchIndex;

use super::in_scratch::in_scratch;
use super::requests::TENANT;
use crate::clock;
use crate::wire::scratch::Scratch;
use crate::wire::{self, Installation, WireError};
use corpus::Corpus;
use lists::Questions;
use questions::Asking;
pub use report::Report;
use report::Share;
use times::Answered;
use words::Words;

/// The process whose index it is.
const PROCESS: &str = "bench";

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Tickets of seven events each.
    pub tickets: u64,
    /// Of ten texts so many are English, the others Chinese.
    pub english_of_ten: u64,
    /// Times that each kind of question is asked.
    pub asked: u32,
    /// All questions are asked again until then.
    pub at_least: Duration,
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
    let (backend, report) = in_scratch(installation, "search", measuring).await?;
    Ok(Report { backend, ..report })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<Report, WireError> {
    let installation = &scratch.installation;
    std::fs::create_dir_all(&installation.data)?;
    let store: Arc<dyn ViewStore> = wire::view_store(installation).await?;
    let index: Arc<dyn SearchIndex> = wire::search_index(installation, PROCESS).await?;
    let tenant: Tenant = TENANT.parse()?;
    let words = Arc::new(Words::new());
    let corpus =
        || Corpus::new(Arc::clone(&words), tenant.clone(), plan.tickets, plan.english_of_ten);

    progress(&format!("filling view and index with {} tickets", plan.tickets));
    let filled = fill::fill(&store, &index, corpus()?, progress).await?;
    progress("waiting until the index has merged its parts");
    let index_bytes = fill::merged(&index, &installation.indexes()).await?;
    let text_bytes = filled.text_bytes;
    progress(&format!("{index_bytes} bytes of index over {text_bytes} bytes of text"));

    let last = corpus::opened_at(plan.tickets - 1);
    let asked = plan.asked.max(1);
    let questions = Questions { store: Arc::clone(&store), tenant: tenant.clone(), last, asked };
    let (tenant_asked, words_asked) = (tenant.clone(), Arc::clone(&words));
    let asking = Asking { index, store, tenant: tenant_asked, words: words_asked, asked };
    let (mut lists, mut counts, mut searches) = (Vec::new(), Vec::new(), Vec::new());
    let until = clock::monotonic() + plan.at_least;
    while searches.is_empty() || clock::monotonic() < until {
        progress("asking for lists");
        Answered::add_all(&mut lists, questions.lists().await?);
        progress("asking for counts");
        Answered::add_all(&mut counts, questions.counts().await?);
        progress("searching");
        Answered::add_all(&mut searches, asking.searches().await?);
    }
    let (lists, counts, searches) = (Share::of(lists), Share::of(counts), Share::of(searches));
    progress("filling the database's own full-text search");
    let full_text = full_text::full_text(scratch, corpus()?, asked, progress).await?;
    Ok(Report {
        bench: "search",
        backend: String::new(),
        processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        tickets: filled.tickets,
        english_of_ten: plan.english_of_ten,
        text_bytes,
        index_bytes,
        index_ratio: index_bytes as f64 / text_bytes.max(1) as f64,
        view_rows_per_second: filled.view_rows_per_second(),
        view_index_seconds: filled.view_index_seconds,
        index_events_per_second: filled.index_events_per_second(),
        lists,
        counts,
        searches,
        full_text,
    })
}
