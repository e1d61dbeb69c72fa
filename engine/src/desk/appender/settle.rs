//! Settling: each write learns what became of it, and tickets keep what is durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use docket_schemas::{Draft, Position, StreamKind, TicketId};

use super::batch::{Assembled, Pending};
use super::hold::{Held, Key};
use super::{Done, Job, Reply, Sent, Shared};
use crate::append::local_event;
use crate::desk::{DeskError, snapshots};
use crate::faults;
use crate::ports::log::{Expected, LogError, Placed, StreamRead, Unit, UnitOutcome};
use crate::ports::witness::Witnessed;

/// Confirms what was appended, hands back what was not, and answers the rest.
pub(super) async fn settle(
    shared: &Arc<Shared>,
    assembled: Assembled,
    sent: Sent,
    waiting: &mut VecDeque<Job>,
) {
    let Assembled { incarnation, pending, mut held, .. } = assembled;
    let mut outcomes = match sent.outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => return fail(pending, &mut held, error),
    };
    if sent.tries > 1 {
        find_own(shared, &pending, &mut outcomes).await;
    }
    witness(shared, incarnation.number(), &pending, &outcomes);
    shared.written.add(
        &incarnation,
        appended(&pending, &outcomes)
            .map(|(draft, placed)| local_event(draft, placed, &incarnation)),
    );
    let mut back = VecDeque::new();
    let mut is_news = false;
    for (pending, outcome) in pending.into_iter().zip(outcomes) {
        is_news |= matches!(outcome, UnitOutcome::Appended(_));
        if outcome == UnitOutcome::Behind && is_fenced(shared, &pending).await {
            forget(&pending, &mut held);
            let _ = pending.job.reply.send(Reply::Fenced);
            continue;
        }
        if let Some(job) = settle_one(shared, pending, outcome, &mut held) {
            back.push_back(job);
        }
    }
    if is_news && !faults::fails_at("bus.wake") {
        shared.ports.bus.wake();
    }
    for entry in held.values_mut() {
        if let Some(ticket) = entry.ticket.as_mut() {
            snapshots::keep(shared, ticket);
            shared.cache.weigh(ticket);
        }
    }
    back.append(waiting);
    *waiting = back;
}

/// Answers one write, or hands its job back.
fn settle_one(
    shared: &Shared,
    pending: Pending,
    outcome: UnitOutcome,
    held: &mut BTreeMap<Key, Held>,
) -> Option<Job> {
    if !matches!(outcome, UnitOutcome::Appended(_)) {
        forget(&pending, held);
    }
    let reply = match outcome {
        UnitOutcome::Appended(placed) => {
            done(pending, placed, held);
            return None;
        }
        UnitOutcome::Behind => return pending.job.behind(),
        UnitOutcome::SlotHeld { .. } | UnitOutcome::SlotFree { .. } => {
            return pending.job.handed_back().ok();
        }
        UnitOutcome::Duplicate { stored, .. } => Reply::Duplicate(stored),
        UnitOutcome::Damaged { what } => Reply::Failed(LogError::damaged(what).into()),
        UnitOutcome::EpochOld { current } => {
            // Once for a batch, and in this order: who reads the new epoch finds no key of the old one.
            if current > shared.epoch() {
                shared.ports.keyring.forget();
                shared.erasure_epoch.store(current, Ordering::Release);
            }
            Reply::Again
        }
        UnitOutcome::IncarnationOld { current } => {
            let known = shared.incarnation.read().number();
            match current.number().cmp(&known) {
                std::cmp::Ordering::Greater => shared.go_on_as(current),
                // Learned of while this batch was on its way, or from a unit before this one.
                std::cmp::Ordering::Equal => {}
                // The log was restored under this connection.
                std::cmp::Ordering::Less => shared.reconnected.store(true, Ordering::Release),
            }
            // Another row may stand by now where the last one stood that the writer knows.
            if beside(&pending.unit).any(|(_, last)| last > 0) {
                Reply::Fenced
            } else {
                Reply::Again
            }
        }
    };
    let _ = pending.job.reply.send(reply);
    None
}

/// Every row that is in the log now, and where.
fn appended<'a>(
    pending: &'a [Pending],
    outcomes: &'a [UnitOutcome],
) -> impl Iterator<Item = (&'a Draft, Placed)> {
    pending.iter().zip(outcomes).flat_map(|(pending, outcome)| {
        let placed = match outcome {
            UnitOutcome::Appended(placed) => placed.as_slice(),
            _ => &[],
        };
        pending.unit.rows.iter().map(|row| &*row.draft).zip(placed.iter().copied())
    })
}

/// After the commit and before any acknowledgement; under the incarnation that has written, for the desk may be in another
/// by now.
fn witness(shared: &Shared, incarnation: u32, pending: &[Pending], outcomes: &[UnitOutcome]) {
    let mut reached: BTreeMap<u8, Witnessed> = BTreeMap::new();
    for (draft, Placed { partition, position, .. }) in appended(pending, outcomes) {
        let seen = Witnessed { partition, position, event_id: draft.event_id, incarnation };
        let last = reached.entry(partition.number()).or_insert(seen);
        if last.position < position {
            *last = seen;
        }
    }
    if !reached.is_empty() {
        shared.ports.witness.record(&reached.into_values().collect::<Vec<_>>());
    }
}

fn done(pending: Pending, placed: Vec<Placed>, held: &mut BTreeMap<Key, Held>) {
    for (row, placed) in pending.unit.rows.iter().zip(&placed) {
        let stream = row.draft.stream;
        if stream.kind != StreamKind::Ticket {
            continue;
        }
        let key = (row.draft.tenant.clone(), TicketId::new(stream.id));
        if pending.keys.contains(&key)
            && let Some(ticket) = held.get_mut(&key).and_then(|entry| entry.ticket.as_mut())
        {
            ticket.confirm(&row.draft, *placed);
        }
    }
    let done = Done { placed, answer: pending.answer };
    let _ = pending.job.reply.send(Reply::Done(Box::new(done)));
}

/// Tickets that hold rows which were not appended are read again from the log.
fn forget(pending: &Pending, held: &mut BTreeMap<Key, Held>) {
    for key in &pending.keys {
        if let Some(entry) = held.get_mut(key) {
            *entry.ticket = None;
        }
    }
}

/// Whether a stream beside the tickets ends elsewhere than its row was made on, because it has gone on or because the log
/// was restored to before that: deciding anew would not help. A log that does not say leaves the job to be sent again, which
/// asks again.
async fn is_fenced(shared: &Shared, pending: &Pending) -> bool {
    for (draft, last) in beside(&pending.unit) {
        if ends_at(shared, draft, last).await.is_ok_and(|ends| !ends) {
            return true;
        }
    }
    false
}

/// The rows of streams beside the tickets, each with the last position that it was made on.
fn beside(unit: &Unit) -> impl Iterator<Item = (&Draft, Position)> {
    let others = unit.rows.iter().filter(|row| row.draft.stream.kind != StreamKind::Ticket);
    others.filter_map(|row| match row.expected {
        Expected::Last(last) => Some((&*row.draft, last)),
        Expected::Opening | Expected::Chained => None,
    })
}

/// Whether a draft's stream ends at a position, and has a row there; 0 for an empty stream.
async fn ends_at(shared: &Shared, draft: &Draft, last: Position) -> Result<bool, LogError> {
    let (tenant, stream) = (draft.tenant.clone(), draft.stream);
    let read = StreamRead { tenant, stream, after: last.saturating_sub(1) };
    let page = shared.ports.log.stream_page(&read, 2).await?;
    Ok(match page.as_slice() {
        [] => last == 0,
        [row] => row.position == last,
        _ => false,
    })
}

/// After an unknown outcome, units that answer as duplicates of themselves were appended by an earlier try.
async fn find_own(shared: &Shared, pending: &[Pending], outcomes: &mut [UnitOutcome]) {
    for (pending, outcome) in pending.iter().zip(outcomes) {
        let UnitOutcome::Duplicate { row, stored } = &*outcome else { continue };
        let own = &pending.unit.rows[*row].draft;
        if own.change != stored.change || own.data != stored.data {
            continue;
        }
        if let Some(placed) = places(shared, pending).await {
            *outcome = UnitOutcome::Appended(placed);
        }
    }
}

/// The places of rows that an earlier try with an unknown outcome had written.
async fn places(shared: &Shared, pending: &Pending) -> Option<Vec<Placed>> {
    let mut places = Vec::with_capacity(pending.unit.rows.len());
    for row in &pending.unit.rows {
        let tenant = &row.draft.tenant;
        let partition = row.draft.stream.partition(tenant);
        let found = shared.ports.log.event_of_command(tenant, partition, row.draft.command_id);
        let stored = found.await.ok()??;
        let (position, recorded_at) = (stored.position, stored.recorded_at);
        places.push(Placed { partition, position, recorded_at });
    }
    Some(places)
}

fn fail(pending: Vec<Pending>, held: &mut BTreeMap<Key, Held>, error: LogError) {
    let error = DeskError::from(error);
    for pending in pending {
        forget(&pending, held);
        let _ = pending.job.reply.send(Reply::Failed(error.for_another()));
    }
}
