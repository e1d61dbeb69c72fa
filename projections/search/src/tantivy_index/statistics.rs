//! What scores are computed from: never anything that the reader may not know.

use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::facts::every_ticket;
use super::schema::Fields;
use crate::port::{Question, Reader};

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
    blind: bool,
}

impl<'a> Statistics<'a> {
    pub(super) fn of(
        searcher: &'a Searcher,
        fields: Fields,
        question: &Question,
    ) -> tantivy::Result<Self> {
        let blind = matches!(question.reader, Reader::Customer(_));
        let tickets =
            if blind { 0 } else { searcher.doc_freq(&every_ticket(fields, &question.tenant))? };
        Ok(Self { searcher, documents: DOCUMENTS_MIN.max(tickets * DOCUMENTS_PER_TICKET), blind })
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.documents * AVERAGE_WORDS)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        if self.blind {
            return Ok(BLIND_FREQUENCY);
        }
        // A word that is everywhere still counts for a little.
        Ok(self.searcher.doc_freq(term)?.min(self.documents / 2))
    }
}
