//! What was measured of lists, counts and searches, as a table for people and JSON for programs.

use serde::Serialize;

use super::full_text::FullTextReport;
use super::times::{Answered, Times};
use crate::bench::report::{two_columns, whole};

/// So many of the slowest questions stand in the table.
const SLOWEST: usize = 12;

/// Everything that was measured. Its keys are described in `docs/bench.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) bench: &'static str,
    pub(super) backend: String,
    pub(super) processors: usize,
    pub(super) tickets: u64,
    pub(super) english_of_ten: u64,
    pub(super) text_bytes: u64,
    pub(super) index_bytes: u64,
    pub(super) index_ratio: f64,
    pub(super) view_rows_per_second: f64,
    pub(super) view_index_seconds: f64,
    pub(super) index_events_per_second: f64,
    pub(super) lists: Share,
    pub(super) counts: Share,
    pub(super) searches: Share,
    pub(super) full_text: Option<FullTextReport>,
}

/// All questions of one sort.
#[derive(Debug, Serialize)]
pub(super) struct Share {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) kinds: Vec<Answered>,
}

impl Share {
    pub(super) fn of(kinds: Vec<Answered>) -> Self {
        let (p50_ms, p99_ms) = Times::of_all(&kinds);
        Self { p50_ms, p99_ms, kinds }
    }

    fn figures(&self) -> String {
        format!("{:.1} ms, {:.1} ms", self.p50_ms, self.p99_ms)
    }

    /// The slowest kinds, in Markdown.
    fn slowest(&self, of: &str) -> String {
        let mut kinds: Vec<&Answered> = self.kinds.iter().collect();
        kinds.sort_by(|a, b| b.p99_ms.total_cmp(&a.p99_ms));
        let mut text =
            format!("\n| {:<50} | {:>9} | {:>9} | {:>9} |\n", of, "found", "p50 ms", "p99 ms");
        text += &format!("|{:-<52}|{:->10}:|{:->10}:|{:->10}:|\n", "", "", "", "");
        for Answered { kind, found, p50_ms, p99_ms, .. } in kinds.into_iter().take(SLOWEST) {
            text += &format!("| {kind:<50} | {found:>9} | {p50_ms:>9.2} | {p99_ms:>9.2} |\n");
        }
        text
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", whole(Some(bytes as f64 / 1e6)))
}

impl Report {
    /// The tables, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = vec![
            ("tickets", whole(Some(self.tickets as f64))),
            ("lists: p50, p99", self.lists.figures()),
            ("counts: p50, p99", self.counts.figures()),
            ("searches: p50, p99", self.searches.figures()),
            ("text", megabytes(self.text_bytes)),
            ("search index", megabytes(self.index_bytes)),
            ("search index / text", format!("{:.2}", self.index_ratio)),
            ("rows/s into the view, without its indexes", whole(Some(self.view_rows_per_second))),
            ("the view's indexes", format!("{:.0} s", self.view_index_seconds)),
            ("events/s into the index", whole(Some(self.index_events_per_second))),
        ];
        if let Some(full_text) = &self.full_text {
            let FullTextReport { p50_ms, p99_ms, .. } = full_text;
            let times = format!("{p50_ms:.1} ms, {p99_ms:.1} ms");
            lines.push(("PostgreSQL's full-text search: p50, p99", times));
            lines.push(("its GIN index", megabytes(full_text.index_bytes)));
            lines.push(("its tsvector column", megabytes(full_text.words_bytes)));
        }
        let mut text = format!("{}; {} processors\n", self.backend, self.processors);
        text += &two_columns(&lines);
        text += &self.lists.slowest("slowest lists");
        text += &self.counts.slowest("slowest counts");
        text += &self.searches.slowest("slowest searches");
        text + &self.beside()
    }

    /// The same questions to both, in Markdown.
    fn beside(&self) -> String {
        let Some(full_text) = &self.full_text else { return String::new() };
        let mut text = format!(
            "\n| {:<34} | {:>9} | {:>9} | {:>9} | {:>11} | {:>11} |\n|{:-<36}|",
            "best first", "found", "p50 ms", "p99 ms", "its p50 ms", "its p99 ms", ""
        );
        text += &[11, 11, 11, 13, 13].map(|width| format!("{:->1$}|", ":", width)).concat();
        text.push('\n');
        for theirs in &full_text.kinds {
            let kind = &theirs.kind;
            let ours = format!("{kind}, best first");
            let Some(ours) = self.searches.kinds.iter().find(|one| one.kind == ours) else {
                continue;
            };
            text += &format!(
                "| {kind:<34} | {:>9} | {:>9.2} | {:>9.2} | {:>11.2} | {:>11.2} |\n",
                ours.found, ours.p50_ms, ours.p99_ms, theirs.p50_ms, theirs.p99_ms
            );
        }
        text
    }
}
