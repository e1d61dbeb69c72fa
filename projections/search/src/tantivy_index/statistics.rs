//! What scores are computed from: never anything that the reader may not know.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::facts::every_ticket;
use super::schema::Fields;
use crate::port::{Question, Rarity, Reader};

/// Words of a document on average, for all: the true figure would tell one tenant about another.
const AVERAGE_WORDS: u64 = 40;
/// Documents of a ticket, by a rough guess.
const DOCUMENTS_PER_TICKET: u64 = 8;
/// Fewest documents that a tenant is taken to have, so that scores of a small one mean something.
const DOCUMENTS_MIN: u64 = 1_000;
/// In how many documents each word is taken to be for a customer, for whom all words weigh the same: how rare a word is
/// elsewhere is nothing that a customer may learn from a score.
const BLIND_FREQUENCY: u64 = 10;

/// The statistics of one question.
pub(super) struct Statistics<'a> {
    searcher: &'a Searcher,
    documents: u64,
    /// What is known of words: from the first page of a walk, and what was looked up; none for a customer.
    frequencies: Option<Mutex<BTreeMap<u32, u32>>>,
}

impl<'a> Statistics<'a> {
    pub(super) fn of(
        searcher: &'a Searcher,
        fields: Fields,
        question: &Question,
    ) -> tantivy::Result<Self> {
        if matches!(question.reader, Reader::Customer(_)) {
            return Ok(Self { searcher, documents: DOCUMENTS_MIN, frequencies: None });
        }
        let (documents, known) = match &question.rarity {
            Some(rarity) => (rarity.documents, rarity.frequencies.clone()),
            None => {
                let tickets = searcher.doc_freq(&every_ticket(fields, &question.tenant))?;
                (tickets * DOCUMENTS_PER_TICKET, BTreeMap::new())
            }
        };
        let documents = documents.max(DOCUMENTS_MIN);
        Ok(Self { searcher, documents, frequencies: Some(Mutex::new(known)) })
    }

    /// What scores were computed from; none where they are the same at all times.
    pub(super) fn rarity(&self) -> Option<Rarity> {
        let frequencies = self.frequencies.as_ref()?.lock().clone();
        Some(Rarity { documents: self.documents, frequencies })
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.documents.saturating_mul(AVERAGE_WORDS))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let Some(frequencies) = &self.frequencies else { return Ok(BLIND_FREQUENCY) };
        let hash = hash(term);
        let known = frequencies.lock().get(&hash).copied();
        let frequency = match known {
            Some(known) => known,
            None => {
                let found = self.searcher.doc_freq(term)?;
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                frequencies.lock().insert(hash, found);
                found
            }
        };
        // A word that is everywhere still counts for a little.
        Ok(u64::from(frequency).min(self.documents / 2))
    }
}

/// FNV-1a of 32 bits (draft-eastlake-fnv): the same on every node and in every release. Two words of one query that share
/// a hash, one pair in four thousand million, weigh the same.
fn hash(term: &Term) -> u32 {
    let field = term.field().field_id().to_be_bytes();
    let bytes = field.iter().chain(term.serialized_value_bytes());
    bytes.fold(2_166_136_261, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619))
}
