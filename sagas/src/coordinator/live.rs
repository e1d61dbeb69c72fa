//! Sagas under way on this node, each with the task that carries it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use docket_engine::ports::sagas::Standing;
use docket_schemas::{Partition, Position, SagaId, Tenant};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{SAGAS_LIVE_BYTES_MAX, SAGAS_LIVE_MAX, SagaError};

/// How long a saga's task waits, before each of its rows, for operators who write to its stream.
const OPERATORS_GO_FIRST_FOR: Duration = Duration::from_secs(1);

/// Names a saga.
pub(super) type Key = (Tenant, SagaId);

/// What a saga's task and the rest of the node tell one another.
pub(super) struct Signal {
    /// The last row that the task knows.
    known: AtomicU64,
    /// The stream may hold more than that.
    poked: AtomicBool,
    poke: Notify,
    /// The log was read to where the saga rests, while the task was still at work.
    read_to_rest: AtomicBool,
    /// Operators who are about to write to the stream.
    operators: watch::Sender<usize>,
    /// How the task left the saga; none while it is at work.
    over: watch::Sender<Option<Standing>>,
}

impl Signal {
    /// Goes back where the log was restored: what is written from there on is news.
    pub(super) fn know(&self, position: Position) {
        self.known.store(position, Ordering::Release);
    }

    /// Waits until the stream may hold more than the task knows.
    pub(super) async fn poked(&self) {
        while !self.poked.swap(false, Ordering::AcqRel) {
            self.poke.notified().await;
        }
    }

    /// Lets operators write first: part after part of a large job would leave them no gap between two rows.
    pub(super) async fn gives_way(&self) {
        let mut operators = self.operators.subscribe();
        let none = operators.wait_for(|operators| *operators == 0);
        // Whoever takes longer has lost touch with the log, which is no reason for the saga to stand still.
        let _ = timeout(OPERATORS_GO_FIRST_FOR, none).await;
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Standing>> {
        self.over.subscribe()
    }
}

/// An operator who is about to write to a saga's stream, until this is dropped.
pub(super) struct Announced(Arc<Signal>);

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.operators.send_modify(|operators| *operators -= 1);
    }
}

struct Handle {
    partition: Partition,
    signal: Arc<Signal>,
    task: Option<AbortHandle>,
    /// What its state holds.
    bytes: usize,
}

/// Most of what may be under way on a node before new sagas are told to come back.
#[derive(Debug, Clone, Copy)]
pub struct LiveLimits {
    /// Sagas.
    pub sagas_max: usize,
    /// Bytes of their states.
    pub bytes_max: usize,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self { sagas_max: SAGAS_LIVE_MAX, bytes_max: SAGAS_LIVE_BYTES_MAX }
    }
}

/// Every saga under way.
#[derive(Default)]
pub(super) struct Live {
    handles: Mutex<HashMap<Key, Handle>>,
    bytes: AtomicUsize,
    led: [AtomicBool; 16],
}

impl Live {
    /// Whether this node leads a partition.
    pub(super) fn leads(&self, partition: Partition) -> bool {
        self.led[partition.index()].load(Ordering::Acquire)
    }

    pub(super) fn lead(&self, partition: Partition) {
        self.led[partition.index()].store(true, Ordering::Release);
    }

    /// Another node leads the partition from now on: its sagas are dropped here.
    pub(super) fn let_go(&self, partition: Partition) {
        self.led[partition.index()].store(false, Ordering::Release);
        self.handles.lock().retain(|_, handle| {
            let stays = handle.partition != partition;
            if !stays {
                self.bytes.fetch_sub(handle.bytes, Ordering::AcqRel);
                if let Some(task) = &handle.task {
                    task.abort();
                }
            }
            stays
        });
    }

    pub(super) fn len(&self) -> usize {
        self.handles.lock().len()
    }

    /// Refuses one more saga that weighs `more` where the limits are reached.
    pub(super) fn admit(&self, limits: LiveLimits, more: usize) -> Result<(), SagaError> {
        let full = |limit, most| Err(SagaError::Full { limit, most });
        if self.len() >= limits.sagas_max {
            return full("SAGAS_LIVE_MAX", limits.sagas_max);
        }
        if self.bytes.load(Ordering::Acquire).saturating_add(more) > limits.bytes_max {
            return full("SAGAS_LIVE_BYTES_MAX", limits.bytes_max);
        }
        Ok(())
    }

    /// Notes what the state of a saga holds by now, while this task carries it.
    pub(super) fn weigh(&self, key: &Key, signal: &Arc<Signal>, bytes: usize) {
        let mut handles = self.handles.lock();
        let handle = handles.get_mut(key).filter(|handle| Arc::ptr_eq(&handle.signal, signal));
        if let Some(handle) = handle {
            let before = std::mem::replace(&mut handle.bytes, bytes);
            self.bytes.fetch_add(bytes, Ordering::AcqRel);
            self.bytes.fetch_sub(before, Ordering::AcqRel);
        }
    }

    fn remove(&self, handles: &mut HashMap<Key, Handle>, key: &Key) {
        if let Some(handle) = handles.remove(key) {
            self.bytes.fetch_sub(handle.bytes, Ordering::AcqRel);
        }
    }

    /// Has `carry` carry a saga unless one does already; whoever does is told where the stream was seen to end.
    pub(super) fn carry(
        &self,
        key: Key,
        partition: Partition,
        (seen, bytes): (Position, usize),
        carry: impl FnOnce(Arc<Signal>) -> AbortHandle,
    ) -> Arc<Signal> {
        let mut handles = self.handles.lock();
        if let Some(handle) = handles.get(&key)
            && handle.signal.over.borrow().is_none()
        {
            handle.signal.read_to_rest.store(false, Ordering::Release);
            if seen > handle.signal.known.load(Ordering::Acquire) {
                handle.signal.poked.store(true, Ordering::Release);
                handle.signal.poke.notify_one();
            }
            return Arc::clone(&handle.signal);
        }
        let signal = Arc::new(Signal::new(seen));
        // Within the lock, so that a task that ends at once finds its handle.
        let task = Some(carry(Arc::clone(&signal)));
        self.remove(&mut handles, &key);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        handles.insert(key, Handle { partition, signal: Arc::clone(&signal), task, bytes });
        signal
    }

    /// The task is done with its saga, unless somebody has poked it meanwhile.
    pub(super) fn leave(&self, key: &Key, signal: &Signal, standing: Standing) -> bool {
        let mut handles = self.handles.lock();
        if signal.poked.swap(false, Ordering::AcqRel) {
            return false;
        }
        signal.over.send_replace(Some(standing));
        if signal.read_to_rest.load(Ordering::Acquire) {
            self.remove(&mut handles, key);
        }
        true
    }

    /// The task is done with its saga, whatever anybody says.
    pub(super) fn abandon(&self, signal: &Signal, standing: Standing) {
        let _handles = self.handles.lock();
        signal.over.send_replace(Some(standing));
    }

    /// Announces an operator to whoever carries a saga on this node, if anybody does.
    pub(super) fn announce(&self, key: &Key) -> Option<Announced> {
        let signal = Arc::clone(&self.handles.lock().get(key)?.signal);
        signal.operators.send_modify(|operators| *operators += 1);
        Some(Announced(signal))
    }

    /// Tells whoever carries a saga that its stream may hold more.
    pub(super) fn poke(&self, key: &Key) {
        if let Some(handle) = self.handles.lock().get(key) {
            handle.signal.poked.store(true, Ordering::Release);
            handle.signal.poke.notify_one();
        }
    }

    /// Forgets a saga that is over, now or as soon as its task is; one that is carried again stays.
    pub(super) fn forget(&self, key: &Key) {
        let mut handles = self.handles.lock();
        let Some(handle) = handles.get(key) else { return };
        let is_over = handle.signal.over.borrow().is_some();
        if is_over {
            self.remove(&mut handles, key);
        } else {
            handle.signal.read_to_rest.store(true, Ordering::Release);
        }
    }
}

impl Signal {
    /// Of a saga that another node carries.
    pub(super) fn absent() -> Self {
        Self::new(0)
    }

    fn new(known: Position) -> Self {
        Self {
            known: AtomicU64::new(known),
            poked: AtomicBool::new(false),
            poke: Notify::new(),
            read_to_rest: AtomicBool::new(false),
            operators: watch::Sender::new(0),
            over: watch::Sender::new(None),
        }
    }
}
