//! What every question asks of each segment's documents, as plain tables in memory: whose they are.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::columnar::{
    Column, ColumnIndex, ColumnValues as _, DynamicColumn, HasAssociatedColumnType, StrColumn,
};
use tantivy::index::SegmentId;
use tantivy::{DocId, Searcher, SegmentReader};

use super::ordinals::Ordinals;
use super::schema::column;
use crate::document::Place;

/// The tickets of one segment, deleted ones among them, in the order of the rows of the columns that only tickets have:
/// 16 bytes a ticket. And whose each document is: 4 bytes a document.
#[derive(Debug)]
pub(super) struct HeadTable {
    places: Vec<u64>,
    documents: Vec<DocId>,
    /// The rows in the order of the places.
    by_place: Vec<u32>,
    shown: ShownTable,
    /// The least and the greatest number that is shown.
    shown_within: (u64, u64),
    /// The values of columns that facets asked for, by the columns' names.
    ordinals: Mutex<HashMap<&'static str, Arc<Ordinals>>>,
}

/// The column `shown`.
#[derive(Debug)]
enum ShownTable {
    /// By how much each number is above the least one.
    Near { least: u64, above: Vec<u32> },
    /// Numbers that are too far apart for that.
    Far(Vec<u64>),
}

impl ShownTable {
    fn of(numbers: Vec<u64>, least: u64) -> Self {
        let above = numbers.iter().map(|number| u32::try_from(number - least));
        match above.collect::<Result<_, _>>() {
            Ok(above) => Self::Near { least, above },
            Err(_) => Self::Far(numbers),
        }
    }
}

impl HeadTable {
    fn of(reader: &SegmentReader) -> tantivy::Result<Self> {
        let heads = column_of::<u64>(reader, column::HEAD)?;
        let documents = match &heads.index {
            ColumnIndex::Full => (0..reader.max_doc()).collect(),
            ColumnIndex::Optional(index) => index.iter_non_null_docs().collect(),
            // No ticket has two places.
            ColumnIndex::Empty { .. } | ColumnIndex::Multivalued(_) => Vec::new(),
        };
        let mut places = vec![0; documents.len()];
        if !places.is_empty() {
            heads.values.get_range(0, &mut places);
        }
        let mut by_place: Vec<u32> = (0..).take(places.len()).collect();
        by_place.sort_by_key(|row| places[*row as usize]);
        let shown = column_of::<u64>(reader, column::TICKET)?.first_or_default_col(0);
        let mut numbers = vec![0; reader.max_doc() as usize];
        shown.get_range(0, &mut numbers);
        let least = numbers.iter().min().copied().unwrap_or(0);
        let most = numbers.iter().max().copied().unwrap_or(0);
        let shown = ShownTable::of(numbers, least);
        Ok(Self {
            places,
            documents,
            by_place,
            shown,
            shown_within: (least, most),
            ordinals: Mutex::default(),
        })
    }

    /// Whose a document is, as the column says it.
    pub(super) fn shown(&self, document: DocId) -> u64 {
        match &self.shown {
            ShownTable::Near { least, above } => least + u64::from(above[document as usize]),
            ShownTable::Far(numbers) => numbers[document as usize],
        }
    }

    /// The least and the greatest number that any document has.
    pub(super) const fn shown_within(&self) -> (u64, u64) {
        self.shown_within
    }

    /// The own documents of a ticket, in their order; all but one of them are deleted.
    pub(super) fn of_ticket(&self, ticket: Place) -> impl Iterator<Item = DocId> + '_ {
        let number = ticket.number();
        let place = |row: &u32| self.places[*row as usize];
        let first = self.by_place.partition_point(|row| place(row) < number);
        let rows = self.by_place.iter().skip(first).take_while(move |row| place(row) == number);
        rows.map(|row| self.documents[*row as usize])
    }

    /// Which values of a column each ticket has.
    pub(super) fn ordinals(&self, name: &'static str, column: &StrColumn) -> Arc<Ordinals> {
        if let Some(known) = self.ordinals.lock().get(name) {
            return Arc::clone(known);
        }
        let made = Arc::new(Ordinals::of(column, &self.documents));
        self.ordinals.lock().insert(name, Arc::clone(&made));
        made
    }

    /// Each ticket with its own document.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, DocId)> + '_ {
        let places = self.places.iter().map(|place| Place::from_number(*place));
        places.zip(self.documents.iter().copied())
    }
}

/// The tables of the segments that questions are answered from. A segment never changes, so its table is made once.
#[derive(Debug, Default)]
pub(super) struct HeadTables(Mutex<HashMap<SegmentId, Arc<HeadTable>>>);

impl HeadTables {
    /// The table of a segment.
    pub(super) fn of(&self, reader: &SegmentReader) -> tantivy::Result<Arc<HeadTable>> {
        if let Some(known) = self.0.lock().get(&reader.segment_id()) {
            return Ok(Arc::clone(known));
        }
        let table = Arc::new(HeadTable::of(reader)?);
        self.0.lock().insert(reader.segment_id(), Arc::clone(&table));
        Ok(table)
    }

    /// Makes the tables of new segments, before anybody asks for them, and forgets those of segments that are gone.
    pub(super) fn keep(&self, searcher: &Searcher) -> tantivy::Result<()> {
        for reader in searcher.segment_readers() {
            self.of(reader)?;
        }
        let living: Vec<_> =
            searcher.segment_readers().iter().map(|one| one.segment_id()).collect();
        self.0.lock().retain(|segment, _| living.contains(segment));
        Ok(())
    }
}

/// A column, which is empty where no document of the segment has a value.
pub(super) fn column_of<T>(reader: &SegmentReader, name: &str) -> tantivy::Result<Column<T>>
where
    T: HasAssociatedColumnType + Send + Sync + PartialOrd + Copy + Default + 'static,
    DynamicColumn: Into<Option<Column<T>>>,
{
    let column = reader.fast_fields().column_opt(name)?;
    Ok(column.unwrap_or_else(|| Column::build_empty_column(reader.max_doc())))
}
