//! The lag of the projections as gauges, looked at by a task of its own.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use docket_engine::ports::clock::Clock;
use docket_projections::store::Phase;
use docket_projections::{PartitionSet, TICKETS_VIEW};
use docket_search::indexer::SEARCH_INDEX;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::sleep;

use super::Views;
use super::status::seconds_since;
use crate::metrics::Metrics;
use crate::search::Search;

/// How often the gauges are read anew.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The gauges of a projection, by partition.
#[derive(Clone, Default)]
pub struct LagGauges {
    events: Family<PartitionLabels, Gauge>,
    seconds: Family<PartitionLabels, Gauge<f64, AtomicU64>>,
    parked: Family<ProjectionLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    projection: &'static str,
    partition: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProjectionLabels {
    projection: &'static str,
}

impl LagGauges {
    /// Gauges that `/metrics` shows.
    #[must_use]
    pub fn registered(metrics: &Metrics) -> Self {
        let gauges = Self::default();
        let Self { events, seconds, parked } = gauges.clone();
        metrics.register(move |registry| {
            registry.register("projection_lag_events", "Events not yet projected", events);
            let help = "How long the oldest event that is not yet projected has waited";
            registry.register("projection_lag_seconds", help, seconds);
            registry.register("projection_parked", "Tickets that cannot be folded", parked);
        });
        gauges
    }

    /// Reads how far the tickets view and this node's index are behind, for as long as the process lives.
    pub async fn follow(self, views: Views, search: Search, clock: std::sync::Arc<dyn Clock>) {
        loop {
            if let Err(error) = self.read(&views, &search, &*clock).await {
                let error = &*error as &dyn std::error::Error;
                tracing::warn!(error, "projection.lag.unknown");
            }
            sleep(READ_EVERY).await;
        }
    }

    async fn read(
        &self,
        views: &Views,
        search: &Search,
        clock: &dyn Clock,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let indexed = *search.reached().borrow();
        for (projection, positions) in
            [(TICKETS_VIEW, views.store.reached().await?), (SEARCH_INDEX, indexed)]
        {
            for lag in views.freshness.lag(&positions).await? {
                let labels = PartitionLabels { projection, partition: lag.partition.number() };
                let events = i64::try_from(lag.events).unwrap_or(i64::MAX);
                self.events.get_or_create_owned(&labels).set(events);
                let seconds = lag.since.map_or(0.0, |since| seconds_since(since, clock.now()));
                self.seconds.get_or_create_owned(&labels).set(seconds);
            }
        }
        let versions = views.store.versions().await?;
        if let Some(active) = versions.iter().find(|version| version.phase == Phase::Active) {
            let parked = views.store.parked(active.number, PartitionSet::ALL).await?.len();
            let labels = ProjectionLabels { projection: TICKETS_VIEW };
            let parked = i64::try_from(parked).unwrap_or(i64::MAX);
            self.parked.get_or_create_owned(&labels).set(parked);
        }
        Ok(())
    }
}
