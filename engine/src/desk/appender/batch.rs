//! A batch: the writes that go into the next transaction, each ticket's authored one upon another.

use std::collections::{BTreeMap, VecDeque};
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

/// What the next transaction writes.
pub(super) struct Assembled {
    /// What it was authored under; the region may have gone on since.
    pub(super) incarnation: Incarnation,
    pub(super) pending: Vec<Pending>,
    pub(super) held: BTreeMap<Key, Held>,
}

impl Assembled {
    pub(super) const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn rows(&self) -> usize {
        self.pending.iter().map(|pending| pending.unit.rows.len()).sum()
    }

    pub(super) fn batch(&self, shared: &Shared) -> Batch {
        Batch {
            incarnation: self.incarnation.clone(),
            erasure_epoch: shared.epoch(),
            now: shared.ports.clock.now(),
            units: self.pending.iter().map(|pending| pending.unit.clone()).collect(),
        }
    }
}

/// Takes what fits from `waiting` and authors it. Refusals are answered here; what cannot be decided yet goes back.
pub(super) async fn assemble(shared: &Arc<Shared>, waiting: &mut VecDeque<Job>) -> Assembled {
    let count = waiting.len().min(APPEND_BATCH_ROWS_MAX);
    let jobs: Vec<Job> = waiting.drain(..count).collect();
    let incarnation = shared.incarnation.read().clone();
    let (pending, held) = (Vec::with_capacity(jobs.len()), BTreeMap::new());
    let mut assembled = Assembled { incarnation, pending, held };
    hold(shared, &jobs, &mut assembled.held).await;
    let mut rows = 0;
    let mut back = VecDeque::new();
    for job in jobs {
        let needs = match &job.work {
            Work::Prepared(..) => 1,
            Work::Intent(_) => ROWS_PER_COMMAND_MAX,
            Work::Joint(write) => write.rows_max(),
        };
        if rows + needs > APPEND_BATCH_ROWS_MAX {
            back.push_back(job);
            continue;
        }
        match author(shared, job, &assembled.incarnation, &mut assembled.held) {
            Authored::Ready(pending) => {
                rows += pending.unit.rows.len();
                assembled.pending.push(*pending);
            }
            Authored::Later(job) => back.push_back(job),
            Authored::Answered => {}
        }
    }
    back.append(waiting);
    *waiting = back;
    assembled
}
