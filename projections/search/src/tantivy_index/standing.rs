//! What stands in the index for each ticket, by digest, beside what should stand there.

use std::collections::HashMap;

use tantivy::Searcher;

use super::documents::{message_digest, ticket_digest};
use super::heads::HeadTables;
use super::schema::column;
use super::shard::{Shards, Shown};
use crate::document::{Place, TicketWrite};
use crate::port::{Digest, Standing};

/// What stands for each ticket in the segments, in order of places.
pub(super) fn standings(searcher: &Searcher) -> tantivy::Result<Vec<Standing>> {
    let (executor, heads) = (tantivy::Executor::single_thread(), HeadTables::default());
    let shards = Shards::open(searcher, &executor, &heads)?;
    let mut found: HashMap<Place, Standing> = HashMap::new();
    for shard in shards.iter() {
        let digests = shard.column::<u64>(column::DIGEST)?;
        let positions = shard.column::<u64>(column::POSITION)?;
        for document in shard.reader.doc_ids_alive() {
            let Shown { ticket, .. } = shard.shown(document);
            let standing =
                found.entry(ticket).or_insert(Standing { ticket, position: 0, digest: 0 });
            let digest = spread(digests.first(document).unwrap_or_default());
            standing.digest = standing.digest.wrapping_add(digest);
            // A ticket with two documents of its own has a digest that is nobody's.
            standing.position =
                standing.position.max(positions.first(document).unwrap_or_default());
        }
    }
    let mut all: Vec<Standing> = found.into_values().collect();
    all.sort_unstable_by_key(|standing| standing.ticket);
    Ok(all)
}

/// What a write adds.
pub(super) fn digest(write: &TicketWrite) -> Digest {
    let ticket = &write.ticket;
    let messages = write
        .messages
        .iter()
        .map(|message| spread(message_digest(&ticket.tenant, ticket.place, message)));
    Digest { ticket: spread(ticket_digest(ticket)), messages: messages.fold(0, u64::wrapping_add) }
}

/// Digests are summed: whatever their order, and two equal ones do not cancel out.
const fn spread(digest: u64) -> u64 {
    let spread = digest.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    spread ^ (spread >> 29)
}
