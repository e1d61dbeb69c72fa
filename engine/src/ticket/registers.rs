//! The surviving values of a ticket's keys, kept beside the document and read from it again where it changed.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::OpId;
use docket_schemas::{CommandId, Draft};
use smol_str::SmolStr;

use crate::document::{Document, DocumentError, Survivor};
use crate::genesis::GENESIS_MAX_OP;
use crate::graph::ChangeGraph;
use crate::layout::{Action, Container, Write, read_register};

/// A value of a register that no other write has seen and replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The value as JSON, or an event id where the value is sealed.
    pub value: String,
    /// The command that wrote it.
    pub command: CommandId,
    /// The op counter.
    pub counter: u64,
}

/// A key with its container and its surviving values, each with its op counter.
pub type DumpedKey<'a> = (&'static str, &'a str, Vec<(&'a str, u64)>);

/// Every key with its surviving values.
#[derive(Debug, Default)]
pub struct Registers {
    values: BTreeMap<(Container, SmolStr), Vec<Survivor>>,
    touched: BTreeSet<(Container, SmolStr)>,
}

impl Registers {
    /// Every key with its survivors, as a snapshot keeps them.
    pub(super) fn stored(&self) -> Vec<(Container, SmolStr, Vec<Survivor>)> {
        let entries = self.values.iter();
        entries.map(|((container, key), list)| (*container, key.clone(), list.clone())).collect()
    }

    /// What [`Registers::stored`] gave.
    pub(super) fn restore(stored: Vec<(Container, SmolStr, Vec<Survivor>)>) -> Self {
        let values = stored.into_iter().map(|(container, key, list)| ((container, key), list));
        Self { values: values.collect(), touched: BTreeSet::new() }
    }

    /// Takes an opening's values as they are: nothing can be concurrent with a first change.
    pub(super) fn open(&mut self, writes: &[Write], _: &Draft) {
        for (write, counter) in writes.iter().zip(GENESIS_MAX_OP + 1..) {
            if let Action::Put(value) = &write.action {
                let survivor = Survivor { value: value.clone(), counter };
                self.values.insert((write.container, write.key.clone()), vec![survivor]);
            }
        }
    }

    /// Takes the writes of a change that has seen all others, whose last op has the counter `last`: what it puts is all that
    /// stands, what it deletes is gone. Automerge does the same, at the price of a live document. False, and nothing
    /// taken, where that cannot be said of it.
    pub(super) fn replace(&mut self, writes: &[Write], last: u64) -> bool {
        let settled = self.touched.is_empty();
        if !settled || written_twice(writes) {
            return false;
        }
        // A deletion of nothing is no op.
        let is_op = |write: &Write| match write.action {
            Action::Put(_) => true,
            Action::Delete => self.holds(write.container, &write.key),
        };
        let ops: Vec<&Write> = writes.iter().filter(|write| is_op(write)).collect();
        let Some(before) = last.checked_sub(ops.len() as u64) else { return false };
        for (write, counter) in ops.into_iter().zip(before + 1..) {
            let key = (write.container, write.key.clone());
            match &write.action {
                Action::Put(value) => {
                    self.values.insert(key, vec![Survivor { value: value.clone(), counter }]);
                }
                Action::Delete => drop(self.values.remove(&key)),
            }
        }
        true
    }

    /// The op that a write replaces if it has seen all others: none where nothing stands. Not known where several values stand, or
    /// where it is not clear which change wrote the one.
    pub(super) fn replaced(&self, write: &Write, graph: &ChangeGraph) -> Option<Option<OpId>> {
        let key = (write.container, write.key.clone());
        if self.touched.contains(&key) {
            return None;
        }
        let Some(survivors) = self.values.get(&key) else { return Some(None) };
        let [survivor] = survivors.as_slice() else { return None };
        let command = match write.container {
            Container::Fields => read_register(&survivor.value)?.1,
            Container::Tags | Container::Followers | Container::Flags => {
                survivor.value.parse().ok()?
            }
        };
        let mut copies = graph.copies_of(command);
        let (Some(node), None) = (copies.next(), copies.next()) else { return None };
        Some(Some(OpId::new(survivor.counter, &graph.actor_of(node).0.into())))
    }

    /// Marks what a change wrote, to be read from the document when somebody looks.
    pub(super) fn touch(&mut self, writes: &[Write]) {
        self.touched.extend(writes.iter().map(|write| (write.container, write.key.clone())));
    }

    /// Reads what was touched.
    pub(super) fn settle(&mut self, document: &mut Document) -> Result<(), DocumentError> {
        while let Some(key) = self.touched.pop_first() {
            let survivors = document.survivors(key.0, &key.1)?;
            if survivors.is_empty() {
                self.values.remove(&key);
            } else {
                self.values.insert(key, survivors);
            }
        }
        Ok(())
    }

    /// The candidates of a register in `fields`.
    #[must_use]
    pub fn candidates(&self, key: &str) -> Vec<Candidate> {
        self.values
            .get(&(Container::Fields, SmolStr::from(key)))
            .map(|list| candidates(list))
            .unwrap_or_default()
    }

    /// Every register of `fields` with its candidates, by key.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Vec<Candidate>)> {
        self.values
            .iter()
            .filter(|((container, _), _)| *container == Container::Fields)
            .map(|((_, key), list)| (key.as_str(), candidates(list)))
    }

    /// Every key of a map, sorted.
    pub fn keys(&self, container: Container) -> impl Iterator<Item = &str> {
        self.values.keys().filter(move |(of, _)| *of == container).map(|(_, key)| key.as_str())
    }

    /// Every key with its surviving values and their op counters, sorted: for comparing replicas.
    #[must_use]
    pub fn dump(&self) -> Vec<DumpedKey<'_>> {
        self.values
            .iter()
            .map(|((container, key), survivors)| {
                let mut values: Vec<_> =
                    survivors.iter().map(|one| (one.value.as_str(), one.counter)).collect();
                values.sort_unstable();
                (container.name(), key.as_str(), values)
            })
            .collect()
    }

    /// The commands that wrote what survives of an entry of `tags` or `followers`.
    pub fn writers(&self, container: Container, key: &str) -> impl Iterator<Item = CommandId> {
        let survivors = self.values.get(&(container, SmolStr::from(key))).into_iter().flatten();
        survivors.filter_map(|survivor| survivor.value.parse().ok())
    }

    /// Whether a map has a key.
    #[must_use]
    pub fn holds(&self, container: Container, key: &str) -> bool {
        self.values.contains_key(&(container, SmolStr::from(key)))
    }
}

fn written_twice(writes: &[Write]) -> bool {
    let mut keys = BTreeSet::new();
    !writes.iter().all(|write| keys.insert((write.container, &write.key)))
}

/// Two cut-off regions may have accepted one command: its writes count as one.
fn candidates(survivors: &[Survivor]) -> Vec<Candidate> {
    let mut list: Vec<Candidate> = Vec::with_capacity(survivors.len());
    for survivor in survivors {
        let Some((value, command)) = read_register(&survivor.value) else { continue };
        match list.iter_mut().find(|known| known.command == command) {
            Some(known) => known.counter = known.counter.max(survivor.counter),
            None => {
                list.push(Candidate { value: value.to_owned(), command, counter: survivor.counter })
            }
        }
    }
    list
}
