//! The same texts under the database's own full-text search, asked those questions that it can answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use super::corpus::{Corpus, Made};
use super::questions::{KINDS, asked};
use super::times::{Answered, Times};
use super::words::Words;
use crate::clock;
use crate::wire::WireError;
use crate::wire::scratch::{FULL_TEXT_BATCH_ROWS, FullText, FullTextQuery, Scratch};

/// Who writes at the same time.
const WRITERS: usize = 2;
/// Batches that wait for each.
const QUEUE_BATCHES: usize = 2;
/// So long a kind is asked at most.
const KIND_FOR: Duration = Duration::from_secs(20);
/// The kinds that it knows: by default it takes Chinese without spaces for one word.
const KNOWN: [&str; 7] = [
    "English word",
    "English word of the 50 commonest",
    "two English words",
    "either of two English words",
    "English phrase",
    "English prefix",
    "English word without another",
];

/// What was measured of it.
#[derive(Debug, Serialize)]
pub(super) struct FullTextReport {
    pub(super) index_bytes: u64,
    pub(super) words_bytes: u64,
    /// Seconds until it held all texts and had its index.
    pub(super) fill_seconds: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) kinds: Vec<Answered>,
}

/// Fills a table and asks; none where the backend has no such search.
pub(super) async fn full_text(
    scratch: &Scratch,
    corpus: Corpus,
    times_asked: u32,
    progress: &impl Fn(&str),
) -> Result<Option<FullTextReport>, WireError> {
    let Some(mut session) = scratch.full_text().await? else { return Ok(None) };
    let words = Arc::clone(&corpus.words);
    let began = clock::monotonic();
    fill(scratch, corpus).await?;
    progress("making its index");
    let size = session.index().await?;
    let fill_seconds = clock::monotonic().duration_since(began).as_secs_f64();
    progress("asking it");
    let mut kinds = Vec::new();
    for kind in KNOWN {
        kinds.push(ask(&mut session, &words, kind, times_asked).await?);
    }
    let (p50_ms, p99_ms) = Times::of_all(&kinds);
    let (index_bytes, words_bytes) = (size.index_bytes, size.words_bytes);
    Ok(Some(FullTextReport { index_bytes, words_bytes, fill_seconds, p50_ms, p99_ms, kinds }))
}

async fn fill(scratch: &Scratch, mut corpus: Corpus) -> Result<(), WireError> {
    let mut lanes = Vec::new();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let Some(mut session) = scratch.full_text().await? else { return Ok(()) };
        let (lane, mut batches) = mpsc::channel::<Vec<Made>>(QUEUE_BATCHES);
        lanes.push(lane);
        writers.spawn(async move {
            while let Some(batch) = batches.recv().await {
                let numbers: Vec<i64> =
                    batch.iter().map(|made| made.number.cast_signed()).collect();
                let texts: Vec<String> =
                    batch.iter().map(|made| made.texts().collect::<Vec<_>>().join("\n")).collect();
                session.add(&numbers, &texts).await?;
            }
            Ok::<_, WireError>(())
        });
    }
    let making = tokio::task::spawn_blocking(move || {
        for lane in lanes.iter().cycle() {
            let batch: Vec<Made> = corpus.by_ref().take(FULL_TEXT_BATCH_ROWS).collect();
            // A writer that is gone has an error, which is told elsewhere.
            if batch.is_empty() || lane.blocking_send(batch).is_err() {
                break;
            }
        }
    });
    making.await?;
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}

/// Asks questions of a kind so often, unless they take too long.
async fn ask(
    session: &mut FullText,
    words: &Words,
    kind: &str,
    times_asked: u32,
) -> Result<Answered, WireError> {
    let (mut times, mut found, mut answers) = (Times::default(), 0, 0_u64);
    let make = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, make)| *make);
    let make = make.ok_or("no such kind of question")?;
    let began = clock::monotonic();
    for text in asked(words, make, times_asked) {
        if clock::monotonic().duration_since(began) > KIND_FOR {
            break;
        }
        let query = match text.strip_suffix('*') {
            Some(prefix) => FullTextQuery::Prefix(prefix.to_owned()),
            None => FullTextQuery::Typed(text.replace(" OR ", " or ")),
        };
        let (count, took) = session.ask(&query, clock::monotonic).await?;
        times.add(took);
        found += count;
        answers += 1;
    }
    Ok(times.answered(kind.to_owned(), found / answers.max(1)))
}
