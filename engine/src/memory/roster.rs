//! Leases and nodes of one process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_schemas::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::cursor::Positions;
use crate::ports::clock::Clock;
use crate::ports::leases::Leases;
use crate::ports::log::LogError;
use crate::ports::nodes::{NODE_FORGOTTEN_AFTER, Nodes, SeenNode};

/// Who holds what and who is there, by the clock that it is given.
pub struct MemoryRoster {
    clock: Arc<dyn Clock>,
    leases: Mutex<HashMap<String, Lease>>,
    nodes: Mutex<BTreeMap<Uuid, (Positions, Timestamp)>>,
}

struct Lease {
    holder: Uuid,
    epoch: u64,
    expires_at: Timestamp,
}

impl MemoryRoster {
    /// Nobody is there and nothing is held.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, leases: Mutex::default(), nodes: Mutex::default() }
    }
}

#[async_trait]
impl Leases for MemoryRoster {
    async fn hold(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<u64>, LogError> {
        let now = self.clock.now();
        let mut leases = self.leases.lock();
        let free = || Lease { holder, epoch: 1, expires_at: now };
        let lease = leases.entry(name.to_owned()).or_insert_with(free);
        if lease.holder != holder {
            if lease.expires_at > now {
                return Ok(None);
            }
            (lease.holder, lease.epoch) = (holder, lease.epoch + 1);
        }
        lease.expires_at = later(now, ttl);
        Ok(Some(lease.epoch))
    }

    async fn release(&self, name: &str, holder: Uuid) -> Result<(), LogError> {
        if let Some(lease) = self.leases.lock().get_mut(name)
            && lease.holder == holder
        {
            lease.expires_at = Timestamp::from_micros(i64::MIN);
        }
        Ok(())
    }
}

#[async_trait]
impl Nodes for MemoryRoster {
    async fn report(&self, node: Uuid, index: &Positions) -> Result<(), LogError> {
        let now = self.clock.now();
        let mut nodes = self.nodes.lock();
        nodes.retain(|_, (_, at)| later(*at, NODE_FORGOTTEN_AFTER) > now);
        nodes.insert(node, (*index, now));
        Ok(())
    }

    async fn seen(&self, within: Duration) -> Result<Vec<SeenNode>, LogError> {
        let now = self.clock.now();
        let nodes = self.nodes.lock();
        let living = nodes.iter().filter(|(_, (_, at))| later(*at, within) > now);
        Ok(living.map(|(id, (index, _))| SeenNode { id: *id, index: *index }).collect())
    }

    async fn leave(&self, node: Uuid) -> Result<(), LogError> {
        self.nodes.lock().remove(&node);
        Ok(())
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.plus_micros(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}
