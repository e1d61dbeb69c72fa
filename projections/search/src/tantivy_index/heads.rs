//! What every question asks of each segment's documents, as plain tables in memory: whose they are.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::columnar::{
    Column, ColumnIndex, ColumnValues as _, DynamicColumn, HasAssociatedColumnType,
};
use tantivy::index::SegmentId;
use tantivy::{DocId, Searcher, SegmentReader};

use super::schema::column;
use crate::document::Place;

/// The tickets of one segment, deleted ones among them, in the order of the rows of the columns that only tickets have:
/// 12 bytes a ticket. And whose each document is: 4 bytes a document.
#[derive(Debug)]
pub(super) struct HeadTable {
    places: Vec<u64>,
    documents: Vec<DocId>,
    shown: ShownTable,
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
    fn of(reader: &SegmentReader) -> tantivy::Result<Self> {
        let column = column_of::<u64>(reader, column::TICKET)?.first_or_default_col(0);
        let mut numbers = vec![0; reader.max_doc() as usize];
        column.get_range(0, &mut numbers);
        let least = numbers.iter().min().copied().unwrap_or(0);
        let above = numbers.iter().map(|number| u32::try_from(number - least));
        Ok(match above.collect::<Result<_, _>>() {
            Ok(above) => Self::Near { least, above },
            Err(_) => Self::Far(numbers),
        })
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
        Ok(Self { places, documents, shown: ShownTable::of(reader)? })
    }

    /// Whose a document is, as the column says it.
    pub(super) fn shown(&self, document: DocId) -> u64 {
        match &self.shown {
            ShownTable::Near { least, above } => least + u64::from(above[document as usize]),
            ShownTable::Far(numbers) => numbers[document as usize],
        }
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
