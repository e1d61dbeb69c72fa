//! A partition's number above, a position below: one integer that sorts as the log does.

use docket_schemas::{Partition, Position};

/// Bits of a place that hold the position: enough for 280 million million events a partition.
const POSITION_BITS: u32 = 48;

/// The row's key of an event.
pub(super) fn place(partition: Partition, position: Position) -> i64 {
    let position = position.min((1 << POSITION_BITS) - 1).cast_signed();
    (i64::from(partition.number()) << POSITION_BITS) | position
}

/// The last key that a partition can have.
pub(super) fn last_place(partition: Partition) -> i64 {
    place(partition, Position::MAX)
}

/// The position in a key.
pub(super) const fn position(place: i64) -> Position {
    place.cast_unsigned() & ((1 << POSITION_BITS) - 1)
}

/// The partition in a key; none in a row that no append wrote.
pub(super) fn partition(place: i64) -> Option<Partition> {
    u8::try_from(place >> POSITION_BITS).ok().and_then(Partition::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_by_partition_then_position_and_read_back() {
        let at = |number| Partition::new(number).expect("of 16");
        let places = [place(at(0), 0), place(at(0), 7), place(at(1), 1), place(at(15), 1 << 40)];
        assert!(places.is_sorted());
        assert_eq!(places.map(position), [0, 7, 1, 1 << 40]);
        assert_eq!(places.map(partition), [0, 0, 1, 15].map(Partition::new));
        assert!(last_place(at(3)) < place(at(4), 0));
        assert_eq!(partition(-1), None);
    }
}
