//! A batch: the writes that go into the next transaction, each ticket's authored one upon another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use docket_schemas::Incarnation;

use super::author::{Authored, author};
use super::hold::{Held, Key, hold};
use super::{Job, Shared, Work};
use crate::command::Prepared;
use crate::ports::log::{APPEND_BATCH_ROWS_MAX, Batch, Unit};

/// Most rows that one command makes: a message, its status, a follow-up, joined heads.
const ROWS_PER_COMMAND_MAX: usize = 4;

/// A job with the unit that was authored for it.
pub(super) struct Pending {
    pub(super) job: Job,
    pub(super) unit: Unit,
    /// The tickets that it was decided on.
    pub(super) keys: Vec<Key>,
    pub(super) answer: Option<Box<Prepared>>,
}

/// What the next transaction writes, once the one before it has landed.
pub(super) struct Assembled {
    /// What it was authored under; the region may have gone on since.
    pub(super) incarnation: Incarnation,
    /// The erasure epoch of its keys.
    epoch: u64,
    pub(super) pending: Vec<Pending>,
    pub(super) held: BTreeMap<Key, Held>,
    rows: usize,
    /// Jobs that wait for the batch after this one.
    back: VecDeque<Job>,
    /// Their tickets: whoever comes later does not overtake them.
    kept: BTreeSet<Key>,
}

impl Assembled {
    pub(super) fn begin(shared: &Shared) -> Self {
        Self {
            incarnation: shared.incarnation.read().clone(),
            epoch: shared.epoch(),
            pending: Vec::new(),
            held: BTreeMap::new(),
            rows: 0,
            back: VecDeque::new(),
            kept: BTreeSet::new(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// How many jobs wait for the batch after this one.
    pub(super) fn put_back(&self) -> usize {
        self.back.len()
    }

    pub(super) fn batch(&self, shared: &Shared) -> Batch {
        Batch {
            incarnation: self.incarnation.clone(),
            erasure_epoch: self.epoch,
            now: shared.ports.clock.now(),
            units: self.pending.iter().map(|pending| pending.unit.clone()).collect(),
        }
    }

    /// Takes what fits from `waiting` and authors it. Refusals are answered here. What cannot be decided yet is put back,
    /// above all what is about tickets that `flying` holds until it has landed.
    pub(super) async fn take(
        &mut self,
        shared: &Arc<Shared>,
        waiting: &mut VecDeque<Job>,
        flying: Option<&Self>,
    ) {
        if self.is_outdated(shared) {
            return;
        }
        let mut jobs = Vec::new();
        while self.rows + jobs.len() < APPEND_BATCH_ROWS_MAX
            && let Some(job) = waiting.pop_front()
        {
            if self.must_wait(&job, flying) {
                self.put(job);
            } else {
                jobs.push(job);
            }
        }
        hold(shared, &jobs, &mut self.held).await;
        for job in jobs {
            if self.rows + rows_max(&job) > APPEND_BATCH_ROWS_MAX {
                self.put(job);
                continue;
            }
            match author(shared, job, &self.incarnation, &mut self.held) {
                Authored::Ready(pending) => {
                    self.rows += pending.unit.rows.len();
                    self.pending.push(*pending);
                }
                Authored::Later(job) => self.put(job),
                Authored::Answered => {}
            }
        }
    }

    /// The jobs that were put back wait again, before those that came later.
    pub(super) fn let_go(&mut self, waiting: &mut VecDeque<Job>) {
        self.kept.clear();
        self.back.append(waiting);
        std::mem::swap(&mut self.back, waiting);
    }

    /// A batch that was begun under an older incarnation or epoch is refused as a whole; an empty one is begun anew.
    fn is_outdated(&mut self, shared: &Shared) -> bool {
        if self.is_empty() {
            self.incarnation.clone_from(&shared.incarnation.read());
            self.epoch = shared.epoch();
        }
        self.epoch != shared.epoch() || self.incarnation != *shared.incarnation.read()
    }

    fn must_wait(&self, job: &Job, flying: Option<&Self>) -> bool {
        job.work.tickets().iter().any(|key| {
            let flies = flying.is_some_and(|flying| flying.held.contains_key(key));
            // Not read again in the middle of a batch: what the batch has made of it is not in the log.
            let is_stale = self.held.get(key).is_some_and(|held| {
                job.needs_fresh || (held.ticket.is_none() && held.failure.is_none())
            });
            flies || is_stale || self.kept.contains(key)
        })
    }

    fn put(&mut self, job: Job) {
        self.kept.extend(job.work.tickets());
        self.back.push_back(job);
    }
}

/// Most rows that a job makes.
fn rows_max(job: &Job) -> usize {
    match &job.work {
        Work::Prepared(..) => 1,
        Work::Intent(_) => ROWS_PER_COMMAND_MAX,
        Work::Joint(write) => write.rows_max(),
    }
}
