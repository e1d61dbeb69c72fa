//! The values of a column by ticket, as a plain table in memory: a facet asks for those of every ticket that was found.

use tantivy::DocId;
use tantivy::columnar::StrColumn;

/// Which values of a column's dictionary each ticket of a segment has, in the order of the tickets' rows: 4 bytes a ticket and
/// 4 a value.
#[derive(Debug)]
pub(super) struct Ordinals {
    /// Where each ticket's values end.
    ends: Vec<u32>,
    values: Vec<u32>,
}

impl Ordinals {
    /// Those of tickets, by their own documents.
    pub(super) fn of(column: &StrColumn, tickets: &[DocId]) -> Self {
        let mut ordinals = Self {
            ends: Vec::with_capacity(tickets.len()),
            values: Vec::with_capacity(tickets.len()),
        };
        // What a segment has is counted in 32 bits: its documents, their values, and the different ones among them.
        for ticket in tickets {
            let values = column.term_ords(*ticket).filter_map(|value| u32::try_from(value).ok());
            ordinals.values.extend(values);
            ordinals.ends.push(u32::try_from(ordinals.values.len()).unwrap_or(u32::MAX));
        }
        ordinals
    }

    /// Those of the ticket in a row.
    pub(super) fn of_row(&self, row: u32) -> &[u32] {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start as usize..self.ends[row] as usize]
    }
}
