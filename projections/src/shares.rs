//! Sharing: the nodes of one log divide its partitions among them, by leases.
//!
//! A lease only saves work. Two nodes that both believe that a partition is theirs are told apart by the checkpoint.

use std::sync::Arc;

use docket_engine::ports::leases::{LEASE_RENEW_EVERY, LEASE_TTL, Leases};
use docket_engine::ports::log::LogError;
use docket_engine::ports::nodes::Nodes;
use docket_schemas::Partition;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::PartitionSet;

/// Into so many groups the partitions are divided: more nodes than these do not share the work.
pub const SHARE_GROUPS: u8 = 4;

/// A node's part in sharing.
pub struct Sharing {
    /// Who does what.
    pub leases: Arc<dyn Leases>,
    /// Who there is.
    pub nodes: Arc<dyn Nodes>,
    /// This node.
    pub node: Uuid,
    /// What is shared, such as `view/tickets`.
    pub name: String,
}

/// The partitions of a group.
fn partitions(group: u8) -> PartitionSet {
    Partition::all().filter(|one| one.number() % SHARE_GROUPS == group).collect()
}

impl Sharing {
    /// Holds this node's share and says which it is, until nobody listens; then lets go of it.
    pub async fn run(self, share: watch::Sender<PartitionSet>) {
        let mut held: Vec<u8> = Vec::new();
        while !share.is_closed() {
            match self.round(&mut held).await {
                Ok(()) => {
                    let mine = held.iter().map(|&group| partitions(group));
                    let mine = mine.fold(PartitionSet::NONE, PartitionSet::and);
                    share.send_if_modified(|known| {
                        let changed = *known != mine;
                        *known = mine;
                        changed
                    });
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "projection.share.failed");
                }
            }
            tokio::select! {
                () = sleep(LEASE_RENEW_EVERY) => {}
                () = share.closed() => {}
            }
        }
        for group in held {
            // If it fails the lease runs out by itself.
            let _ = self.leases.release(&self.lease(group), self.node).await;
        }
    }

    async fn round(&self, held: &mut Vec<u8>) -> Result<(), LogError> {
        let fair = self.fair_share().await?;
        while held.len() > fair {
            let Some(group) = held.pop() else { break };
            self.leases.release(&self.lease(group), self.node).await?;
        }
        // Every node begins elsewhere, so that they do not all ask for the same one.
        let first = self.node.as_bytes()[15] % SHARE_GROUPS;
        for offset in 0..SHARE_GROUPS {
            let group = (first + offset) % SHARE_GROUPS;
            let mine = held.contains(&group);
            if !mine && held.len() >= fair {
                continue;
            }
            let epoch = self.leases.hold(&self.lease(group), self.node, LEASE_TTL).await?;
            match (epoch, mine) {
                (Some(_), false) => held.push(group),
                (None, true) => held.retain(|one| *one != group),
                _ => {}
            }
        }
        Ok(())
    }

    /// The groups that are this node's if all who live take as many.
    async fn fair_share(&self) -> Result<usize, LogError> {
        let seen = self.nodes.seen(LEASE_TTL).await?;
        let others = seen.iter().filter(|seen| seen.id != self.node).count();
        Ok(usize::from(SHARE_GROUPS).div_ceil(others + 1))
    }

    fn lease(&self, group: u8) -> String {
        format!("{}/{group}", self.name)
    }
}
