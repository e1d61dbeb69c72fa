//! A lane: partitions that one node leads together, as long as it holds their lease.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::leases::{LEASE_RENEW_EVERY, LEASE_TTL};
use docket_engine::ports::nodes::NODE_GONE_AFTER;
use docket_schemas::{PARTITIONS, Partition};
use tokio::time::{MissedTickBehavior, interval};

use super::projector::Projector;
use super::{SagaError, Shared};

/// How many lanes there are: partitions are leased four at a time, for a lease of each would be sixteen writes a second.
pub(super) const LANES: u8 = 4;

/// How long a change waits until it stands in the table.
const KEEP_EVERY: Duration = Duration::from_millis(250);

/// Leads a lane whenever its lease is free.
pub(super) async fn lead(shared: Arc<Shared>, number: u8) {
    let mut ticks = interval(LEASE_RENEW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !is_wanted(&shared, number).await || !hold(&shared, number).await {
            continue;
        }
        let led = Led { shared: &shared, number, projectors: Vec::new() };
        if let Err(error) = led.lead().await {
            tracing::warn!(
                lane = number,
                error = &error as &dyn std::error::Error,
                "saga.lane.failed"
            );
        }
    }
}

fn name(number: u8) -> String {
    format!("saga/{number}")
}

/// Lets another node lead a lane at once, if it is this one's.
pub(super) async fn let_go(shared: &Shared, number: u8) {
    // Whoever does not hear of it waits for the lease to run out.
    let _ = shared.ports.leases.release(&name(number), shared.ports.node).await;
}

async fn hold(shared: &Shared, number: u8) -> bool {
    let held = shared.ports.leases.hold(&name(number), shared.ports.node, LEASE_TTL).await;
    matches!(held, Ok(Some(_)))
}

/// Nodes share the lanes by their order; a node that is not reported takes what it gets.
async fn is_wanted(shared: &Shared, number: u8) -> bool {
    let Ok(seen) = shared.ports.nodes.seen(NODE_GONE_AFTER).await else { return true };
    let own = seen.iter().position(|node| node.id == shared.ports.node);
    own.is_none_or(|own| usize::from(number) % seen.len() == own)
}

struct Led<'a> {
    shared: &'a Arc<Shared>,
    number: u8,
    projectors: Vec<Projector>,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        for projector in &self.projectors {
            projector.uncount(self.shared);
        }
        for partition in partitions(self.number) {
            self.shared.live.let_go(partition);
        }
    }
}

fn partitions(number: u8) -> impl Iterator<Item = Partition> {
    (number..PARTITIONS).step_by(usize::from(LANES)).filter_map(Partition::new)
}

impl Led<'_> {
    /// Leads until the lease is another's.
    async fn lead(mut self) -> Result<(), SagaError> {
        let mut heads = self.shared.ports.tail.heads();
        let restores = self.shared.ports.tail.restores();
        heads.mark_unchanged();
        // A definition's pause may stand in another lane, which is opened later.
        self.shared.paused.hear(&self.shared.ports).await?;
        for partition in partitions(self.number) {
            let projector = Projector::open(self.shared, partition).await?;
            self.shared.live.lead(partition);
            projector.carry_all(self.shared);
            self.projectors.push(projector);
        }
        let mut renew = interval(LEASE_RENEW_EVERY);
        let mut keep = interval(KEEP_EVERY);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = heads.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    if restores.has_changed().unwrap_or(true) {
                        // The table was restored with the log.
                        return Ok(());
                    }
                    for projector in &mut self.projectors {
                        projector.read_on(self.shared).await?;
                    }
                }
                _ = keep.tick() => {
                    for projector in &mut self.projectors {
                        if !projector.keep(self.shared).await? {
                            return Ok(());
                        }
                    }
                }
                _ = renew.tick() => {
                    if !is_wanted(self.shared, self.number).await {
                        let (leases, name) = (&self.shared.ports.leases, name(self.number));
                        return Ok(leases.release(&name, self.shared.ports.node).await?);
                    }
                    if !hold(self.shared, self.number).await {
                        return Ok(());
                    }
                }
            }
        }
    }
}
