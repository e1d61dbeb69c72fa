//! Holding: the tickets of a batch are locked and, in one go, read as far as the log has come.

use std::collections::{BTreeMap, BTreeSet};

use docket_schemas::{Event, Stream, Tenant, TicketId};
use tokio::sync::OwnedMutexGuard;

use super::{Job, Shared};
use crate::desk::{DeskError, snapshots};
use crate::ports::log::{LogError, StreamRead};
use crate::ticket::Ticket;

/// Names a ticket.
pub(super) type Key = (Tenant, TicketId);

/// A ticket held for the length of a transaction.
pub(super) struct Held {
    pub(super) ticket: OwnedMutexGuard<Option<Ticket>>,
    /// Read from the log since the writes that are being decided were asked for.
    pub(super) fresh: bool,
    /// A write of this batch was decided on it.
    pub(super) is_needed: bool,
    /// Holds rows of this batch that are not durable.
    pub(super) undurable: bool,
    /// Why it cannot be read. It fails alone: the batch goes on without it.
    pub(super) failure: Option<DeskError>,
}

impl Held {
    const fn of(ticket: OwnedMutexGuard<Option<Ticket>>) -> Self {
        Self { ticket, fresh: false, is_needed: false, undurable: false, failure: None }
    }
}

/// Locks every ticket of `jobs` that is not held yet, and reads those that are not loaded or must be fresh.
pub(super) async fn hold(shared: &Shared, jobs: &[Job], held: &mut BTreeMap<Key, Held>) {
    let (mut stale, cold) = lock(shared, jobs, held).await;
    if !cold.is_empty() {
        // Without its snapshot a ticket is folded from its first event.
        for (key, ticket) in snapshots::restore(shared, &cold).await.unwrap_or_default() {
            *held.get_mut(&key).expect("locked above").ticket = Some(ticket);
        }
        stale.extend(cold);
    }
    let reads: Vec<StreamRead> = stale
        .iter()
        .map(|key| {
            let after = held[key].ticket.as_ref().map_or(0, Ticket::last_position);
            StreamRead { tenant: key.0.clone(), stream: Stream::ticket(key.1), after }
        })
        .collect();
    if reads.is_empty() {
        return;
    }
    match shared.ports.log.stream_events(&reads).await {
        Ok(events) => {
            let mut rest = events.as_slice();
            for key in &stale {
                let own = rest
                    .iter()
                    .take_while(|event| event.stream.id == key.1.uuid() && event.tenant == key.0)
                    .count();
                let (run, others) = rest.split_at(own);
                rest = others;
                fold(shared, key, held.get_mut(key).expect("locked above"), run).await;
            }
        }
        // A row that this release cannot read is one ticket's.
        Err(LogError::Damaged { .. }) => {
            for (key, read) in stale.iter().zip(&reads) {
                let entry = held.get_mut(key).expect("locked above");
                match shared.ports.log.stream_events(std::slice::from_ref(read)).await {
                    Ok(events) => fold(shared, key, entry, &events).await,
                    Err(error) => fail(key, entry, error.into()),
                }
            }
        }
        Err(error) => {
            let error = DeskError::from(error);
            for key in &stale {
                fail(key, held.get_mut(key).expect("locked above"), error.for_another());
            }
        }
    }
}

/// Locks those tickets of `jobs` that are loaded and that nobody looks at.
pub(super) fn hold_loaded(shared: &Shared, jobs: &[Job], held: &mut BTreeMap<Key, Held>) {
    for key in jobs.iter().flat_map(|job| job.work.tickets()) {
        if held.contains_key(&key) {
            continue;
        }
        let locked = shared.cache.entry(&key.0, key.1).try_lock_owned();
        if let Some(ticket) = locked.ok().filter(|ticket| ticket.is_some()) {
            held.insert(key, Held::of(ticket));
        }
    }
}

/// Answers which of them must be read again, and which were never read.
async fn lock(
    shared: &Shared,
    jobs: &[Job],
    held: &mut BTreeMap<Key, Held>,
) -> (BTreeSet<Key>, Vec<Key>) {
    let (mut stale, mut cold) = (BTreeSet::new(), Vec::new());
    for job in jobs {
        for key in job.work.tickets() {
            if !held.contains_key(&key) {
                let ticket = shared.cache.entry(&key.0, key.1).lock_owned().await;
                if ticket.is_none() {
                    cold.push(key.clone());
                }
                held.insert(key.clone(), Held::of(ticket));
            }
            if job.needs_fresh {
                stale.insert(key);
            }
        }
    }
    (stale, cold)
}

async fn fold(shared: &Shared, key: &Key, entry: &mut Held, run: &[Event]) {
    let ticket = entry.ticket.get_or_insert_with(|| Ticket::new(key.0.clone(), key.1));
    let derived = ticket.last_position() > 0;
    let folded = match ticket.apply_all(run) {
        Err(_) if derived => snapshots::fold_anew(shared, key).await.map(|anew| *ticket = anew),
        folded => folded.map_err(DeskError::from),
    };
    entry.fresh = true;
    if let Err(error) = folded {
        fail(key, entry, error);
    }
}

fn fail(key: &Key, entry: &mut Held, error: DeskError) {
    if matches!(error, DeskError::Damaged(_)) {
        tracing::error!(ticket.id = %key.1, error = &error as &dyn std::error::Error, "ticket.damaged");
    }
    *entry.ticket = None;
    entry.failure = Some(error);
}
