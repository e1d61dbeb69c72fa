//! Some of the log's partitions: those that one runner feeds.

use docket_schemas::{PARTITIONS, Partition};

/// A set of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionSet(u16);

const _: () = assert!(PARTITIONS as u32 == u16::BITS, "a bit for each partition");

impl PartitionSet {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether it has this one.
    #[must_use]
    pub const fn has(self, partition: Partition) -> bool {
        self.0 & (1 << partition.number()) != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, partition: Partition) -> Self {
        Self(self.0 | 1 << partition.number())
    }

    /// With those of another set too.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those of another set.
    #[must_use]
    pub const fn except(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Of `parts` equal parts this one: every so manieth partition of it.
    #[must_use]
    pub fn part(self, part: u8, parts: u8) -> Self {
        let parts = usize::from(parts.max(1));
        self.iter().skip(usize::from(part)).step_by(parts).collect()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that it has, ascending.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        Partition::all().filter(move |partition| self.has(*partition))
    }
}

impl FromIterator<Partition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        partitions.into_iter().fold(Self::NONE, Self::with)
    }
}
