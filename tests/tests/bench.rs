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
    // While all read, while every tenth does not, and again while all do.
    let stalled: Vec<_> = rounds.iter().map(|round| round["stalled"] == true).collect();
    assert_eq!(stalled, [false, true, false]);
    assert!(rounds[1]["p99_growth"].is_number(), "{report:#}");
    for round in rounds {
        has(round, &["rate", "stalled", "delivered_per_second", "p50_ms", "p99_ms", "errors"]);
        has(round, &["rows_per_append", "append_ms", "processor_micros_per_message"]);
        has(round, &["memory_bytes", "echo_ratio", "nats_ratio", "p99_growth"]);
        for projection in ["view", "index"] {
            has(&round["lag"][projection], &["p99_ms", "events_max"]);
        }
        assert_eq!((&round["errors"], &round["unheard"]), (&0.into(), &0.into()), "{round:#}");
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

fn check_freshness(backend: &Backend) {
    let report =
        bench(backend, &["freshness", "--rate", "100", "--seconds", "2", "--tickets", "200"]);
    has(
        &report,
        &["bench", "backend", "processors", "rate", "stale", "read_p50_ms", "read_p99_ms"],
    );
    assert!(report["written_per_second"].as_f64().is_some_and(|rate| rate > 20.0), "{report:#}");
    assert!(report["reads"].as_u64().is_some_and(|reads| reads > 2), "{report:#}");
    assert_eq!(report["missed"], 0, "{report:#}");
    for projection in ["view", "index"] {
        has(&report["lag"][projection], &["p99_ms", "events_max"]);
    }
}

#[test]
fn what_is_written_is_shown_on_sqlite() {
    check_freshness(&Backend::sqlite());
}

#[tokio::test]
async fn what_is_written_is_shown_on_postgresql() {
    check_freshness(&Backend::postgres().await);
}

#[test]
fn idle_sockets_are_kept_and_weighed_on_the_server_s_side() {
    let report = bench(&Backend::sqlite(), &["connections", "--sockets", "2000", "--seconds", "6"]);
    has(&report, &["bench", "sockets", "seconds", "resident_bytes_before", "resident_bytes"]);
    assert_eq!(report["lost"], 0, "{report:#}");
    assert!(report["bytes_per_socket"].as_f64().is_some_and(|bytes| bytes > 0.0), "{report:#}");
}

/// Every search found its tickets in the view, or there would be no report; what stands beside it has the same texts.
fn check_search(backend: &Backend) -> Value {
    let report = bench(backend, &["search", "--tickets", "1200", "--asked", "20"]);
    has(&report, &["bench", "backend", "processors", "tickets", "english_of_ten", "text_bytes"]);
    has(&report, &["index_bytes", "view_rows_per_second", "view_index_seconds", "full_text"]);
    has(&report, &["index_events_per_second"]);
    assert!(report["index_ratio"].as_f64().is_some_and(|ratio| ratio > 0.1), "{report:#}");
    for (asked, least) in [("lists", 150), ("counts", 25), ("searches", 68)] {
        has(&report[asked], &["p50_ms", "p99_ms"]);
        let kinds = report[asked]["kinds"].as_array().expect("kinds");
        assert!(kinds.len() >= least, "{} kinds of {asked}", kinds.len());
        kinds.iter().for_each(|kind| has(kind, &["kind", "found", "p50_ms", "p99_ms"]));
    }
    let all = report["counts"]["kinds"].as_array().and_then(|kinds| kinds.first());
    assert_eq!(all.map(|all| &all["found"]), Some(&Value::from(1200)), "{report:#}");
    report
}

fn found(kinds: &Value, kind: &str) -> Option<u64> {
    let kinds = kinds.as_array()?;
    kinds.iter().find(|one| one["kind"] == kind)?["found"].as_u64()
}

#[test]
fn tickets_are_listed_counted_and_found_on_sqlite() {
    let report = check_search(&Backend::sqlite());
    assert!(report["full_text"].is_null(), "{report:#}");
}

#[tokio::test]
async fn tickets_are_listed_counted_and_found_on_postgresql_as_often_as_by_its_own_search() {
    let report = check_search(&Backend::postgres().await);
    let theirs = &report["full_text"];
    has(theirs, &["index_bytes", "words_bytes", "fill_seconds", "p50_ms", "p99_ms"]);
    // Stems differ, and it looks for a word in all texts of a ticket together.
    let ours = found(&report["searches"]["kinds"], "English word, best first").expect("ours");
    let theirs = found(&theirs["kinds"], "English word").expect("theirs");
    assert!(theirs.abs_diff(ours) * 4 < ours.max(theirs), "{ours} and {theirs}");
}

fn check_replay(backend: &Backend) {
    let report = bench(backend, &["replay", "--events", "700"]);
    has(&report, &["bench", "backend", "processors", "questions", "questions_p99_ms"]);
    assert_eq!((&report["events"], &report["failed_questions"]), (&700.into(), &0.into()));
    for round in ["alone", "asked"] {
        has(&report[round], &["seconds_until_switch", "processor_micros_per_event"]);
        let rate = report[round]["events_per_second"].as_f64();
        assert!(rate.is_some_and(|rate| rate > 10.0), "{report:#}");
    }
}

#[test]
fn a_view_is_rebuilt_while_it_is_asked_on_sqlite() {
    check_replay(&Backend::sqlite());
}

#[tokio::test]
async fn a_view_is_rebuilt_while_it_is_asked_on_postgresql() {
    check_replay(&Backend::postgres().await);
}

fn check_merge(backend: &Backend) {
    let report = bench(backend, &["merge", "--tickets", "60", "--at-once", "8"]);
    has(&report, &["bench", "backend", "processors", "tickets", "at_once"]);
    has(&report, &["writes_ratio", "folded_ratio"]);
    for (round, conflicts) in [("concurrent", 60), ("in_turn", 0)] {
        let round = &report[round];
        assert_eq!(round["conflicts"], conflicts, "{report:#}");
        for rate in ["writes_per_second", "folded_per_second"] {
            assert!(round[rate].as_f64().is_some_and(|rate| rate > 5.0), "{report:#}");
        }
    }
}

#[test]
fn concurrent_writes_are_merged_on_sqlite() {
    check_merge(&Backend::sqlite());
}

#[tokio::test]
async fn concurrent_writes_are_merged_on_postgresql() {
    check_merge(&Backend::postgres().await);
}
