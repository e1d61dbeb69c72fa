//! A batch: the writes that go into the next transaction, each ticket's authored one upon another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use docket_schemas::Incarnation;

use super::author::{Authored, author};
use super::hold::{Held, Key, hold, hold_loaded};
use super::{Job, Shared, Work};
use crate::command::Prepared;
use crate::desk::snapshots;
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
    /// Room for jobs whose tickets have to be read, which nobody does while a batch is on its way.
    reserved: usize,
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
            reserved: 0,
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

    /// Takes what fits from `waiting` and authors it, with no batch on its way. Refusals are answered here. What cannot be
    /// decided yet is put back.
    pub(super) async fn take(&mut self, shared: &Arc<Shared>, waiting: &mut VecDeque<Job>) {
        if self.is_outdated(shared) {
            return;
        }
        self.reserved = 0;
        let jobs = self.choose(waiting, None);
        if !jobs.is_empty() {
            hold(shared, &jobs, &mut self.held).await;
            self.author(shared, jobs);
        }
    }

    /// Takes what fits while `flying` is on its way, and waits for nothing: its callers are answered as soon as it has
    /// landed. What is about its tickets is put back, and so is, with room kept free for it, what has to be read first.
    pub(super) fn take_meanwhile(
        &mut self,
        shared: &Arc<Shared>,
        waiting: &mut VecDeque<Job>,
        flying: &Self,
    ) {
        if self.is_outdated(shared) {
            return;
        }
        let jobs = self.choose(waiting, Some(flying));
        if !jobs.is_empty() {
            hold_loaded(shared, &jobs, &mut self.held);
            self.author(shared, jobs);
        }
    }

    /// Authors jobs one upon another. Only tickets with a write of this batch are still held afterwards: whoever was answered
    /// may look at the others.
    fn author(&mut self, shared: &Arc<Shared>, jobs: Vec<Job>) {
        for job in jobs {
            let taken = self.rows + self.reserved;
            if taken + rows_max(&job) > APPEND_BATCH_ROWS_MAX || self.is_kept(&job) {
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
                Authored::Later(job) if self.holds(&job) => self.put(job),
                Authored::Later(job) => self.put_first(job),
                Authored::Answered => {}
            }
        }
        self.held.retain(|_, held| {
            // What was read for those who ask later is not newer than what they ask.
            held.fresh = false;
            if let (false, Some(ticket)) = (held.is_needed, held.ticket.as_mut()) {
                snapshots::keep(shared, ticket);
                shared.cache.weigh(ticket);
            }
            held.is_needed
        });
    }

    /// The jobs that may fit and need not wait.
    fn choose(&mut self, waiting: &mut VecDeque<Job>, flying: Option<&Self>) -> Vec<Job> {
        let mut jobs = Vec::new();
        let free = APPEND_BATCH_ROWS_MAX - self.rows;
        let mut room = free.saturating_sub(self.reserved);
        while room >= ROWS_PER_COMMAND_MAX
            && let Some(job) = waiting.pop_front()
        {
            let least = rows_least(&job);
            if least > room || self.must_wait(&job, flying) {
                self.put(job);
            } else if flying.is_some() && job.needs_fresh {
                room = room.saturating_sub(rows_max(&job));
                self.put_first(job);
            } else {
                room -= least;
                jobs.push(job);
            }
        }
        jobs
    }

    fn holds(&self, job: &Job) -> bool {
        job.work.tickets().iter().all(|key| self.held.contains_key(key))
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

    /// What has to be read first finds room in this batch once that is possible.
    fn put_first(&mut self, job: Job) {
        self.reserved += rows_max(&job);
        self.put(job);
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
