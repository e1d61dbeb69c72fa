//! How far the relay is behind, asked when somebody reads the metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Metrics;

/// Says how many events wait; none while another node relays, which then is the one to ask.
struct RelayLag(Box<dyn Fn() -> Option<u64> + Send + Sync>);

impl fmt::Debug for RelayLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayLag")
    }
}

impl Collector for RelayLag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(events) = (self.0)() else { return Ok(()) };
        let gauge = ConstGauge::new(i64::try_from(events).unwrap_or(i64::MAX));
        let help = "Events that NATS has not acknowledged";
        let metric =
            encoder.encode_descriptor("relay_lag_events", help, None, MetricType::Gauge)?;
        gauge.encode(metric)
    }
}

impl Metrics {
    /// Shows `docket_relay_lag_events` whenever `lag` answers something.
    pub fn register_relay(&self, lag: Box<dyn Fn() -> Option<u64> + Send + Sync>) {
        self.register(|registry| registry.register_collector(Box::new(RelayLag(lag))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_node_that_relays_says_how_far_it_is_behind() {
        let metrics = Metrics::default();
        metrics.register_relay(Box::new(|| Some(7)));
        assert!(metrics.encode().contains("\ndocket_relay_lag_events 7\n"), "{}", metrics.encode());
        let metrics = Metrics::default();
        metrics.register_relay(Box::new(|| None));
        assert!(!metrics.encode().contains("relay_lag"));
    }
}
