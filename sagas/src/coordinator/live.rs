//! Sagas under way on this node, each with the task that carries it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use docket_engine::ports::sagas::Standing;
use docket_schemas::{Partition, Position, SagaId, Tenant};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

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
    /// How the task left the saga; none while it is at work.
    over: watch::Sender<Option<Standing>>,
}

impl Signal {
    pub(super) fn know(&self, position: Position) {
        self.known.fetch_max(position, Ordering::AcqRel);
    }

    /// Waits until the stream may hold more than the task knows.
    pub(super) async fn poked(&self) {
        while !self.poked.swap(false, Ordering::AcqRel) {
            self.poke.notified().await;
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Standing>> {
        self.over.subscribe()
    }
}

struct Handle {
    partition: Partition,
    signal: Arc<Signal>,
    task: Option<AbortHandle>,
}

/// Every saga under way.
#[derive(Default)]
pub(super) struct Live {
    handles: Mutex<HashMap<Key, Handle>>,
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
            if !stays && let Some(task) = &handle.task {
                task.abort();
            }
            stays
        });
    }

    pub(super) fn len(&self) -> usize {
        self.handles.lock().len()
    }

    /// Has `carry` carry a saga unless one does already; whoever does is told where the stream was seen to end.
    pub(super) fn carry(
        &self,
        key: Key,
        partition: Partition,
        seen: Position,
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
        handles.insert(key, Handle { partition, signal: Arc::clone(&signal), task });
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
            handles.remove(key);
        }
        true
    }

    /// The task is done with its saga, whatever anybody says.
    pub(super) fn abandon(&self, signal: &Signal, standing: Standing) {
        let _handles = self.handles.lock();
        signal.over.send_replace(Some(standing));
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
        if handle.signal.over.borrow().is_some() {
            handles.remove(key);
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
            over: watch::Sender::new(None),
        }
    }
}
