//! One segment of the index with the column that says whose each document is.

use std::sync::Arc;

use tantivy::columnar::{Column, ColumnValues, DynamicColumn, HasAssociatedColumnType};
use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::{DocId, Executor, Searcher, SegmentReader};

use super::heads::{HeadTables, column_of};
use super::schema::column;
use super::ticket_set::TicketSet;
use crate::document::Place;

/// Documents below which a question is answered on the caller's thread alone.
const PARALLEL_DOCUMENTS_MIN: u64 = 50_000;

/// A segment.
pub(super) struct Shard<'a> {
    pub(super) reader: &'a SegmentReader,
    heads: &'a HeadTables,
    shown: Arc<dyn ColumnValues<u64>>,
}

/// Whose a document is, and whether customers of the ticket see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) ticket: Place,
    pub(super) public: bool,
}

impl Shown {
    /// As the column holds it.
    pub(super) const fn number(self) -> u64 {
        self.ticket.number() << 1 | self.public as u64
    }

    const fn of(number: u64) -> Self {
        Self { ticket: Place::from_number(number >> 1), public: number & 1 == 1 }
    }
}

impl<'a> Shard<'a> {
    fn open(reader: &'a SegmentReader, heads: &'a HeadTables) -> tantivy::Result<Self> {
        let shown = column_of::<u64>(reader, column::TICKET)?.first_or_default_col(0);
        Ok(Self { reader, heads, shown })
    }

    /// A column, which is empty where no document of the segment has a value.
    pub(super) fn column<T>(&self, name: &str) -> tantivy::Result<Column<T>>
    where
        T: HasAssociatedColumnType + Send + Sync + PartialOrd + Copy + Default + 'static,
        DynamicColumn: Into<Option<Column<T>>>,
    {
        column_of(self.reader, name)
    }

    /// Whose a document is.
    pub(super) fn shown(&self, document: DocId) -> Shown {
        Shown::of(self.shown.get_val(document))
    }

    /// Whether a document was not deleted.
    pub(super) fn lives(&self, document: DocId) -> bool {
        self.reader.alive_bitset().is_none_or(|alive| alive.is_alive(document))
    }

    /// Every living ticket in a set, with its own document and its row in the columns that only tickets have.
    pub(super) fn each_ticket(
        &self,
        wanted: &TicketSet,
        mut found: impl FnMut(Place, DocId, u32),
    ) -> tantivy::Result<()> {
        let heads = self.heads.of(self.reader)?;
        for (row, (ticket, document)) in (0..).zip(heads.iter()) {
            if wanted.has(ticket) && self.lives(document) {
                found(ticket, document, row);
            }
        }
        Ok(())
    }

    /// Every living document that fits.
    pub(super) fn each(
        &self,
        weight: &dyn Weight,
        mut found: impl FnMut(DocId, Shown),
    ) -> tantivy::Result<()> {
        let mut numbers = [0; tantivy::COLLECT_BLOCK_BUFFER_LEN];
        let alive = self.reader.alive_bitset();
        weight.for_each_no_score(self.reader, &mut |documents| {
            let numbers = &mut numbers[..documents.len()];
            self.shown.get_vals(documents, numbers);
            for (document, number) in documents.iter().zip(numbers) {
                if alive.is_none_or(|alive| alive.is_alive(*document)) {
                    found(*document, Shown::of(*number));
                }
            }
        })
    }
}

/// All segments as of one commit.
pub(super) struct Shards<'a> {
    pub(super) searcher: &'a Searcher,
    executor: &'a Executor,
    shards: Vec<Shard<'a>>,
}

impl<'a> Shards<'a> {
    /// Opens the segments of a searcher.
    pub(super) fn open(
        searcher: &'a Searcher,
        executor: &'a Executor,
        heads: &'a HeadTables,
    ) -> tantivy::Result<Self> {
        let readers = searcher.segment_readers().iter();
        let shards = readers.map(|reader| Shard::open(reader, heads));
        Ok(Self { searcher, executor, shards: shards.collect::<tantivy::Result<_>>()? })
    }

    /// What each segment gives, in order.
    pub(super) fn map<R: Send>(
        &self,
        each: impl Fn(usize, &Shard<'a>) -> tantivy::Result<R> + Sync,
    ) -> tantivy::Result<Vec<R>> {
        let numbered = self.shards.iter().enumerate();
        if self.searcher.num_docs() < PARALLEL_DOCUMENTS_MIN {
            return numbered.map(|(number, shard)| each(number, shard)).collect();
        }
        self.executor.map(|(number, shard)| each(number, shard), numbered)
    }

    /// The segment with this number.
    pub(super) fn shard(&self, number: usize) -> &Shard<'a> {
        &self.shards[number]
    }

    /// The tickets of all documents that fit and that are wanted.
    pub(super) fn tickets(
        &self,
        query: &dyn Query,
        wanted: impl Fn(Shown) -> bool + Sync,
    ) -> tantivy::Result<TicketSet> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(self.searcher))?;
        let sets = self.map(|_, shard| {
            let mut set = TicketSet::default();
            shard.each(&*weight, |_, shown| {
                if wanted(shown) {
                    set.insert(shown.ticket);
                }
            })?;
            Ok(set)
        })?;
        let mut all = TicketSet::default();
        sets.into_iter().for_each(|set| all.add(set));
        Ok(all)
    }
}
