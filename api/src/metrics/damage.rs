//! How many rows of the log this node could not read, whenever somebody asks.

use docket_engine::tail::Tail;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// Counts what the tail has reported.
#[derive(Debug)]
pub(super) struct Damage(pub(super) Tail);

impl Collector for Damage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help =
            "Rows of the log that could not be read since the node began; its log says which";
        let rows =
            encoder.encode_descriptor("log_unreadable_rows", help, None, MetricType::Gauge)?;
        let count = i64::try_from(self.0.reported().count()).unwrap_or(i64::MAX);
        ConstGauge::new(count).encode(rows)
    }
}
