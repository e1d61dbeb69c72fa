//! What of each result fits: its subject, its best messages.

use std::collections::HashMap;

use tantivy::query::{EnableScoring, Occur};

use super::evaluate::{Branch, Scope};
use super::relevance::score_each;
use super::schema::column;
use super::text_query::joined;
use crate::document::Place;
use crate::port::MATCHED_MESSAGES_MAX;

/// The fitting parts of one ticket.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched {
    /// Of the best.
    pub(super) score: f32,
    pub(super) subject: bool,
    /// The best first.
    pub(super) messages: Vec<(f32, Place)>,
}

/// The fitting parts of these tickets.
pub(super) fn matched(
    scope: &Scope<'_>,
    branches: &[Branch],
    tickets: &[Place],
) -> tantivy::Result<HashMap<Place, Matched>> {
    let texts = branches.iter().filter_map(|branch| branch.text.as_ref());
    let texts: Vec<_> = texts.map(|text| text.box_clone()).collect();
    if texts.is_empty() || tickets.is_empty() {
        return Ok(HashMap::new());
    }
    let searcher = scope.shards.searcher;
    let scoring = EnableScoring::enabled_from_statistics_provider(&scope.statistics, searcher);
    let weight = joined(Occur::Should, texts).weight(scoring)?;
    let parts = scope.shards.map(|_, shard| {
        let mut of_page = Vec::new();
        for ticket in tickets {
            shard.documents_of(scope.asking.fields, *ticket, &mut of_page)?;
        }
        if of_page.is_empty() {
            return Ok(Vec::new());
        }
        of_page.sort_unstable();
        let messages = shard.column::<u64>(column::MESSAGE)?;
        let mut found: Vec<(Place, f32, Option<Place>)> = Vec::new();
        score_each(&*weight, shard, &of_page, |document, score| {
            let shown = shard.shown(document);
            if scope.covers(shown) && shard.lives(document) {
                let message = messages.first(document).map(Place::from_number);
                found.push((shown.ticket, score, message));
            }
        })?;
        Ok(found)
    })?;
    let mut matched: HashMap<Place, Matched> = HashMap::new();
    for (ticket, score, message) in parts.into_iter().flatten() {
        let matched = matched.entry(ticket).or_default();
        matched.score = matched.score.max(score);
        match message {
            Some(message) => matched.messages.push((score, message)),
            None => matched.subject = true,
        }
    }
    for matched in matched.values_mut() {
        matched.messages.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
        matched.messages.dedup_by_key(|(_, place)| *place);
        matched.messages.truncate(MATCHED_MESSAGES_MAX);
    }
    Ok(matched)
}
