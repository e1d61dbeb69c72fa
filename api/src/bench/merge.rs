//! Three who change one status without having seen each other, and the same three one after the other.
//!
//! A customer says solved, an agent pending, an admin closed. What it costs to take their writes, and to fold the ticket from its log
//! again, is set against three who each have seen the one before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docket_engine::command::{Caller, Command, FieldChange, Intent};
use docket_engine::desk::Desk;
use docket_engine::ports::log::StreamRead;
use docket_engine::ticket::Ticket;
use docket_engine::version::Version;
use docket_schemas::{CommandId, Principal, Role, Status, Stream, Tenant, TicketId};
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::task::JoinSet;

use super::in_scratch::in_scratch;
use super::report::{two_columns, whole};
use super::requests::TENANT;
use super::sagas;
use crate::clock;
use crate::wire::scratch::Scratch;
use crate::wire::{self, Installation, WireError};

/// Who writes what. The customer is the requester of [`sagas::open_tickets`].
const WRITES: [(Role, &str, Status); 3] = [
    (Role::Customer, "bench", Status::Solved),
    (Role::Agent, "agent", Status::Pending),
    (Role::Admin, "admin", Status::Closed),
];

/// Tickets that are read from the log at once.
const TICKETS_AT_ONCE: usize = 500;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Tickets that are merged in a round, and as many that are not.
    pub tickets: usize,
    /// Tickets that are written on at once.
    pub at_once: usize,
    /// Rounds follow one another until then; there is one at least.
    pub at_least: Duration,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `merge`.
    pub bench: &'static str,
    /// What was measured on.
    pub backend: String,
    /// Processors of the machine.
    pub processors: usize,
    /// Tickets of each kind.
    pub tickets: usize,
    /// Tickets that were written on at once.
    pub at_once: usize,
    /// Three writes that have not seen each other.
    pub concurrent: Kind,
    /// Three writes of which each has seen the one before.
    pub in_turn: Kind,
    /// Writes a second, the first by the second.
    pub writes_ratio: f64,
    /// Events folded a second, the first by the second.
    pub folded_ratio: f64,
}

/// One kind of history.
#[derive(Debug, Serialize)]
pub struct Kind {
    /// Durable writes in a second.
    pub writes_per_second: f64,
    /// Events folded in a second from what the log holds, on one processor, until the state is known.
    pub folded_per_second: f64,
    /// Tickets that show a conflict.
    pub conflicts: usize,
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { concurrent, in_turn, .. } = self;
        let lines = [
            ("tickets, each way", whole(Some(self.tickets as f64))),
            ("concurrent writes/s", whole(Some(concurrent.writes_per_second))),
            ("writes in turn/s", whole(Some(in_turn.writes_per_second))),
            ("ratio", format!("{:.2}", self.writes_ratio)),
            ("concurrent events folded/s", whole(Some(concurrent.folded_per_second))),
            ("events in turn folded/s", whole(Some(in_turn.folded_per_second))),
            ("ratio", format!("{:.2}", self.folded_ratio)),
            ("conflicts shown", whole(Some(concurrent.conflicts as f64))),
        ];
        format!("{}; {} processors\n{}", self.backend, self.processors, two_columns(&lines))
    }
}

/// Measures in a scratch installation like `installation`.
///
/// # Errors
/// When something fails, or when a merge does not show its conflict.
pub async fn run(
    installation: &Installation,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<Report, WireError> {
    let measuring = async |scratch: &Scratch| measure(scratch, plan, &progress).await;
    let (backend, report) = in_scratch(installation, "merge", measuring).await?;
    Ok(Report { backend, ..report })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<Report, WireError> {
    let node = wire::open(&scratch.installation, "bench", Box::new(|_, _| {})).await?;
    progress("warming up");
    for seen in [Seen::TheOpening, Seen::TheOneBefore] {
        round(&node.desk, seen, plan.tickets.div_ceil(10), plan.at_once).await?;
    }
    let (mut concurrent, mut in_turn) = (Rounds::default(), Rounds::default());
    let until = clock::monotonic() + plan.at_least;
    loop {
        progress("writes in turn");
        in_turn.add(&round(&node.desk, Seen::TheOneBefore, plan.tickets, plan.at_once).await?);
        progress("concurrent writes");
        concurrent.add(&round(&node.desk, Seen::TheOpening, plan.tickets, plan.at_once).await?);
        if clock::monotonic() >= until {
            break;
        }
    }
    if concurrent.conflicts != concurrent.tickets || in_turn.conflicts != 0 {
        let (shown, all) = (concurrent.conflicts, concurrent.tickets);
        let others = in_turn.conflicts;
        return Err(format!(
            "{shown} of {all} merged tickets show a conflict, and {others} of the others do"
        )
        .into());
    }
    let tickets = concurrent.tickets;
    let (concurrent, in_turn) = (concurrent.kind(), in_turn.kind());
    Ok(Report {
        bench: "merge",
        backend: String::new(),
        processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        tickets,
        at_once: plan.at_once,
        writes_ratio: concurrent.writes_per_second / in_turn.writes_per_second,
        folded_ratio: concurrent.folded_per_second / in_turn.folded_per_second,
        concurrent,
        in_turn,
    })
}

/// What a write has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    TheOpening,
    TheOneBefore,
}

/// What rounds came to.
#[derive(Debug, Default)]
struct Rounds {
    tickets: usize,
    conflicts: usize,
    writing_seconds: f64,
    folded: usize,
    folding_seconds: f64,
}

impl Rounds {
    fn add(&mut self, round: &Self) {
        self.tickets += round.tickets;
        self.conflicts += round.conflicts;
        self.writing_seconds += round.writing_seconds;
        self.folded += round.folded;
        self.folding_seconds += round.folding_seconds;
    }

    fn kind(&self) -> Kind {
        Kind {
            writes_per_second: (self.tickets * WRITES.len()) as f64 / self.writing_seconds,
            folded_per_second: self.folded as f64 / self.folding_seconds,
            conflicts: self.conflicts,
        }
    }
}

async fn round(desk: &Desk, seen: Seen, count: usize, at_once: usize) -> Result<Rounds, WireError> {
    let tickets = sagas::open_tickets(desk, count).await?;
    let tenant: Tenant = TENANT.parse()?;
    let mut writes = Vec::with_capacity(WRITES.len());
    for (role, name, status) in WRITES {
        let principal = Principal::Person(desk.ports().keyring.person(&tenant, name).await?.id);
        let caller = Caller { tenant: tenant.clone(), role, principal, device: name.into() };
        writes.push((caller, status));
    }
    let writes: Arc<[Write]> = writes.into();
    let began = clock::monotonic();
    let (tickets, next) = (Arc::new(tickets), Arc::new(AtomicUsize::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..at_once {
        let writer = Writer { desk: desk.clone(), writes: Arc::clone(&writes), seen };
        let (tickets, next) = (Arc::clone(&tickets), Arc::clone(&next));
        writers.spawn(async move {
            while let Some(ticket) = tickets.get(next.fetch_add(1, Ordering::Relaxed)) {
                writer.write_all(*ticket).await?;
            }
            Ok::<(), WireError>(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    let writing_seconds = clock::monotonic().duration_since(began).as_secs_f64();
    let round = Rounds { tickets: count, writing_seconds, ..Rounds::default() };
    fold(desk, &tenant, &tickets, round).await
}

/// Folds the tickets of a round from the log as one who has none of them.
async fn fold(
    desk: &Desk,
    tenant: &Tenant,
    tickets: &[TicketId],
    mut round: Rounds,
) -> Result<Rounds, WireError> {
    for some in tickets.chunks(TICKETS_AT_ONCE) {
        let read = |ticket: &TicketId| StreamRead {
            tenant: tenant.clone(),
            stream: Stream::ticket(*ticket),
            after: 0,
        };
        let reads: Vec<StreamRead> = some.iter().map(read).collect();
        let events = desk.ports().log.stream_events(&reads).await?;
        let began = clock::monotonic();
        for history in events.chunk_by(|one, next| one.stream == next.stream) {
            let id = TicketId::new(history[0].stream.id);
            let mut ticket = Ticket::new(tenant.clone(), id);
            for event in history {
                ticket.apply(event)?;
            }
            round.conflicts += usize::from(!ticket.resolve()?.conflicts.is_empty());
        }
        round.folding_seconds += clock::monotonic().duration_since(began).as_secs_f64();
        round.folded += events.len();
    }
    Ok(round)
}

/// Somebody who plays all three.
struct Writer {
    desk: Desk,
    writes: Arc<[Write]>,
    seen: Seen,
}

/// Who says which status.
type Write = (Caller, Status);

impl Writer {
    async fn write_all(&self, ticket: TicketId) -> Result<(), WireError> {
        match self.seen {
            Seen::TheOneBefore => {
                for write in &*self.writes {
                    self.write(ticket, write, None).await?;
                }
            }
            Seen::TheOpening => {
                let version = |ticket: &mut Ticket| ticket.resolve().map(|state| state.version);
                let (caller, _) = &self.writes[0];
                let looked = self.desk.look(&caller.tenant, ticket, version).await?;
                let opening = looked.ok_or("a ticket is gone")??;
                let writing = self.writes.iter();
                let writing = writing.map(|write| self.write(ticket, write, Some(opening.clone())));
                let _: Vec<()> = try_join_all(writing).await?;
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        ticket: TicketId,
        (caller, status): &Write,
        observed: Option<Version>,
    ) -> Result<(), WireError> {
        let ports = self.desk.ports();
        let (command_id, now) = (CommandId::new(ports.ids.time_ordered()), ports.clock.now());
        let change = FieldChange { status: Some(*status), ..FieldChange::default() };
        let command = Command::Change(Box::new(change));
        let intent = Intent::new(caller.clone(), ticket, command_id, now, command);
        self.desk.execute(Intent { observed, ..intent }).await?;
        Ok(())
    }
}
