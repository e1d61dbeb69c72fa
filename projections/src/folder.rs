//! Folding: the tickets that a stretch of events touches, each brought to its new state once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use docket_engine::hot::{Hot, Room};
use docket_engine::ports::log::{EventLog, LogError, StreamRead};
use docket_engine::ticket::{FoldError, Resolved, Ticket};
use docket_schemas::{Event, Position, Stream, StreamKind, Tenant, TicketEvent, TicketId};

use crate::sink::{News, Poison};

/// Tickets that are read from the log in one query.
const LOAD_TICKETS_MAX: usize = 200;

/// Tickets folded before other tasks get their turn.
const FOLD_TURN_TICKETS: usize = 32;

/// A ticket by its tenant and id.
pub type TicketKey = (Tenant, TicketId);

/// Tickets as they were last folded, so that a hot one is not loaded for each of its events.
pub struct Folder {
    log: Arc<dyn EventLog>,
    hot: Hot<TicketKey, Ticket>,
}

/// What became of a stretch of events.
#[derive(Debug, Default)]
pub struct Folded {
    /// Tickets with their new states.
    pub news: Vec<News>,
    /// Tickets that cannot be folded.
    pub parked: Vec<Poison>,
}

/// A ticket with its new events.
struct Group {
    key: TicketKey,
    events: Vec<Arc<Event>>,
}

impl Folder {
    /// A folder with so much room for tickets that it remembers.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, hot: Room) -> Self {
        Self { log, hot: Hot::new(hot) }
    }

    /// Forgets all tickets: what comes next may not follow what was folded last.
    pub fn clear(&mut self) {
        self.hot.clear();
    }

    /// Folds the events of one partition that follow those folded before; `upto` is the position of the last of them.
    /// Events of other streams than tickets come to nothing.
    ///
    /// # Errors
    /// When the log does not answer; nothing is remembered then that was not folded before.
    pub async fn fold(
        &mut self,
        events: &[Arc<Event>],
        upto: Position,
    ) -> Result<Folded, LogError> {
        let groups = group(events);
        let mut loaded = self.load_missing(&groups, upto).await?;
        let mut folded = Folded::default();
        for (index, group) in groups.into_iter().enumerate() {
            if index % FOLD_TURN_TICKETS == FOLD_TURN_TICKETS - 1 {
                tokio::task::yield_now().await;
            }
            let known = loaded.remove(&group.key).or_else(|| self.hot.take(&group.key).map(Ok));
            let (tenant, id) = group.key.clone();
            let outcome = match known.unwrap_or_else(|| Ok(Ticket::new(tenant, id))) {
                Ok(ticket) => fold_on(ticket, &group.events),
                Err(reason) => Err(reason),
            };
            let outcome = match outcome {
                // What was remembered may be wrong; the log is not.
                Err(_) => fold_anew(&*self.log, &group.key, upto).await?,
                folded => folded,
            };
            match outcome {
                Ok((ticket, state)) => {
                    folded.news.push(news(&group, &ticket, state));
                    let bytes = ticket.weight();
                    self.hot.put(group.key, ticket, bytes);
                }
                Err(reason) => folded.parked.push(poison(&group, reason)),
            }
        }
        Ok(folded)
    }

    /// Tickets that are not remembered and were not opened just now, as the log has them up to `upto`.
    async fn load_missing(
        &self,
        groups: &[Group],
        upto: Position,
    ) -> Result<HashMap<TicketKey, Result<Ticket, String>>, LogError> {
        let missing = groups.iter().filter(|group| {
            !self.hot.contains(&group.key) && !group.events.first().is_some_and(|one| opens(one))
        });
        let missing: Vec<TicketKey> = missing.map(|group| group.key.clone()).collect();
        let mut loaded = HashMap::with_capacity(missing.len());
        for keys in missing.chunks(LOAD_TICKETS_MAX) {
            match load(&*self.log, keys, upto).await {
                Ok(tickets) => loaded.extend(tickets),
                // One of them cannot be read: each by itself, so that only that one is left out.
                Err(LogError::Damaged { .. }) => {
                    for key in keys {
                        match load(&*self.log, std::slice::from_ref(key), upto).await {
                            Ok(tickets) => loaded.extend(tickets),
                            Err(LogError::Damaged { what, .. }) => {
                                loaded.insert(key.clone(), Err(what));
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }
}

/// By ticket, in the order of their first events.
fn group(events: &[Arc<Event>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut indexes: HashMap<(&Tenant, TicketId), usize> = HashMap::new();
    for event in events.iter().filter(|event| event.stream.kind == StreamKind::Ticket) {
        let id = TicketId::new(event.stream.id);
        let index = *indexes.entry((&event.tenant, id)).or_insert_with(|| {
            groups.push(Group { key: (event.tenant.clone(), id), events: Vec::new() });
            groups.len() - 1
        });
        groups[index].events.push(Arc::clone(event));
    }
    groups
}

/// Whether an event is the first of its ticket. One that was accepted elsewhere first may be another region's opening
/// by the same command.
fn opens(event: &Event) -> bool {
    let here = event.origin.partition == event.partition && event.origin.position == event.position;
    event.event_type == TicketEvent::Opened && here
}

type Outcome = Result<(Ticket, Resolved), String>;

fn fold_on(mut ticket: Ticket, events: &[Arc<Event>]) -> Outcome {
    let folding = AssertUnwindSafe(|| -> Result<(Ticket, Resolved), FoldError> {
        for event in events {
            ticket.apply(event)?;
        }
        let resolved = ticket.resolve()?;
        Ok((ticket, resolved))
    });
    // Automerge panics on some changes that it cannot read; such a one parks its ticket like any other.
    match catch_unwind(folding) {
        Ok(folded) => folded.map_err(|error| told(&error)),
        Err(_) => Err("a change cannot be applied".to_owned()),
    }
}

async fn fold_anew(
    log: &dyn EventLog,
    (tenant, id): &TicketKey,
    upto: Position,
) -> Result<Outcome, LogError> {
    let read = StreamRead { tenant: tenant.clone(), stream: Stream::ticket(*id), after: 0 };
    let events = match log.stream_events(&[read]).await {
        Ok(events) => events,
        Err(LogError::Damaged { what, .. }) => return Ok(Err(what)),
        Err(error) => return Err(error),
    };
    let events = events.into_iter().filter(|event| event.position <= upto).map(Arc::new);
    Ok(fold_on(Ticket::new(tenant.clone(), *id), &events.collect::<Vec<_>>()))
}

/// A ticket from its first event up to a position, as `diff` and mending compare it; none where it had not begun.
///
/// # Errors
/// When the log does not answer. Inside: why the ticket cannot be folded.
pub async fn fold_ticket(
    log: &dyn EventLog,
    key: &TicketKey,
    upto: Position,
) -> Result<Result<Option<(Resolved, Position, Position)>, String>, LogError> {
    let folded = fold_anew(log, key, upto).await?;
    Ok(match folded {
        Ok((ticket, state)) => Ok(Some((state, ticket.last_position(), public_position(&ticket)))),
        Err(reason) => {
            let read =
                StreamRead { tenant: key.0.clone(), stream: Stream::ticket(key.1), after: 0 };
            match log.stream_page(&read, 1).await {
                Ok(first) if first.first().is_none_or(|event| event.position > upto) => Ok(None),
                Ok(_) | Err(LogError::Damaged { .. }) => Err(reason),
                Err(error) => return Err(error),
            }
        }
    })
}

async fn load(
    log: &dyn EventLog,
    keys: &[TicketKey],
    upto: Position,
) -> Result<Vec<(TicketKey, Result<Ticket, String>)>, LogError> {
    let mut tickets: HashMap<TicketKey, Ticket> = HashMap::with_capacity(keys.len());
    for (tenant, id, snapshot) in log.snapshots(keys).await? {
        // One beyond what was read so far would show what is not to be shown yet.
        if snapshot.position <= upto
            && let Some(ticket) = Ticket::restore(tenant.clone(), id, &snapshot)
        {
            tickets.insert((tenant, id), ticket);
        }
    }
    let reads: Vec<StreamRead> = keys
        .iter()
        .map(|key| StreamRead {
            tenant: key.0.clone(),
            stream: Stream::ticket(key.1),
            after: tickets.get(key).map_or(0, Ticket::last_position),
        })
        .collect();
    let mut failed: HashMap<TicketKey, String> = HashMap::new();
    for event in log.stream_events(&reads).await? {
        if event.position > upto {
            continue;
        }
        let key = (event.tenant.clone(), TicketId::new(event.stream.id));
        if failed.contains_key(&key) {
            continue;
        }
        let ticket =
            tickets.entry(key.clone()).or_insert_with(|| Ticket::new(key.0.clone(), key.1));
        // Reading a change out of bytes is where Automerge may panic.
        let applied = catch_unwind(AssertUnwindSafe(|| ticket.apply(&event)));
        match applied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => drop(failed.insert(key, told(&error))),
            Err(_) => drop(failed.insert(key, "a change cannot be read".to_owned())),
        }
    }
    let folded = tickets.into_iter().filter(|(key, _)| !failed.contains_key(key));
    let folded: Vec<_> = folded.map(|(key, ticket)| (key, Ok(ticket))).collect();
    Ok(folded.into_iter().chain(failed.into_iter().map(|(key, why)| (key, Err(why)))).collect())
}

fn news(group: &Group, ticket: &Ticket, state: Resolved) -> News {
    News {
        tenant: group.key.0.clone(),
        ticket: group.key.1,
        opened: opened(ticket),
        events: group.events.clone(),
        state: Arc::new(state),
        position: ticket.last_position(),
        public_position: public_position(ticket),
    }
}

/// The position of a ticket's opening.
#[must_use]
pub fn opened(ticket: &Ticket) -> Position {
    ticket.graph.nodes().first().map_or(0, |node| node.position)
}

pub(crate) fn public_position(ticket: &Ticket) -> Position {
    let public = ticket.graph.nodes().iter().rev().find(|node| node.public);
    public.map_or(0, |node| node.position)
}

fn poison(group: &Group, reason: String) -> Poison {
    let position = group.events.first().map_or(0, |event| event.position);
    Poison { ticket: Some(group.key.clone()), position, reason }
}

/// An error with its sources, for operators.
#[must_use]
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
