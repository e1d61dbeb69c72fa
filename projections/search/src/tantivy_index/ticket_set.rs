//! A set of tickets by place, as bits in blocks that are there only where a ticket is.

use crate::document::Place;

/// Places of one block.
const BLOCK: u64 = 1 << 16;
const WORDS: usize = (BLOCK / 64) as usize;

/// A set of tickets.
#[derive(Debug, Clone, Default)]
pub(super) struct TicketSet {
    blocks: Vec<Option<Box<[u64; WORDS]>>>,
}

const fn split(ticket: u64) -> (usize, usize, u64) {
    let within = ticket % BLOCK;
    ((ticket / BLOCK) as usize, (within / 64) as usize, 1 << (within % 64))
}

impl TicketSet {
    /// Adds a ticket.
    pub(super) fn insert(&mut self, ticket: Place) {
        let (block, word, bit) = split(ticket.number());
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, || None);
        }
        self.blocks[block].get_or_insert_with(|| Box::new([0; WORDS]))[word] |= bit;
    }

    /// Whether it holds a ticket.
    pub(super) fn has(&self, ticket: Place) -> bool {
        let (block, word, bit) = split(ticket.number());
        self.blocks.get(block).and_then(Option::as_ref).is_some_and(|block| block[word] & bit != 0)
    }

    /// How many it holds.
    pub(super) fn count(&self) -> u64 {
        let words = self.blocks.iter().flatten().flat_map(|block| block.iter());
        words.map(|word| u64::from(word.count_ones())).sum()
    }

    /// Adds all of another.
    pub(super) fn add(&mut self, other: Self) {
        if other.blocks.len() > self.blocks.len() {
            self.blocks.resize_with(other.blocks.len(), || None);
        }
        for (mine, theirs) in self.blocks.iter_mut().zip(other.blocks) {
            match (mine.as_mut(), theirs) {
                (Some(mine), Some(theirs)) => {
                    mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine |= theirs);
                }
                (None, theirs) => *mine = theirs,
                (Some(_), None) => {}
            }
        }
    }

    /// Keeps what another holds too.
    pub(super) fn keep(&mut self, other: &Self) {
        for (index, mine) in self.blocks.iter_mut().enumerate() {
            match (mine.as_mut(), other.blocks.get(index).and_then(Option::as_ref)) {
                (Some(mine), Some(theirs)) => {
                    mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine &= theirs);
                }
                _ => *mine = None,
            }
        }
    }

    /// Takes out what another holds.
    pub(super) fn remove(&mut self, other: &Self) {
        for (mine, theirs) in self.blocks.iter_mut().zip(&other.blocks) {
            if let (Some(mine), Some(theirs)) = (mine.as_mut(), theirs) {
                mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine &= !theirs);
            }
        }
    }

    /// Those that it holds, the last place first.
    pub(super) fn descending(&self) -> impl Iterator<Item = Place> + '_ {
        self.blocks.iter().enumerate().rev().flat_map(|(number, block)| {
            let words = block.iter().flat_map(|block| block.iter().enumerate().rev());
            words.flat_map(move |(index, word)| {
                let first = number as u64 * BLOCK + index as u64 * 64;
                let bits = (0..64_u64).rev().filter(move |bit| word >> bit & 1 == 1);
                bits.map(move |bit| Place::from_number(first + bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(tickets: &BTreeSet<u64>) -> TicketSet {
        let mut set = TicketSet::default();
        tickets.iter().for_each(|ticket| set.insert(Place::from_number(*ticket)));
        set
    }

    #[track_caller]
    fn check(found: &TicketSet, expected: &BTreeSet<u64>) {
        let listed: Vec<u64> = found.descending().map(Place::number).collect();
        assert_eq!(listed, expected.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(found.count(), expected.len() as u64);
        assert!(expected.iter().all(|ticket| found.has(Place::from_number(*ticket))));
    }

    fn tickets() -> impl Strategy<Value = BTreeSet<u64>> {
        prop::collection::btree_set(
            prop_oneof![0..200_u64, 65_530..65_545_u64, 0..1_000_000_u64],
            0..60,
        )
    }

    proptest! {
        #[test]
        fn it_is_a_set(a in tickets(), b in tickets()) {
            let (left, right) = (set(&a), set(&b));
            let mut union = left.clone();
            union.add(right.clone());
            check(&union, &(&a | &b));
            let mut both = left.clone();
            both.keep(&right);
            check(&both, &(&a & &b));
            let mut rest = left;
            rest.remove(&right);
            check(&rest, &(&a - &b));
        }
    }
}
