//! Leading: what taking a lane over costs, and how long its lease is held meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket_engine::contract::drafts::{after, append_one, chained, draft, placed, ticket};
use docket_engine::memory::MemorySagas;
use docket_engine::ports::bus::Bus as _;
use docket_engine::ports::leases::{LEASE_TTL, Leases as _};
use docket_engine::ports::log::{APPEND_BATCH_ROWS_MAX, LogError};
use docket_engine::ports::sagas::{Kept, Pause, SagaFilter, SagaPlace, SagaRow, SagaTable};
use docket_schemas::{Event, PARTITIONS, Partition, Position, SagaId, Stream, Tenant};
use uuid::Uuid;

use super::crew::Crew;

/// Writes to a stream that no saga has to do with, and that alone has a partition.
async fn write(crew: &Crew, numbers: std::ops::Range<u64>) {
    for first in numbers.step_by(APPEND_BATCH_ROWS_MAX) {
        let mut rows = vec![after(first, draft(ticket(1), first + 1))];
        let beyond = first + APPEND_BATCH_ROWS_MAX as u64;
        rows.extend((first + 2..=beyond).map(|number| chained(draft(ticket(1), number))));
        placed(&append_one(&crew.office.log, rows).await);
    }
    crew.office.bus.wake();
}

fn partition(crew: &Crew) -> Partition {
    Stream::ticket(ticket(1)).partition(&crew.office.tenant)
}

#[tokio::test]
async fn a_lane_is_led_from_the_end_of_the_log_and_its_table_follows() {
    let crew = Crew::new().await;
    let first = crew.node(vec![crew.four()]).await;
    crew.end(first).await;
    write(&crew, 0..1_500).await;
    let node = crew.node(vec![crew.four()]).await;
    let partition = partition(&crew);
    let head = crew.office.log.heads().await.unwrap().get(partition);
    assert_eq!((head, node.coordinator.opens_at(partition).await), (1_500, 1_500));
    let reached = async |at_least: Position| {
        for _ in 0..400 {
            if crew.table.reached(partition).await.unwrap() >= at_least {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the table stands still");
    };
    reached(head).await;
    write(&crew, 1_500..3_000).await;
    reached(head + 1_000).await;
}

/// Takes its time to say what has not ended, but for the first look of a node at all partitions.
struct Slow(Arc<MemorySagas>, AtomicU8);

#[async_trait]
impl SagaTable for Slow {
    async fn saga_events(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Event>, LogError> {
        self.0.saga_events(partition, after, limit).await
    }

    async fn reached(&self, partition: Partition) -> Result<Position, LogError> {
        self.0.reached(partition).await
    }

    async fn keep(
        &self,
        partition: Partition,
        from: Position,
        to: Position,
        kept: &Kept,
    ) -> Result<bool, LogError> {
        self.0.keep(partition, from, to, kept).await
    }

    async fn unended(&self, partition: Partition) -> Result<Vec<SagaRow>, LogError> {
        if self.1.fetch_add(1, Ordering::SeqCst) >= PARTITIONS {
            tokio::time::sleep(LEASE_TTL.div_f64(2.5)).await;
        }
        self.0.unended(partition).await
    }

    async fn find(&self, tenant: &Tenant, saga: SagaId) -> Result<Option<SagaRow>, LogError> {
        self.0.find(tenant, saga).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SagaFilter,
        after: Option<SagaPlace>,
        limit: usize,
    ) -> Result<Vec<SagaRow>, LogError> {
        self.0.list(tenant, filter, after, limit).await
    }

    async fn paused(&self) -> Result<Vec<Pause>, LogError> {
        self.0.paused().await
    }
}

#[tokio::test]
async fn a_lane_that_takes_long_to_open_stays_with_the_node_that_opens_it() {
    let crew = Crew::new().await;
    let slow = Arc::new(Slow(Arc::clone(&crew.table), AtomicU8::new(0)));
    let node = crew.node_over(slow, vec![crew.four()]).await.unwrap();
    let last = |lane: u8| Partition::new(PARTITIONS - 4 + lane).expect("of 16");
    while !(0..4).all(|lane| node.coordinator.leads(last(lane))) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for lane in 0..4 {
            let lease = format!("saga/{lane}");
            let taken = crew.roster.hold(&lease, Uuid::max(), LEASE_TTL).await.unwrap();
            assert_eq!(taken, None, "{lease} has run out");
        }
    }
}
