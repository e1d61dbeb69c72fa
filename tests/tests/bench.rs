//! `docket bench`: each measurement runs at small size and prints every key that docs/bench.md names.

use docket_tests::{Backend, nats_url};
use serde_json::Value;

/// Runs a measurement and answers what it printed for programs.
fn bench(backend: &Backend, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> =
        ["bench"].iter().chain(arguments).chain(&["--json"]).copied().collect();
    let run = backend.site.run(&arguments).expect_code(0);
    serde_json::from_str(&run.stdout).expect("JSON on standard output")
}

#[track_caller]
fn has(object: &Value, keys: &[&str]) {
    let missing: Vec<_> = keys.iter().filter(|key| object.get(key).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {object:#}");
}

/// Every message that was said was heard, and what is printed of it is plausible.
fn check_fanout(backend: &Backend) {
    let report = bench(backend, &["fanout", "--sockets", "20", "--rates", "100", "--seconds", "1"]);
    has(&report, &["bench", "backend", "sockets", "processors", "echo_per_second"]);
    assert!(report["nats_per_second"].as_f64().is_some_and(|bare| bare > 0.0), "{report:#}");
    let rounds = report["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2, "one of the rate, one in which every tenth does not read");
    for round in rounds {
        has(round, &["rate", "stalled", "delivered_per_second", "p50_ms", "p99_ms", "errors"]);
        has(round, &["rows_per_append", "append_ms", "processor_micros_per_message"]);
        has(round, &["memory_bytes", "echo_ratio", "nats_ratio", "p99_growth"]);
        for projection in ["view", "index"] {
            has(&round["lag"][projection], &["p99_ms", "events_max"]);
        }
        assert_eq!(round["errors"], 0, "{round:#}");
        assert!(round["delivered_per_second"].as_f64().is_some_and(|rate| rate > 5.0), "{round:#}");
    }
}

#[test]
fn messages_are_said_and_heard_on_sqlite() {
    let mut backend = Backend::sqlite();
    backend.site = backend.site.with("nats-url", &nats_url());
    check_fanout(&backend);
}

#[tokio::test]
async fn messages_are_said_and_heard_on_postgresql() {
    let mut backend = Backend::postgres().await;
    backend.site = backend.site.with("nats-url", &nats_url());
    check_fanout(&backend);
}

#[test]
fn idle_sockets_are_kept_and_weighed_on_the_server_s_side() {
    let report = bench(&Backend::sqlite(), &["connections", "--sockets", "200", "--seconds", "6"]);
    has(&report, &["bench", "sockets", "seconds", "resident_bytes_before", "resident_bytes"]);
    assert_eq!(report["lost"], 0, "{report:#}");
    assert!(report["bytes_per_socket"].as_f64().is_some_and(|bytes| bytes > 0.0), "{report:#}");
}
