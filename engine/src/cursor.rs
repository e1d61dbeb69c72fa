//! Positions by partition, alone as a vector or with their incarnation as a cursor.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_schemas::{Incarnation, PARTITIONS, Partition, Position};

/// The last position reached in each partition; 0 where nothing has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions([Position; PARTITIONS as usize]);

impl Positions {
    /// Before the first event of every partition.
    pub const START: Self = Self([0; PARTITIONS as usize]);

    /// The position reached in `partition`.
    #[must_use]
    pub const fn get(&self, partition: Partition) -> Position {
        self.0[partition.index()]
    }

    /// Moves one partition to `position`.
    pub const fn set(&mut self, partition: Partition, position: Position) {
        self.0[partition.index()] = position;
    }

    /// Moves one partition to `position` unless it is already beyond.
    pub fn advance(&mut self, partition: Partition, position: Position) {
        let reached = &mut self.0[partition.index()];
        *reached = position.max(*reached);
    }

    /// Whether every partition has reached what `other` has.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine >= theirs)
    }

    /// The smaller of both, partition by partition.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index].min(other.0[index])))
    }

    /// Each partition with its position.
    pub fn iter(&self) -> impl Iterator<Item = (Partition, Position)> + '_ {
        Partition::all().map(|partition| (partition, self.get(partition)))
    }

    /// The events up to here, over all partitions.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// A place in one region's log, from which a reader goes on: the same opaque string on every door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Whose positions these are.
    pub incarnation: Incarnation,
    /// How far each partition was read.
    pub positions: Positions,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that Docket issued")]
pub struct CursorError;

/// The first byte of every cursor.
const FORMAT: u8 = 1;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.incarnation.as_str().as_bytes();
        let mut bytes = vec![FORMAT, u8::try_from(name.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(name);
        for (_, position) in self.positions.iter() {
            write_varint(position, &mut bytes);
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let [FORMAT, length, rest @ ..] = bytes.as_slice() else { return Err(CursorError) };
        let (name, mut rest) = rest.split_at_checked(usize::from(*length)).ok_or(CursorError)?;
        let name = std::str::from_utf8(name).map_err(|_| CursorError)?;
        let incarnation = name.parse().map_err(|_| CursorError)?;
        let mut positions = Positions::START;
        for partition in Partition::all() {
            positions.set(partition, read_varint(&mut rest).ok_or(CursorError)?);
        }
        let cursor = Self { incarnation, positions };
        // One place has one spelling: overlong numbers and trailing bytes are refused.
        if rest.is_empty() && cursor.to_string() == text { Ok(cursor) } else { Err(CursorError) }
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// LEB128, at most 63 bits: positions are signed in the database.
fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let mut positions = Positions::START;
        positions.set(Partition::new(3).expect("16 partitions"), 4_412);
        let cursor = Cursor { incarnation: "eu.3".parse().expect("a name"), positions };
        let text = cursor.to_string();
        assert_eq!(text.parse(), Ok(cursor));
        for wrong in ["", "AQ", &text[1..], &format!("{text}AA"), "💥"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(CursorError), "{wrong}");
        }
    }
}
