//! The desk: where every write of a node comes together, and every read of a ticket begins.
//!
//! A write becomes rows in the appender, which merges what waits into one transaction; a read asks the log for the
//! ticket's newest events before it answers from memory.

mod answer;
mod appender;
mod cache;
mod cursors;
mod joint;
mod past;
mod showing;
mod snapshots;
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use docket_schemas::{Event, Incarnation, Tenant, TicketId};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use crate::command::{AuthorError, Authoring, Intent, Opening, Refusal, open};
use crate::keyring::{Keyring, KeyringError};
use crate::ports::bus::Bus;
use crate::ports::clock::Clock;
use crate::ports::ids::Ids;
use crate::ports::log::{EventLog, LogError, Unit};
use crate::ports::witness::Witness;
use crate::seal::DataKey;
use crate::tail::{Tail, Written};
use crate::ticket::{FoldError, Ticket};
pub use answer::Answer;
use appender::{Job, Reply, Work};
use cache::Cache;
use cursors::Comparisons;
pub use cursors::GoOn;
pub use joint::Joined;
pub use past::AsOf;
use past::PastTurns;
pub use start::{StartError, Started, start};

/// Most writes that wait for the appender; beyond it callers are told to come back.
pub const WAITING_WRITES_MAX: usize = 8_192;

/// How often a write that meets a new incarnation or erasure epoch is prepared again.
const PREPARE_TRIES_MAX: u32 = 8;

/// Why the desk gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The caller's fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The command is stored, for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too many writes wait.
    #[error("too many writes wait for the log")]
    Overloaded,
    /// The log did not answer in time; whether the write was done is unknown, and the same key finds out.
    #[error("the event log does not answer")]
    Unavailable(#[source] Arc<LogError>),
    /// The log holds what cannot be read.
    #[error("the event log is damaged")]
    Damaged(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The key store failed.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// A row beside a joint write named an end of its stream that is not the end any longer: another node goes on with
    /// it, or the log was restored from before it.
    #[error("another node has gone on with the stream")]
    Fenced,
    /// Others have written to tickets of a divisible unit each time that it came to the log.
    #[error("others keep writing to its tickets")]
    Contended,
    /// The node is going down.
    #[error("this node is stopping")]
    Stopping,
}

impl DeskError {
    /// The same failure for another caller of the same batch.
    fn for_another(&self) -> Self {
        match self {
            Self::Unavailable(source) => Self::Unavailable(Arc::clone(source)),
            Self::Damaged(source) => Self::Damaged(Arc::clone(source)),
            _ => Self::Stopping,
        }
    }
}

impl From<LogError> for DeskError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(_) | LogError::Reconnected => Self::Unavailable(Arc::new(error)),
            LogError::Damaged { .. } => Self::Damaged(Arc::new(error)),
        }
    }
}

impl From<FoldError> for DeskError {
    fn from(error: FoldError) -> Self {
        Self::Damaged(Arc::new(error))
    }
}

impl From<AuthorError> for DeskError {
    fn from(error: AuthorError) -> Self {
        match error {
            AuthorError::Refused(refusal) => Self::Refused(refusal),
            AuthorError::Stale => Self::Contended,
            AuthorError::Fold(error) => error.into(),
        }
    }
}

/// What a desk stands on.
pub struct Ports {
    /// The truth.
    pub log: Arc<dyn EventLog>,
    /// Persons and keys.
    pub keyring: Arc<Keyring>,
    /// Wakes those who follow the log.
    pub bus: Arc<dyn Bus>,
    /// Remembers outside the database how far the log had come.
    pub witness: Arc<dyn Witness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
    /// Told of every append: how long it took, in microseconds, and how many rows it had.
    pub on_append: Box<dyn Fn(u64, usize) + Send + Sync>,
}

pub(crate) struct Shared {
    ports: Ports,
    cache: Cache,
    incarnation: RwLock<Incarnation>,
    erasure_epoch: AtomicU64,
    /// The log was out of reach, and has not been compared with its witnesses since.
    reconnected: AtomicBool,
    /// What the appender has written, for this node's tail.
    written: Written,
    past_turns: PastTurns,
    comparisons: Comparisons,
}

/// A node's one place for writes and reads. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    shared: Arc<Shared>,
    submit: mpsc::Sender<Job>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({})", self.shared.incarnation.read())
    }
}

impl Desk {
    /// The region as it now is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.shared.incarnation.read().clone()
    }

    /// What it stands on.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.shared.ports
    }

    /// Follows the log. What this desk writes is not read again for it, and where the log turns out to be restored this desk
    /// compares it with its witnesses.
    ///
    /// # Errors
    /// When the log does not say how far it has come.
    pub async fn follow(&self) -> Result<Tail, LogError> {
        let Ports { log, bus, .. } = self.ports();
        Tail::follow_beside(Arc::clone(log), &**bus, Arc::clone(&self.shared)).await
    }

    /// Compares the log with its witnesses, as at the start, and begins a new incarnation where one of them has seen
    /// what the log no longer has: for somebody who finds such a witness later.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn compare_with_witnesses(&self) -> Result<(), StartError> {
        start::compare_again(&self.shared).await
    }

    /// Opens a ticket, or answers as the first time when the same command was stored before.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn open(&self, opening: Opening) -> Result<Answer, DeskError> {
        let mut opening = opening;
        for _ in 0..PREPARE_TRIES_MAX {
            let epoch = self.shared.epoch();
            opening.key = self.living(&opening.key).await?.ok_or_else(Refusal::erased)?;
            let incarnation = self.incarnation();
            let with = Authoring { incarnation: &incarnation, ids: &*self.shared.ports.ids };
            let (row, mut ticket) = open(&opening, with)?;
            // Worked out now and not afterwards: of the ticket nothing waits for the log but what is shown of it.
            let resolved = ticket.resolve()?;
            drop(ticket);
            let unit = Unit { rows: vec![row] };
            match self.submit(Work::Prepared(Box::new(unit), incarnation), epoch).await? {
                Reply::Done(done) => {
                    return Ok(Answer::first(resolved, done.placed[0], opening.command_id));
                }
                Reply::Duplicate(stored) => {
                    same_request(&stored, opening.request_mac.as_ref())?;
                    return self.replayed_opening(&stored).await;
                }
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Failed(error) => return Err(error),
                Reply::Fenced => return Err(DeskError::Fenced),
                Reply::Again => {}
            }
        }
        Err(DeskError::Overloaded)
    }

    /// Does a command on a ticket, or answers as the first time when it was stored before.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn execute(&self, intent: Intent) -> Result<Answer, DeskError> {
        let mut intent = Arc::new(intent);
        for _ in 0..PREPARE_TRIES_MAX {
            let epoch = self.shared.epoch();
            self.renew_keys(&mut intent).await?;
            match self.submit(Work::Intent(Arc::clone(&intent)), epoch).await? {
                Reply::Done(done) => return Answer::of_commit(*done),
                Reply::Duplicate(stored) => {
                    same_request(&stored, intent.request_mac.as_ref())?;
                    return Box::pin(self.replayed(&stored, &intent.caller)).await;
                }
                Reply::Refused(Refusal::Elsewhere) => {
                    // Boxed, for it is rare: every write's future would be as large.
                    if let Some(answer) = Box::pin(self.forward(&intent)).await? {
                        return Ok(answer);
                    }
                }
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Failed(error) => return Err(error),
                Reply::Fenced => return Err(DeskError::Fenced),
                Reply::Again => {}
            }
        }
        Err(DeskError::Overloaded)
    }

    /// Puts the keys of the present erasure epoch into an intent; one that was destroyed is taken out.
    async fn renew_keys(&self, intent: &mut Arc<Intent>) -> Result<(), DeskError> {
        let (text, requester) = (intent.text_key.clone(), intent.requester_key.clone());
        let same = |old: &Option<Arc<DataKey>>, new: &Option<Arc<DataKey>>| match (old, new) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        let mut living = [None, None];
        for (living, key) in living.iter_mut().zip([&text, &requester]) {
            if let Some(key) = key {
                *living = self.living(key).await?;
            }
        }
        let [text_key, requester_key] = living;
        if !same(&text, &text_key) || !same(&requester, &requester_key) {
            let intent = Arc::make_mut(intent);
            (intent.text_key, intent.requester_key) = (text_key, requester_key);
        }
        Ok(())
    }

    /// A key as the key store now has it; none once it was destroyed.
    async fn living(&self, key: &DataKey) -> Result<Option<Arc<DataKey>>, DeskError> {
        Ok(self.ports().keyring.key(key.id()).await?)
    }

    async fn submit(&self, work: Work, epoch: u64) -> Result<Reply, DeskError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::new(work, epoch, reply);
        self.submit.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DeskError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => DeskError::Stopping,
        })?;
        answer.await.map_err(|_| DeskError::Stopping)
    }

    /// Looks at a ticket as it is now; none where there is no such ticket.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn look<R>(
        &self,
        tenant: &Tenant,
        id: TicketId,
        look: impl FnOnce(&mut Ticket) -> R + Send,
    ) -> Result<Option<R>, DeskError> {
        let entry = self.shared.cache.entry(tenant, id);
        let mut held = entry.lock().await;
        let mut ticket = match held.take() {
            Some(ticket) => ticket,
            None => {
                let restored = snapshots::restore(&self.shared, &[(tenant.clone(), id)]).await?;
                restored.into_values().next().unwrap_or_else(|| Ticket::new(tenant.clone(), id))
            }
        };
        let derived = ticket.last_position() > 0;
        match appender::refresh(&self.shared, &mut ticket).await {
            Err(DeskError::Damaged(_)) if derived => {
                ticket = snapshots::fold_anew(&self.shared, &(tenant.clone(), id)).await?;
            }
            refreshed => refreshed?,
        }
        snapshots::keep(&self.shared, &mut ticket);
        self.shared.cache.weigh(&ticket);
        if ticket.facts().is_none() {
            return Ok(None);
        }
        Ok(Some(look(held.insert(ticket))))
    }

    /// Looks at a ticket as this node last knew it: for what never changes, such as its requester.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn glance<R>(
        &self,
        tenant: &Tenant,
        id: TicketId,
        look: impl FnOnce(&mut Ticket) -> R + Send,
    ) -> Result<Option<R>, DeskError> {
        let entry = self.shared.cache.entry(tenant, id);
        {
            let mut held = entry.lock().await;
            if let Some(ticket) = held.as_mut().filter(|ticket| ticket.facts().is_some()) {
                return Ok(Some(look(ticket)));
            }
        }
        // Boxed, for it is rare, and its future is large.
        Box::pin(self.look(tenant, id, look)).await
    }
}

impl Shared {
    fn epoch(&self) -> u64 {
        self.erasure_epoch.load(Ordering::Acquire)
    }

    /// The region goes on as `newest`: the log was restored, and no ticket in memory is known to be what it now holds.
    fn go_on_as(&self, newest: Incarnation) {
        *self.incarnation.write() = newest;
        self.cache.clear();
        self.written.forget();
    }
}

fn same_request(stored: &Event, mac: Option<&docket_schemas::Mac>) -> Result<(), DeskError> {
    if stored.request_mac.as_ref() == mac { Ok(()) } else { Err(DeskError::KeyReused) }
}
