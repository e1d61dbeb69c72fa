//! One segment of the index with the column that says whose each document is.

use std::sync::Arc;

use tantivy::columnar::{Column, DynamicColumn, HasAssociatedColumnType, StrColumn};
use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{
    DocAddress, DocId, DocSet as _, Executor, Score, Searcher, SegmentReader, TERMINATED, Term,
};

use super::heads::{HeadTable, HeadTables, column_of};
use super::ordinals::Ordinals;
use super::schema::Fields;
use super::statistics::Statistics;
use super::ticket_set::TicketSet;
use crate::document::Place;

/// Documents below which a question is answered on the caller's thread alone.
const PARALLEL_DOCUMENTS_MIN: u64 = 50_000;

/// Documents of a segment that are remembered between finding and ranking them: looking at each again is faster than to
/// find the best once more.
const FEW_DOCUMENTS_MAX: usize = 4_000;
/// The same where they were found by comparing positions, over all ways to satisfy the query.
const FEW_PHRASES_MAX: usize = 100_000;

/// How dear it is to find documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// By their terms.
    Terms,
    /// By the positions of their terms.
    Positions,
}

/// The documents of a segment that fit, in order.
pub(super) enum Few {
    /// They are too many to be remembered.
    TooMany,
    /// Without their scores.
    Documents(Vec<DocId>),
    /// With their scores, which came with comparing positions.
    Scored(Vec<(DocId, Score)>),
}

/// A segment.
pub(super) struct Shard<'a> {
    pub(super) reader: &'a SegmentReader,
    table: Arc<HeadTable>,
}

/// The values of a column of texts.
pub(super) struct Named {
    /// With the dictionary of its values.
    pub(super) column: StrColumn,
    /// Which of them each ticket has.
    pub(super) ordinals: Arc<Ordinals>,
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
        Ok(Self { reader, table: heads.of(reader)? })
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
        Shown::of(self.table.shown(document))
    }

    /// Whether a document was not deleted.
    pub(super) fn lives(&self, document: DocId) -> bool {
        self.reader.alive_bitset().is_none_or(|alive| alive.is_alive(document))
    }

    /// The ticket's own document, if it stands here.
    pub(super) fn head(&self, ticket: Place) -> Option<DocId> {
        self.table.of_ticket(ticket).find(|document| self.lives(*document))
    }

    /// The documents under a ticket, deleted ones among them.
    pub(super) fn documents_of(
        &self,
        fields: Fields,
        ticket: Place,
        found: &mut Vec<DocId>,
    ) -> tantivy::Result<()> {
        let (least, most) = self.table.shown_within();
        if !(Shown::of(least).ticket..=Shown::of(most).ticket).contains(&ticket) {
            return Ok(());
        }
        let term = Term::from_field_u64(fields.ticket, ticket.number());
        let index = self.reader.inverted_index(fields.ticket)?;
        let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else {
            return Ok(());
        };
        while postings.doc() != TERMINATED {
            found.push(postings.doc());
            postings.advance();
        }
        Ok(())
    }

    /// The values of a column of texts; none where no ticket has any.
    pub(super) fn named(&self, name: &'static str) -> tantivy::Result<Option<Named>> {
        let column = self.reader.fast_fields().str(name)?;
        Ok(column.map(|column| Named { ordinals: self.table.ordinals(name, &column), column }))
    }

    /// Every living ticket in a set, with its own document and its row in the columns that only tickets have.
    pub(super) fn each_ticket(
        &self,
        wanted: &TicketSet,
        mut found: impl FnMut(Place, DocId, u32),
    ) -> tantivy::Result<()> {
        for (row, (ticket, document)) in (0..).zip(self.table.iter()) {
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
        let alive = self.reader.alive_bitset();
        weight.for_each_no_score(self.reader, &mut |documents| {
            for document in documents {
                if alive.is_none_or(|alive| alive.is_alive(*document)) {
                    found(*document, self.shown(*document));
                }
            }
        })
    }

    /// Every living document that fits, with its score.
    fn each_scored(
        &self,
        weight: &dyn Weight,
        mut found: impl FnMut(DocId, Shown, Score),
    ) -> tantivy::Result<()> {
        weight.for_each(self.reader, &mut |document, score| {
            if self.lives(document) {
                found(document, self.shown(document), score);
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

    /// Each segment, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Shard<'a>> {
        self.shards.iter()
    }

    /// The ticket's own living document.
    pub(super) fn head(&self, ticket: Place) -> Option<DocAddress> {
        let mut heads = (0..).zip(self.iter()).map(|(number, shard)| (number, shard.head(ticket)));
        heads.find_map(|(number, document)| Some(DocAddress::new(number, document?)))
    }

    /// The tickets of all documents that fit and that are wanted.
    pub(super) fn tickets(
        &self,
        query: &dyn Query,
        wanted: impl Fn(Shown) -> bool + Sync,
    ) -> tantivy::Result<TicketSet> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(self.searcher))?;
        let found = self.map(|_, shard| {
            let mut set = TicketSet::default();
            shard.each(&*weight, |_, shown| {
                if wanted(shown) {
                    set.insert(shown.ticket);
                }
            })?;
            Ok(set)
        })?;
        let mut all = TicketSet::default();
        found.into_iter().for_each(|set| all.add(set));
        Ok(all)
    }

    /// The same, and by segment the documents, where they are few, for one of so many ways to satisfy a query: with their
    /// scores where those are wanted and positions are compared anyway.
    pub(super) fn documents(
        &self,
        query: &dyn Query,
        (cost, ways): (Cost, usize),
        scores: Option<&Statistics<'_>>,
        wanted: impl Fn(Shown) -> bool + Sync,
    ) -> tantivy::Result<(TicketSet, Vec<Few>)> {
        match (cost, scores) {
            (Cost::Positions, Some(statistics)) => {
                let scoring =
                    EnableScoring::enabled_from_statistics_provider(statistics, self.searcher);
                let weight = query.weight(scoring)?;
                self.gather(&wanted, FEW_PHRASES_MAX / ways, Few::Scored, |shard, gathered| {
                    shard.each_scored(&*weight, |document, shown, score| {
                        gathered.add(shown, (document, score));
                    })
                })
            }
            _ => {
                let weight = query.weight(EnableScoring::disabled_from_searcher(self.searcher))?;
                self.gather(&wanted, FEW_DOCUMENTS_MAX, Few::Documents, |shard, gathered| {
                    shard.each(&*weight, |document, shown| gathered.add(shown, document))
                })
            }
        }
    }

    /// The tickets of what `each` finds in a segment, and by segment what was found, where it is no more than `few_max`.
    fn gather<T: Send, W: Fn(Shown) -> bool + Sync>(
        &self,
        wanted: &W,
        few_max: usize,
        few: impl Fn(Vec<T>) -> Few,
        each: impl Fn(&Shard<'a>, &mut Gathered<'_, T, W>) -> tantivy::Result<()> + Sync,
    ) -> tantivy::Result<(TicketSet, Vec<Few>)> {
        let parts = self.map(|_, shard| {
            let mut gathered = Gathered::new(wanted, few_max);
            each(shard, &mut gathered)?;
            Ok((gathered.tickets, gathered.found))
        })?;
        let (mut all, mut remembered) = (TicketSet::default(), Vec::with_capacity(parts.len()));
        for (tickets, found) in parts {
            all.add(tickets);
            remembered.push(if found.len() <= few_max { few(found) } else { Few::TooMany });
        }
        Ok((all, remembered))
    }
}

/// What of a segment was found so far.
struct Gathered<'w, T, W> {
    wanted: &'w W,
    tickets: TicketSet,
    /// The ticket that was added last.
    last: Option<Place>,
    /// What was found, up to one more than may be remembered.
    found: Vec<T>,
    few_max: usize,
}

impl<'w, T, W: Fn(Shown) -> bool> Gathered<'w, T, W> {
    fn new(wanted: &'w W, few_max: usize) -> Self {
        Self { wanted, tickets: TicketSet::default(), last: None, found: Vec::new(), few_max }
    }

    fn add(&mut self, shown: Shown, one: T) {
        if !(self.wanted)(shown) {
            return;
        }
        // A ticket's documents mostly stand one behind the other.
        if self.last.replace(shown.ticket) != Some(shown.ticket) {
            self.tickets.insert(shown.ticket);
        }
        if self.found.len() <= self.few_max {
            self.found.push(one);
        }
    }
}
