//! The first results of an order, kept while all are looked at.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::document::Place;
use crate::port::Rank;

/// A result with its place in the order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<T> {
    pub(super) rank: Rank,
    pub(super) of: T,
}

/// The first `size` tickets behind a rank, each by the first of its ranks.
#[derive(Debug)]
pub(super) struct Top<T> {
    size: usize,
    after: Option<Rank>,
    kept: Vec<Ranked<T>>,
    /// What a result has to come before; none while there is room.
    last: Option<Rank>,
}

const fn order(rank: Rank) -> (i64, Place) {
    (rank.key, rank.ticket)
}

impl<T: Copy> Top<T> {
    /// None yet.
    pub(super) const fn new(size: usize, after: Option<Rank>) -> Self {
        Self { size, after, kept: Vec::new(), last: None }
    }

    /// The key below which nothing gets in any more.
    pub(super) fn threshold(&self) -> Option<i64> {
        self.last.map(|rank| rank.key)
    }

    /// Looks at a result.
    pub(super) fn offer(&mut self, rank: Rank, of: T) {
        let beyond = self.last.is_some_and(|last| order(rank) < order(last));
        if beyond || self.after.is_some_and(|after| order(rank) >= order(after)) {
            return;
        }
        self.kept.push(Ranked { rank, of });
        if self.kept.len() >= 4 * self.size {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.kept.sort_unstable_by_key(|ranked| Reverse(order(ranked.rank)));
        let mut seen = HashSet::with_capacity(self.kept.len());
        self.kept.retain(|ranked| seen.insert(ranked.rank.ticket));
        self.kept.truncate(self.size);
        if self.kept.len() == self.size {
            self.last = self.kept.last().map(|ranked| ranked.rank);
        }
    }

    /// Looks at what another has kept.
    pub(super) fn add(&mut self, other: Self) {
        for ranked in other.kept {
            self.offer(ranked.rank, ranked.of);
        }
    }

    /// The first results, in order.
    pub(super) fn finish(mut self) -> Vec<Ranked<T>> {
        self.cut();
        self.kept
    }
}
