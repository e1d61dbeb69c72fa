//! A batch: the writes that go into the next transaction, each ticket's authored one upon another.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use docket_schemas::{Incarnation, MessageId, Stream, TicketId, derivation};

use super::hold::{Held, Key, hold};
use super::{Job, Reply, Shared, Work};
use crate::command::{AuthorError, Authoring, Decided, Intent, decide};
use crate::graph::Node;
use crate::ports::log::{APPEND_BATCH_ROWS_MAX, Batch, Unit};
use crate::ticket::Resolved;

/// Most rows that one command makes: a message, its status, a follow-up, joined heads.
const ROWS_PER_COMMAND_MAX: usize = 4;

/// A job with the unit that was authored for it.
pub(super) struct Pending {
    pub(super) job: Job,
    pub(super) unit: Unit,
    pub(super) key: Option<Key>,
    pub(super) resolved: Option<Resolved>,
    pub(super) message: Option<MessageId>,
    pub(super) follow_up_of: Option<TicketId>,
}

/// What the next transaction writes.
pub(super) struct Assembled {
    /// What it was authored under; the region may have gone on since.
    incarnation: Incarnation,
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
        let needs = if matches!(job.work, Work::Prepared(..)) { 1 } else { ROWS_PER_COMMAND_MAX };
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

enum Authored {
    Ready(Box<Pending>),
    Later(Job),
    Answered,
}

fn author(
    shared: &Shared,
    job: Job,
    incarnation: &Incarnation,
    held: &mut BTreeMap<Key, Held>,
) -> Authored {
    let authored_under = match &job.work {
        Work::Prepared(_, authored_under) => Some(authored_under),
        Work::Intent(_) => None,
    };
    if job.epoch != shared.epoch() || authored_under.is_some_and(|under| under != incarnation) {
        let _ = job.reply.send(Reply::Again);
        return Authored::Answered;
    }
    let intent = match &job.work {
        Work::Prepared(unit, _) => {
            let unit = (**unit).clone();
            let (resolved, message, follow_up_of) = (None, None, None);
            return Authored::Ready(Box::new(Pending {
                job,
                unit,
                key: None,
                resolved,
                message,
                follow_up_of,
            }));
        }
        Work::Intent(intent) => Arc::clone(intent),
    };
    let key = (intent.caller.tenant.clone(), intent.ticket);
    let Some(entry) = held.get_mut(&key) else { return Authored::Later(job) };
    if let Some(failure) = &entry.failure {
        let _ = job.reply.send(Reply::Failed(failure.for_another()));
        return Authored::Answered;
    }
    // None where an earlier write of this batch failed half-way: the next batch reads the ticket again.
    let Some(ticket) = entry.ticket.as_mut() else { return Authored::Later(job) };
    if let Some(node) = ticket.graph.of_command(intent.command_id) {
        let durable = node.position > 0;
        return if durable { answer_stored(shared, job, intent) } else { Authored::Later(job) };
    }
    let changes = ticket.graph.nodes().len();
    let with = Authoring { incarnation, ids: &*shared.ports.ids };
    let outcome = decide(ticket, &intent, with)
        .and_then(|decided| Ok((ticket.resolve().map_err(AuthorError::from)?, decided)));
    match outcome {
        Ok((resolved, decided)) => {
            entry.undurable = true;
            ready(job, &intent, key, resolved, decided)
        }
        Err(error) => {
            if ticket.graph.nodes().len() != changes {
                *entry.ticket = None;
                entry.undurable = true;
            }
            refused(job, error, entry)
        }
    }
}

fn ready(job: Job, intent: &Intent, key: Key, resolved: Resolved, decided: Decided) -> Authored {
    let unit = Unit { rows: decided.rows };
    let (resolved, message, follow_up_of) = match decided.follow_up {
        None => (Ok(resolved), Some(derivation::message_of(intent.command_id)), None),
        Some(mut opened) => {
            let message = opened.graph.nodes().first().and_then(Node::message_id);
            (opened.resolve(), message, Some(intent.ticket))
        }
    };
    match resolved {
        Ok(resolved) => {
            let (key, resolved) = (Some(key), Some(resolved));
            Authored::Ready(Box::new(Pending { job, unit, key, resolved, message, follow_up_of }))
        }
        Err(error) => {
            let _ = job.reply.send(Reply::Failed(error.into()));
            Authored::Answered
        }
    }
}

/// A refusal stands only when it was decided on durable state that was read after the caller asked.
fn refused(mut job: Job, error: AuthorError, entry: &Held) -> Authored {
    match error {
        AuthorError::Refused(refusal) if entry.fresh && !entry.undurable => {
            let _ = job.reply.send(Reply::Refused(refusal));
            Authored::Answered
        }
        AuthorError::Refused(_) => {
            job.needs_fresh = !entry.undurable;
            match job.handed_back() {
                Ok(job) => Authored::Later(job),
                Err(()) => Authored::Answered,
            }
        }
        AuthorError::Fold(error) => {
            let _ = job.reply.send(Reply::Failed(error.into()));
            Authored::Answered
        }
    }
}

/// The command is stored already: its event is read apart, for it decides what a retry gets.
fn answer_stored(shared: &Shared, job: Job, intent: Arc<Intent>) -> Authored {
    let log = Arc::clone(&shared.ports.log);
    tokio::spawn(async move {
        let tenant = &intent.caller.tenant;
        let partition = Stream::ticket(intent.ticket).partition(tenant);
        let reply = match log.event_of_command(tenant, partition, intent.command_id).await {
            Ok(Some(event)) => Reply::Duplicate(Box::new(event)),
            Ok(None) => Reply::Again,
            Err(error) => Reply::Failed(error.into()),
        };
        let _ = job.reply.send(reply);
    });
    Authored::Answered
}
