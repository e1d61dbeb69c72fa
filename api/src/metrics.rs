//! What the process counts and times, as Prometheus reads it.

mod damage;
mod relay;

use std::collections::HashMap;

use axum::http::Method;
use docket_engine::tail::Tail;
use docket_sagas::Coordinator;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Shortest bucket of every duration, in seconds.
const BUCKET_SECONDS_MIN: f64 = 0.000_1;
/// Buckets of every duration, each twice as long as the one before: up to 6.5 seconds.
const BUCKETS: u16 = 17;
/// The route under which requests are counted that match none.
const UNMATCHED: &str = "unmatched";
/// The classes of statuses, from the first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of one process, all named `docket_…`.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// How long the log took to make a write durable.
    pub append_seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: &'static str,
}

#[derive(Debug)]
struct Sagas(Coordinator);

impl Collector for Sagas {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help =
            "Sagas of the partitions that this node leads; those that ended, since it leads them";
        let mut family = encoder.encode_descriptor("sagas", help, None, MetricType::Gauge)?;
        for (definition, standing, count) in self.0.counts() {
            let labels = [("definition", definition.as_str()), ("state", standing.as_str())];
            let of_definition = family.encode_family(&labels)?;
            ConstGauge::new(count).encode(of_definition)?;
        }
        Ok(())
    }
}

/// A histogram over the durations that Docket expects, in seconds.
#[must_use]
pub fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(BUCKET_SECONDS_MIN, 2.0, BUCKETS))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("docket");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(duration_histogram as fn() -> Histogram);
        let append_seconds = duration_histogram();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_seconds", "From head to answer", seconds.clone());
        registry.register("append_seconds", "Until a write is durable", append_seconds.clone());
        Self { registry: Mutex::new(registry), requests, seconds, append_seconds }
    }
}

impl Metrics {
    /// Lets another part of the process register its own metrics.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock());
    }

    /// Shows the sagas of the partitions that this node leads, whenever somebody asks.
    pub fn follow_sagas(&self, sagas: &Coordinator) {
        self.registry.lock().register_collector(Box::new(Sagas(sagas.clone())));
    }

    /// Shows how many rows of the log could not be read, whenever somebody asks.
    pub fn follow_damage(&self, tail: &Tail) {
        self.registry.lock().register_collector(Box::new(damage::Damage(tail.clone())));
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry.lock()) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }

    /// Counters for these routes, found by path without taking a lock.
    #[must_use]
    pub fn for_routes(&self, routes: &[(Method, &'static str)]) -> RequestMetrics {
        let mut paths: HashMap<&'static str, Vec<(Method, MethodMetrics)>> = HashMap::new();
        for (method, path) in routes {
            let metrics = self.method(path, method_name(method));
            paths.entry(path).or_default().push((method.clone(), metrics));
        }
        RequestMetrics { paths, unmatched: self.method(UNMATCHED, "other") }
    }

    fn method(&self, route: &'static str, method: &'static str) -> MethodMetrics {
        let count =
            |status| self.requests.get_or_create_owned(&RequestLabels { route, method, status });
        MethodMetrics {
            route,
            counts: CLASSES.map(count),
            seconds: self.seconds.get_or_create_owned(&RouteLabels { route, method }),
        }
    }
}

/// The counters of every route.
pub struct RequestMetrics {
    paths: HashMap<&'static str, Vec<(Method, MethodMetrics)>>,
    unmatched: MethodMetrics,
}

/// The counters of one method of one route.
pub struct MethodMetrics {
    /// The route's template, such as `/v1/tickets/{id}`.
    pub route: &'static str,
    counts: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl RequestMetrics {
    /// The counters for a matched path and method; those of no route for what matches none.
    #[must_use]
    pub fn find(&self, path: Option<&str>, method: &Method) -> &MethodMetrics {
        // HEAD is answered by GET's handler.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let methods = path.and_then(|path| self.paths.get(path));
        let found = methods.and_then(|methods| methods.iter().find(|(known, _)| known == method));
        found.map_or(&self.unmatched, |(_, metrics)| metrics)
    }
}

impl MethodMetrics {
    /// Counts one answer.
    pub fn observe(&self, status: u16, seconds: f64) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.counts[class].inc();
        self.seconds.observe(seconds);
    }
}

/// Known methods by name, so that callers cannot make up labels.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_route_method_and_class() {
        let metrics = Metrics::default();
        let requests = metrics.for_routes(&[(Method::GET, "/v1/tickets/{id}")]);
        requests.find(Some("/v1/tickets/{id}"), &Method::HEAD).observe(404, 0.001);
        requests.find(Some("/made/up"), &Method::GET).observe(404, 0.001);
        metrics.append_seconds.observe(0.002);
        let text = metrics.encode();
        for line in [
            "docket_http_requests_total{route=\"/v1/tickets/{id}\",method=\"GET\",status=\"4xx\"} 1",
            "docket_http_requests_total{route=\"unmatched\",method=\"other\",status=\"4xx\"} 1",
            "docket_http_request_seconds_count{route=\"/v1/tickets/{id}\",method=\"GET\"} 1",
            "docket_append_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
