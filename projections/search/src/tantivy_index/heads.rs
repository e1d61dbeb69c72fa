//! The tickets of each segment as plain tables in memory, for passes over all of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, HasAssociatedColumnType};
use tantivy::index::SegmentId;
use tantivy::{DocId, Searcher, SegmentReader};

use super::schema::column;
use crate::document::Place;

/// The tickets of one segment, deleted ones among them, in the order of the rows of the columns that only tickets have.
/// 12 bytes a ticket.
#[derive(Debug, Default)]
pub(super) struct HeadTable {
    places: Vec<u64>,
    documents: Vec<DocId>,
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
        Ok(Self { places, documents })
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

    /// Forgets the tables of segments that are gone.
    pub(super) fn keep(&self, searcher: &Searcher) {
        let living: Vec<_> =
            searcher.segment_readers().iter().map(|one| one.segment_id()).collect();
        self.0.lock().retain(|segment, _| living.contains(segment));
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
