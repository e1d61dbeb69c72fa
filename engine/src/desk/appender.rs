//! The appender: merges what waits into one transaction, and authors a ticket's waiting writes one upon another.
//!
//! While one batch is on its way to the log the next is authored, but for tickets that the first one holds.

mod author;
mod batch;
mod hold;
mod settle;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use docket_schemas::{Event, Incarnation, Stream, Tenant, TicketId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{DeskError, Shared};
use crate::command::{Intent, JointWrite, Prepared, Refusal};
use crate::faults;
use crate::ports::log::{LogError, Placed, StreamRead, Unit, UnitOutcome};
use crate::tail::Beside as _;
use crate::ticket::Ticket;
use batch::Assembled;
use settle::settle;

/// How long an append that gets no answer is repeated before its callers are told that the outcome is unknown; the try that
/// is under way then has its answer awaited.
const APPEND_RETRY_FOR: Duration = Duration::from_secs(10);
/// How often, while a batch is on its way, what has come meanwhile is authored for the next.
const AUTHORS_EVERY: Duration = Duration::from_millis(2);
/// The first pause between two tries; it doubles up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
/// How often others may have written to the tickets of a divisible unit before it is given up on.
const OVERTAKEN_MAX: u32 = 2;
/// The same of any other write: so often in a row others hardly come first, and each round holds up the writes behind it.
const BEHIND_MAX: u32 = 4_096;
/// How often a write is decided again for a reason that no other write's success explains.
const HAND_BACKS_MAX: u32 = 64;
/// The longest pause between two tries.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a job asks for.
pub(super) enum Work {
    /// Rows that depend on nothing but themselves and the incarnation that they were authored under: an opening.
    Prepared(Box<Unit>, Incarnation),
    /// A command to be decided on the ticket as it then is.
    Intent(Arc<Intent>),
    /// A write over several tickets, to be decided on them as they then are.
    Joint(Arc<dyn JointWrite>),
}

impl Work {
    /// The tickets that it is decided on.
    fn tickets(&self) -> Vec<(Tenant, TicketId)> {
        match self {
            Self::Prepared(..) => Vec::new(),
            Self::Intent(intent) => vec![(intent.caller.tenant.clone(), intent.ticket)],
            Self::Joint(write) => {
                let tickets = write.tickets().into_iter();
                tickets.map(|ticket| (write.tenant().clone(), ticket)).collect()
            }
        }
    }
}

/// A write that waits.
pub(super) struct Job {
    pub(super) work: Work,
    /// The erasure epoch of its keys.
    pub(super) epoch: u64,
    pub(super) reply: oneshot::Sender<Reply>,
    /// The ticket's newest events must be read before this is decided again.
    pub(super) needs_fresh: bool,
    hand_backs: u32,
    /// How often others had written to its tickets when it came to the log.
    overtaken: u32,
}

impl Job {
    pub(super) const fn new(work: Work, epoch: u64, reply: oneshot::Sender<Reply>) -> Self {
        Self { work, epoch, reply, needs_fresh: false, hand_backs: 0, overtaken: 0 }
    }
}

impl Job {
    /// To be decided on newer tickets; given up on after [`BEHIND_MAX`], and one that could be smaller after
    /// [`OVERTAKEN_MAX`]. Nothing of it was written, so that one whose caller has gone is dropped.
    fn behind(mut self) -> Option<Self> {
        if self.reply.is_closed() {
            return None;
        }
        self.overtaken += 1;
        let divisible = matches!(&self.work, Work::Joint(write) if write.is_divisible());
        let most = if divisible { OVERTAKEN_MAX } else { BEHIND_MAX };
        if self.overtaken >= most {
            let _ = self.reply.send(Reply::Failed(DeskError::Contended));
            return None;
        }
        Some(self)
    }

    /// To be decided again, unless its caller has gone; answers the caller after [`HAND_BACKS_MAX`], for then ticket and
    /// slots cannot be true both.
    fn handed_back(mut self) -> Result<Self, ()> {
        if self.reply.is_closed() {
            return Err(());
        }
        self.hand_backs += 1;
        if self.hand_backs <= HAND_BACKS_MAX {
            return Ok(self);
        }
        let what = "a ticket and the slots that it holds do not agree".to_owned();
        let _ = self.reply.send(Reply::Failed(LogError::damaged(what).into()));
        Err(())
    }
}

/// What became of a job.
pub(super) enum Reply {
    /// Durable.
    Done(Box<Done>),
    /// Stored before.
    Duplicate(Box<Event>),
    /// The caller's fault.
    Refused(Refusal),
    /// The log's fault.
    Failed(DeskError),
    /// Prepare it again: the incarnation or the erasure epoch has changed.
    Again,
    /// A stream beside the tickets has gone on, or may have lost what the write was made on: its writer looks again.
    Fenced,
}

/// A write that is durable.
pub(super) struct Done {
    pub(super) placed: Vec<Placed>,
    pub(super) answer: Option<Box<Prepared>>,
}

/// Appends until every desk is dropped and nothing waits.
pub(super) async fn run(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    let mut waiting: VecDeque<Job> = VecDeque::new();
    let mut next = Assembled::begin(&shared);
    loop {
        if waiting.is_empty() && next.is_empty() {
            match jobs.recv().await {
                Some(job) => waiting.push_back(job),
                None => return,
            }
        }
        receive(&mut jobs, &mut waiting, &next);
        next.take(&shared, &mut waiting).await;
        next.let_go(&mut waiting);
        if next.is_empty() {
            next = Assembled::begin(&shared);
            continue;
        }
        let flying = std::mem::replace(&mut next, Assembled::begin(&shared));
        let sent = {
            let mut sent = std::pin::pin!(append(&shared, &flying));
            loop {
                match timeout(AUTHORS_EVERY, &mut sent).await {
                    Ok(sent) => break sent,
                    Err(_) => {
                        receive(&mut jobs, &mut waiting, &next);
                        next.take_meanwhile(&shared, &mut waiting, &flying);
                    }
                }
            }
        };
        next.let_go(&mut waiting);
        // What it hands back comes before all that.
        settle(&shared, flying, sent, &mut waiting).await;
    }
}

/// Takes what has come, as long as there is room: half of what may wait does so here, the other half in the channel.
fn receive(jobs: &mut mpsc::Receiver<Job>, waiting: &mut VecDeque<Job>, next: &Assembled) {
    while waiting.len() + next.put_back() < super::WAITING_WRITES_MAX / 2
        && let Ok(job) = jobs.try_recv()
    {
        waiting.push_back(job);
    }
}

/// What the log answered.
struct Sent {
    outcomes: Result<Vec<UnitOutcome>, LogError>,
    /// How often the batch was sent; more than once, its own rows may answer as duplicates.
    tries: u32,
}

/// Appends, and repeats an unknown outcome with the same ids.
async fn append(shared: &Shared, assembled: &Assembled) -> Sent {
    let mut tries = 0;
    let mut pause = RETRY_PAUSE_MIN;
    let mut paused = Duration::ZERO;
    let began = shared.ports.clock.now();
    loop {
        tries += 1;
        match send(shared, assembled).await {
            Err(error @ (LogError::Unavailable(_) | LogError::Reconnected))
                if paused.max(since(shared, began)) < APPEND_RETRY_FOR =>
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "log.append.retried");
                tokio::time::sleep(pause).await;
                paused += pause;
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
            outcomes => return Sent { outcomes, tries },
        }
    }
}

/// Sends once, but only to a log that was compared with its witnesses since it was last out of reach.
async fn send(shared: &Shared, assembled: &Assembled) -> Result<Vec<UnitOutcome>, LogError> {
    if shared.reconnected.load(Ordering::Acquire) {
        shared.compare().await?;
        shared.reconnected.store(false, Ordering::Release);
    }
    fault("append.before")?;
    let began = shared.ports.clock.now();
    let outcomes = shared.ports.log.append(assembled.batch(shared)).await;
    // Told once, so noted before a rehearsal may replace the answer.
    if matches!(outcomes, Err(LogError::Reconnected)) {
        shared.reconnected.store(true, Ordering::Release);
    }
    fault("append.after")?;
    let took = u64::try_from(since(shared, began).as_micros()).unwrap_or(u64::MAX);
    (shared.ports.on_append)(took, assembled.rows());
    outcomes
}

/// How long ago a time of the clock was; nothing where the clock was set back.
fn since(shared: &Shared, began: Timestamp) -> Duration {
    let passed = shared.ports.clock.now().micros().saturating_sub(began.micros());
    Duration::from_micros(u64::try_from(passed).unwrap_or(0))
}

/// A rehearsal may have the log not answer, before it was asked or after it has written.
fn fault(point: &'static str) -> Result<(), LogError> {
    match faults::fails_at(point) {
        true => Err(LogError::Unavailable("a fault on purpose".into())),
        false => Ok(()),
    }
}

/// Folds a ticket's events that this node has not seen.
pub(super) async fn refresh(shared: &Shared, ticket: &mut Ticket) -> Result<(), DeskError> {
    let read = StreamRead {
        tenant: ticket.tenant.clone(),
        stream: Stream::ticket(ticket.id),
        after: ticket.last_position(),
    };
    let events = shared.ports.log.stream_events(&[read]).await?;
    ticket.apply_all(&events)?;
    Ok(())
}
