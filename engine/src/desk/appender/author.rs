//! Authoring a job of a batch: on its tickets as they are after the jobs before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use docket_schemas::{CommandId, Incarnation, Stream, Tenant, TicketId};

use super::batch::Pending;
use super::hold::{Held, Key};
use super::{Job, Reply, Shared, Work};
use crate::command::{
    AuthorError, Authoring, Command, Decided, Intent, JointTickets, JointWrite, Prepared, Said,
    decide,
};
use crate::desk::DeskError;
use crate::graph::Node;
use crate::ports::log::Unit;
use crate::ticket::{Resolved, Ticket};

/// What became of a job.
pub(super) enum Authored {
    /// A unit to append.
    Ready(Box<Pending>),
    /// It waits for the next batch.
    Later(Job),
    /// Its caller has an answer.
    Answered,
}

/// Where a follow-up is opened: after the link on the closed ticket.
const FOLLOW_UP_ROW: usize = 1;

pub(super) fn author(
    shared: &Shared,
    job: Job,
    incarnation: &Incarnation,
    held: &mut BTreeMap<Key, Held>,
) -> Authored {
    let authored_under = match &job.work {
        Work::Prepared(_, authored_under) => Some(authored_under),
        Work::Intent(_) | Work::Joint(_) => None,
    };
    if job.epoch != shared.epoch() || authored_under.is_some_and(|under| under != incarnation) {
        return answered(job, Reply::Again);
    }
    let with = Authoring { incarnation, ids: &*shared.ports.ids };
    match &job.work {
        Work::Prepared(unit, _) => {
            let unit = (**unit).clone();
            let (keys, answer) = (Vec::new(), None);
            Authored::Ready(Box::new(Pending { job, unit, keys, answer }))
        }
        Work::Intent(intent) => one(shared, Arc::clone(intent), job, with, held),
        Work::Joint(write) => joint(shared, &Arc::clone(write), job, with, held),
    }
}

/// Authors a command on one ticket.
fn one(
    shared: &Shared,
    intent: Arc<Intent>,
    job: Job,
    with: Authoring<'_>,
    held: &mut BTreeMap<Key, Held>,
) -> Authored {
    let key = (intent.caller.tenant.clone(), intent.ticket);
    let Some(entry) = held.get_mut(&key) else { return Authored::Later(job) };
    if let Some(failure) = &entry.failure {
        let failure = failure.for_another();
        return answered(job, Reply::Failed(failure));
    }
    // None where an earlier write of this batch failed half-way: the next batch reads the ticket again.
    let Some(ticket) = entry.ticket.as_mut() else { return Authored::Later(job) };
    match known(ticket, intent.command_id) {
        Known::New => {}
        Known::Waits => return Authored::Later(job),
        Known::Stored => return answer_stored(shared, job, key, intent.command_id),
    }
    let changes = ticket.graph.nodes().len();
    let standing = Standing { fresh: entry.fresh, undurable: entry.undurable };
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
            refused(job, error, standing)
        }
    }
}

fn ready(job: Job, intent: &Intent, key: Key, resolved: Resolved, decided: Decided) -> Authored {
    let unit = Unit { rows: decided.rows };
    let prepared = match decided.follow_up {
        None => {
            let said = Said { ticket: intent.ticket, command: intent.command_id };
            let said = matches!(intent.command, Command::AddMessage(_)).then_some(said);
            let row = unit.rows.len().saturating_sub(1);
            Ok(Prepared { ticket: resolved, said, follow_up_of: None, row })
        }
        Some(mut opened) => {
            let first = opened.graph.nodes().first();
            let command = first.map_or(intent.command_id, |node: &Node| node.command_id);
            let said = Some(Said { ticket: opened.id, command });
            let (follow_up_of, row) = (Some(intent.ticket), FOLLOW_UP_ROW);
            opened.resolve().map(|ticket| Prepared { ticket, said, follow_up_of, row })
        }
    };
    match prepared {
        Ok(prepared) => {
            let (keys, answer) = (vec![key], Some(Box::new(prepared)));
            Authored::Ready(Box::new(Pending { job, unit, keys, answer }))
        }
        Err(error) => answered(job, Reply::Failed(error.into())),
    }
}

/// Authors a write over several tickets.
fn joint(
    shared: &Shared,
    write: &Arc<dyn JointWrite>,
    job: Job,
    with: Authoring<'_>,
    held: &mut BTreeMap<Key, Held>,
) -> Authored {
    let (asked, mut keys) = (job.work.tickets(), Vec::new());
    let mut unreadable = BTreeSet::new();
    for key in asked {
        match held.get(&key).and_then(|entry| entry.failure.as_ref()) {
            None => keys.push(key),
            Some(DeskError::Damaged(_)) if write.goes_without() => unreadable.extend([key.1]),
            Some(failure) => {
                let failure = failure.for_another();
                return answered(job, Reply::Failed(failure));
            }
        }
    }
    let entries = || keys.iter().map(|key| held.get(key));
    if !entries().all(|entry| entry.is_some_and(|entry| entry.ticket.is_some())) {
        return Authored::Later(job);
    }
    if let Some((ticket, command)) = write.known_by() {
        let holder = (write.tenant().clone(), ticket);
        let readable = !unreadable.contains(&ticket);
        match held.get(&holder).and_then(|entry| entry.ticket.as_ref()) {
            Some(ticket) => match known(ticket, command) {
                Known::New => {}
                Known::Waits => return Authored::Later(job),
                Known::Stored => return answer_stored(shared, job, holder, command),
            },
            None if readable => return Authored::Later(job),
            None => {}
        }
    }
    let standing = Standing {
        fresh: entries().flatten().all(|entry| entry.fresh),
        undurable: entries().flatten().any(|entry| entry.undurable),
    };
    let changes: BTreeMap<&Key, usize> =
        keys.iter().map(|key| (key, changes_of(&held[key]))).collect();
    let current = standing.fresh && !standing.undurable;
    let mut tickets = joint_tickets(write.tenant(), &keys, held, (unreadable, current));
    let outcome = write.author(&mut tickets, with);
    let failed = outcome.is_err();
    for (key, before) in changes {
        let entry = held.get_mut(key).expect("it was there");
        if changes_of(entry) != before {
            entry.undurable = true;
            if failed {
                *entry.ticket = None;
            }
        }
    }
    match outcome {
        Ok(decided) => {
            let (unit, answer) = (Unit { rows: decided.rows }, decided.answer);
            Authored::Ready(Box::new(Pending { job, unit, keys, answer }))
        }
        // What the write itself had put on its tickets went with it.
        Err(error) => refused(job, error, standing),
    }
}

fn changes_of(entry: &Held) -> usize {
    entry.ticket.as_ref().map_or(0, |ticket| ticket.graph.nodes().len())
}

fn joint_tickets<'a>(
    tenant: &Tenant,
    keys: &[Key],
    held: &'a mut BTreeMap<Key, Held>,
    (unreadable, current): (BTreeSet<TicketId>, bool),
) -> JointTickets<'a> {
    let wanted = held.iter_mut().filter(|(key, _)| key.0 == *tenant && keys.contains(key));
    let tickets: BTreeMap<TicketId, &mut Ticket> =
        wanted.filter_map(|(key, entry)| Some((key.1, entry.ticket.as_mut()?))).collect();
    JointTickets::new(tickets, unreadable, current)
}

/// What a decision was made on.
#[derive(Clone, Copy)]
struct Standing {
    /// Read from the log since the write was asked for.
    fresh: bool,
    /// With rows of this batch that are not durable.
    undurable: bool,
}

/// A refusal stands only when it was decided on durable state that was read after the caller asked.
fn refused(mut job: Job, error: AuthorError, standing: Standing) -> Authored {
    match error {
        AuthorError::Refused(refusal) if standing.fresh && !standing.undurable => {
            answered(job, Reply::Refused(refusal))
        }
        // The next batch knows whether those rows are durable.
        AuthorError::Refused(_) | AuthorError::Stale if standing.undurable => Authored::Later(job),
        AuthorError::Refused(_) | AuthorError::Stale => {
            job.needs_fresh = true;
            match job.handed_back() {
                Ok(job) => Authored::Later(job),
                Err(()) => Authored::Answered,
            }
        }
        AuthorError::Fold(error) => answered(job, Reply::Failed(error.into())),
    }
}

fn answered(job: Job, reply: Reply) -> Authored {
    let _ = job.reply.send(reply);
    Authored::Answered
}

/// Whether a command is on its ticket already.
enum Known {
    New,
    /// In this batch, which may still fail.
    Waits,
    Stored,
}

fn known(ticket: &Ticket, command: CommandId) -> Known {
    match ticket.graph.of_command(command) {
        None => Known::New,
        Some(node) if node.position == 0 => Known::Waits,
        Some(_) => Known::Stored,
    }
}

/// The command is stored already: its event is read apart, for it decides what a retry gets.
fn answer_stored(shared: &Shared, job: Job, (tenant, ticket): Key, command: CommandId) -> Authored {
    let log = Arc::clone(&shared.ports.log);
    tokio::spawn(async move {
        let partition = Stream::ticket(ticket).partition(&tenant);
        let reply = match log.event_of_command(&tenant, partition, command).await {
            Ok(Some(event)) => Reply::Duplicate(Box::new(event)),
            Ok(None) => Reply::Again,
            Err(error) => Reply::Failed(error.into()),
        };
        let _ = job.reply.send(reply);
    });
    Authored::Answered
}
