//! A lane: partitions that one node leads together, as long as it holds their lease.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use docket_engine::ports::leases::{LEASE_RENEW_EVERY, LEASE_TTL};
use docket_engine::ports::nodes::NODE_GONE_AFTER;
use docket_schemas::{PARTITIONS, Partition};
use tokio::time::{Interval, MissedTickBehavior, interval};

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
        let mut renew = interval(LEASE_RENEW_EVERY);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if !self.open(&mut renew).await? {
            return Ok(());
        }
        let mut keep = interval(KEEP_EVERY);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_behind = true;
        loop {
            // In this order: the lease is renewed between two pages, however many there are to read.
            tokio::select! {
                biased;
                _ = renew.tick() => {
                    if !is_wanted(self.shared, self.number).await {
                        let (leases, name) = (&self.shared.ports.leases, name(self.number));
                        return Ok(leases.release(&name, self.shared.ports.node).await?);
                    }
                    if !hold(self.shared, self.number).await {
                        return Ok(());
                    }
                }
                _ = keep.tick() => {
                    for projector in &mut self.projectors {
                        if !projector.keep(self.shared).await? {
                            return Ok(());
                        }
                    }
                }
                () = ready(()), if is_behind => {
                    if restores.has_changed().unwrap_or(true) {
                        // The table was restored with the log, and acts that it was to hold may be lost.
                        return Ok(self.shared.paused.look(&*self.shared.ports.table).await?);
                    }
                    is_behind = self.read_on().await?;
                }
                changed = heads.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    is_behind = true;
                }
            }
        }
    }

    /// Opens its partitions, and renews the lease meanwhile. False where that is another's by now.
    async fn open(&mut self, renew: &mut Interval) -> Result<bool, SagaError> {
        let (shared, number) = (self.shared, self.number);
        let mut opening = pin!(self.open_all());
        loop {
            tokio::select! {
                opened = &mut opening => return opened.map(|()| true),
                _ = renew.tick() => {
                    if !hold(shared, number).await {
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn open_all(&mut self) -> Result<(), SagaError> {
        // A definition's pause may stand in another lane, which is opened later.
        self.shared.paused.hear(&self.shared.ports).await?;
        for partition in partitions(self.number) {
            let projector = Projector::open(self.shared, partition).await?;
            self.shared.live.lead(partition);
            projector.carry_all(self.shared);
            self.projectors.push(projector);
        }
        Ok(())
    }

    /// Reads one page of each partition. True where there may be more.
    async fn read_on(&mut self) -> Result<bool, SagaError> {
        let mut is_behind = false;
        for projector in &mut self.projectors {
            is_behind |= projector.read_on(self.shared).await?;
        }
        Ok(is_behind)
    }
}
