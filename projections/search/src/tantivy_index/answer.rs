//! A question answered from the segments of one commit.

use tantivy::{DocAddress, Executor, Searcher};

use docket_engine::cursor::Positions;
use docket_schemas::TicketId;
use uuid::Uuid;

use super::evaluate::Scope;
use super::heads::HeadTables;
use super::matched::matched;
use super::pass::{Passed, pass};
use super::relevance;
use super::schema::{Fields, column};
use super::shard::Shards;
use super::ticket_set::TicketSet;
use crate::document::Place;
use crate::port::{Found, Hit, Question, Rank, Sort};

/// Answers a question as of the searcher's commit, which came to `positions`.
pub(super) fn answer(
    (searcher, executor, heads): (&Searcher, &Executor, &HeadTables),
    fields: Fields,
    question: &Question,
    positions: Positions,
) -> tantivy::Result<Found> {
    let shards = Shards::open(searcher, executor, heads)?;
    let scope = Scope::open(&shards, fields, question)?;
    let branches = scope.branches(&question.query.groups)?;
    let mut all = TicketSet::default();
    branches.iter().for_each(|branch| all.add(branch.tickets.clone()));
    let count = all.count();
    let by_value = matches!(question.sort, Sort::By(..));
    let Passed { top, facets } = if by_value || !question.facets.is_empty() {
        pass(&scope, &all, question)?
    } else {
        Passed { top: Vec::new(), facets: Vec::new() }
    };
    let mut ranked: Vec<(Rank, DocAddress)> = Vec::with_capacity(question.size + 1);
    if by_value {
        ranked.extend(top.iter().map(|found| (found.rank, found.of)));
    } else {
        for found in relevance::best(&scope, &branches, &all, question)? {
            let head = shards.head(found.rank.ticket);
            ranked.extend(head.map(|document| (found.rank, document)));
        }
    }
    let more = ranked.len() > question.size;
    ranked.truncate(question.size);
    let tickets: Vec<Place> = ranked.iter().map(|(rank, _)| rank.ticket).collect();
    let mut matched = matched(&scope, &branches, &tickets)?;
    let mut hits = Vec::with_capacity(ranked.len());
    for (rank, document) in ranked {
        let parts = matched.remove(&rank.ticket).unwrap_or_default();
        hits.push(Hit {
            ticket: ticket_id(searcher, document)?,
            score: if by_value {
                // Nothing that has words fits without any of them.
                if parts.score > 0.0 { relevance::rounded(parts.score) } else { 0.0 }
            } else {
                relevance::score(rank.key)
            },
            rank,
            subject: parts.subject,
            messages: parts.messages.into_iter().map(|(_, place)| place).collect(),
        });
    }
    let newest_visible = newest_visible(&scope)?;
    let rarity = if by_value { None } else { scope.statistics.rarity() };
    Ok(Found { hits, count, more, facets, rarity, positions, newest_visible })
}

/// The newest public event of a customer's own tickets, by partition.
fn newest_visible(scope: &Scope<'_>) -> tantivy::Result<Option<Positions>> {
    let Some(own) = &scope.own else { return Ok(None) };
    let parts = scope.shards.map(|_, shard| {
        let public = shard.column::<u64>(column::PUBLIC_POSITION)?.values;
        let mut newest = Positions::START;
        shard.each_ticket(own, |ticket, _, row| {
            newest.advance(ticket.partition(), public.get_val(row));
        })?;
        Ok(newest)
    })?;
    let mut newest = Positions::START;
    for part in parts {
        part.iter().for_each(|(partition, position)| newest.advance(partition, position));
    }
    Ok(Some(newest))
}

fn ticket_id(searcher: &Searcher, document: DocAddress) -> tantivy::Result<TicketId> {
    let columns = searcher.segment_reader(document.segment_ord).fast_fields();
    let half = |name| -> tantivy::Result<u64> {
        Ok(columns.u64(name)?.first(document.doc_id).unwrap_or_default())
    };
    let (high, low) = (half(column::ID_HIGH)?, half(column::ID_LOW)?);
    Ok(TicketId::new(Uuid::from_u64_pair(high, low)))
}
