//! A batch: the writes that go into the next transaction, each ticket's authored one upon another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use docket_schemas::Incarnation;

use super::author::{Authored, author};
use super::hold::{Held, Key, Patience, hold};
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
    /// above all what is about tickets that `flying` holds until it has landed. Only tickets with a write of this batch are
    /// still held afterwards: whoever was answered may look at the others.
    pub(super) async fn take(
        &mut self,
        shared: &Arc<Shared>,
        waiting: &mut VecDeque<Job>,
        flying: Option<&Self>,
    ) {
        if self.is_outdated(shared) {
            return;
        }
        // What was read for those who asked before is not newer than what is asked now.
        self.held.values_mut().for_each(|held| held.fresh = false);
        let jobs = self.choose(waiting, flying);
        if jobs.is_empty() {
            return;
        }
        let patience = if flying.is_some() { Patience::None } else { Patience::Endless };
        hold(shared, &jobs, &mut self.held, patience).await;
        for job in jobs {
            if self.rows + rows_max(&job) > APPEND_BATCH_ROWS_MAX || self.is_kept(&job) {
                self.put(job);
                continue;
            }
            match author(shared, job, &self.incarnation, &mut self.held) {
                Authored::Ready(pending) => {
                    for key in &pending.keys {
                        self.held.get_mut(key).expect("decided on").is_needed = true;
                    }
                    self.rows += pending.unit.rows.len();
                    self.pending.push(*pending);
                }
                Authored::Later(job) => self.put(job),
                Authored::Answered => {}
            }
        }
        self.held.retain(|_, held| held.is_needed);
    }

    /// The jobs that may fit and need not wait.
    fn choose(&mut self, waiting: &mut VecDeque<Job>, flying: Option<&Self>) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut room = APPEND_BATCH_ROWS_MAX - self.rows;
        while room >= ROWS_PER_COMMAND_MAX
            && let Some(job) = waiting.pop_front()
        {
            let least = rows_least(&job);
            if least > room || self.must_wait(&job, flying) {
                self.put(job);
            } else {
                room -= least;
                jobs.push(job);
            }
        }
        jobs
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
            flies || is_stale
        }) || self.is_kept(job)
    }

    fn is_kept(&self, job: &Job) -> bool {
        !self.kept.is_empty() && job.work.tickets().iter().any(|key| self.kept.contains(key))
    }

    fn put(&mut self, job: Job) {
        self.kept.extend(job.work.tickets());
        self.back.push_back(job);
    }
}

/// Fewest rows for which a batch must have room: those of a write over several tickets come as one.
fn rows_least(job: &Job) -> usize {
    match &job.work {
        Work::Prepared(..) | Work::Intent(_) => 1,
        Work::Joint(write) => write.rows_max(),
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
