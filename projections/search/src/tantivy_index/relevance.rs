//! Results by how well they fit: a ticket counts as its best document does.

use tantivy::query::{EnableScoring, Weight};
use tantivy::{DocId, Score, SeekDangerResult};

use super::evaluate::{Branch, Scope};
use super::shard::{Few, Shard, Shown};
use super::ticket_set::TicketSet;
use super::top::{Ranked, Top};
use crate::document::Place;
use crate::port::{Question, Rank};

/// Scores are multiples of this. The last bits of a sum depend on the order in which words are looked up, that is on how
/// frequent they are: nothing that a customer may learn, and nothing that pages should depend on.
const STEP: Score = 1.0 / 1_024.0;

/// A score without its last bits; never 0, which stands for no score.
pub(super) fn rounded(score: Score) -> Score {
    (score / STEP).round().max(1.0) * STEP
}

/// A score as a sort key: of positive numbers the bits rise with the value.
fn key(score: Score) -> i64 {
    i64::from(rounded(score).to_bits())
}

/// Below every score that is rounded to this key.
fn below(key: i64) -> Score {
    score(key) - STEP
}

/// The score behind a key.
pub(super) fn score(key: i64) -> Score {
    u32::try_from(key).map_or(0.0, Score::from_bits)
}

/// The first results. What fits without any text comes last, the newest first.
pub(super) fn best(
    scope: &Scope<'_>,
    branches: &[Branch],
    all: &TicketSet,
    question: &Question,
) -> tantivy::Result<Vec<Ranked<()>>> {
    let size = question.size + 1;
    let mut weights = Vec::new();
    for branch in branches {
        if let Some(query) = &branch.text {
            let searcher = scope.shards.searcher;
            let scoring =
                EnableScoring::enabled_from_statistics_provider(&scope.statistics, searcher);
            weights.push((query.weight(scoring)?, branch));
        }
    }
    let scoring = Scoring { scope, weights };
    let mut top = scoring.behind(question.after, size)?;
    if top.len() < size && branches.iter().any(|branch| branch.text.is_none()) {
        let mut rest = all.clone();
        scoring.weights.iter().for_each(|(_, branch)| rest.remove(&branch.tickets));
        let after = question.after.filter(|after| after.key == 0).map(|after| after.ticket);
        let behind = |ticket: &Place| after.is_none_or(|after| *ticket < after);
        let missing = size - top.len();
        top.extend(
            rest.descending()
                .filter(behind)
                .take(missing)
                .map(|ticket| Ranked { rank: Rank { key: 0, ticket }, of: () }),
        );
    }
    Ok(top)
}

/// The texts of a query, each with what was found by it.
struct Scoring<'a> {
    scope: &'a Scope<'a>,
    weights: Vec<(Box<dyn Weight>, &'a Branch)>,
}

impl Scoring<'_> {
    /// The best tickets that come behind a rank. One of which any document ranks before it was on an earlier page.
    fn behind(&self, after: Option<Rank>, size: usize) -> tantivy::Result<Vec<Ranked<()>>> {
        let seen = match after {
            Some(after) => self.seen(after)?,
            None => TicketSet::default(),
        };
        let mut top = Top::new(size, None);
        for (weight, branch) in &self.weights {
            let tops = self.scope.shards.map(|number, shard| {
                let mut top = Top::new(size, None);
                self.each((&**weight, branch), (number, shard), Score::MIN, &mut |rank| {
                    if !seen.has(rank.ticket) {
                        top.offer(rank, ());
                    }
                    // Equal scores still count: the newer ticket comes first.
                    top.threshold().map_or(Score::MIN, below)
                })?;
                Ok(top)
            })?;
            tops.into_iter().for_each(|found| top.add(found));
        }
        Ok(top.finish())
    }

    /// The tickets of the pages up to a rank.
    fn seen(&self, after: Rank) -> tantivy::Result<TicketSet> {
        let least = below(after.key);
        let mut seen = TicketSet::default();
        for (weight, branch) in &self.weights {
            let sets = self.scope.shards.map(|number, shard| {
                let mut seen = TicketSet::default();
                self.each((&**weight, branch), (number, shard), least, &mut |rank| {
                    if (rank.key, rank.ticket) >= (after.key, after.ticket) {
                        seen.insert(rank.ticket);
                    }
                    least
                })?;
                Ok(seen)
            })?;
            sets.into_iter().for_each(|found| seen.add(found));
        }
        Ok(seen)
    }

    /// The documents that score more than a threshold, and perhaps others; `found` says what to go on with.
    fn each(
        &self,
        (weight, branch): (&dyn Weight, &Branch),
        (number, shard): (usize, &Shard<'_>),
        least: Score,
        found: &mut dyn FnMut(Rank) -> Score,
    ) -> tantivy::Result<()> {
        let mut known = |shown: Shown, score| {
            if branch.tickets.has(shown.ticket) {
                found(Rank { key: key(score), ticket: shown.ticket });
            }
        };
        match branch.documents.get(number) {
            Some(Few::Scored(documents)) => {
                documents.iter().for_each(|&(one, score)| known(shard.shown(one), score));
                return Ok(());
            }
            Some(Few::Documents(documents)) => {
                return score_each(weight, shard, documents, |one, score| {
                    known(shard.shown(one), score);
                });
            }
            Some(Few::TooMany) | None => {}
        }
        let mut threshold = least;
        weight.for_each_pruning(least, shard.reader, &mut |document, score| {
            let shown = shard.shown(document);
            let counts = branch.tickets.has(shown.ticket) && self.scope.covers(shown);
            if counts && shard.lives(document) {
                threshold = found(Rank { key: key(score), ticket: shown.ticket });
            }
            threshold
        })
    }
}

/// The scores of those documents that fit. They are in order, each once.
pub(super) fn score_each(
    weight: &dyn Weight,
    shard: &Shard<'_>,
    documents: &[DocId],
    mut found: impl FnMut(DocId, Score),
) -> tantivy::Result<()> {
    let mut left = documents.iter();
    let Some(mut document) = left.next().copied() else {
        return Ok(());
    };
    let (mut sought, mut scorer) = weight.scorer_danger(shard.reader, document, 1.0)?;
    loop {
        // Nothing before it fits.
        let next = match sought {
            SeekDangerResult::Found => {
                found(document, scorer.score());
                document + 1
            }
            SeekDangerResult::SeekLowerBound(bound) => bound,
        };
        let Some(candidate) = left.find(|one| **one >= next) else {
            return Ok(());
        };
        document = *candidate;
        sought = scorer.seek_danger(document);
    }
}
