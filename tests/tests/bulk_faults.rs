//! Faults on purpose at every boundary of a job over many tickets: it ends done, undone or parked; done has changed each
//! ticket once, undone none, in the log, the view and the index alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_tests::{Rehearsal, is_honoured, is_long};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const DEFINITION: &str = "bulk-update";
const TICKETS: u64 = 130;
const KINDS: [&str; 4] = ["kill", "transient", "business", "twice"];
/// Rehearsals at once.
const AT_ONCE: usize = 4;
/// Of so many cases a short run takes one; the two backends begin at different ones.
const SHORT_TAKES_ONE_OF: usize = 5;

fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    let fails = format!("saga.{DEFINITION}.shown.run.before:business");
    for when in ["before", "after"] {
        for kind in KINDS {
            for nth in 1..=2 {
                let nth = if kind == "business" && nth == 2 { 0 } else { nth };
                cases.push(format!("saga.{DEFINITION}.apply.run.{when}:{kind}:{nth}"));
                cases.push(format!("{fails},saga.{DEFINITION}.apply.undo.{when}:{kind}:{nth}"));
            }
            cases.push(format!("saga.{DEFINITION}.shown.run.{when}:{kind}"));
            cases.push(format!("{fails},saga.{DEFINITION}.shown.undo.{when}:{kind}"));
        }
    }
    cases.retain(|fault| is_honoured(fault));
    cases
}

/// What came of a case, after a look at whether it is right.
fn check(fault: &str, told: &Value) -> String {
    let number = |name: &str| told[name].as_u64().unwrap_or(u64::MAX);
    let everywhere = [number("marked"), number("counted"), number("found")];
    let standing = told["standing"].as_str().unwrap_or_default();
    match standing {
        "done" => {
            assert_eq!(everywhere, [TICKETS; 3], "{fault}: every effect: {told:#}");
            assert_eq!(number("written"), TICKETS, "{fault}: once: {told:#}");
        }
        "undone" => {
            assert_eq!(everywhere, [0; 3], "{fault}: no effect is left: {told:#}");
            assert!(number("written") <= 2 * TICKETS, "{fault}: each undone once: {told:#}");
        }
        "parked" => assert!(told["step"].is_string(), "{fault}: it says where: {told:#}"),
        other => panic!("{fault}: it ends {other}: {told:#}"),
    }
    standing.to_owned()
}

async fn case(place: Rehearsal, fault: &str) -> String {
    let jobs = match place.run(DEFINITION, 1, fault).await {
        Some(jobs) => jobs,
        None => place.run(DEFINITION, 0, "").await.expect("without a fault it is not killed"),
    };
    assert!(jobs.len() <= 1, "{fault}");
    jobs.first().map_or("unbegun".to_owned(), |job| check(fault, job))
}

async fn run(offset: usize, place: impl AsyncFn() -> Rehearsal) {
    let mut cases = cases();
    if !is_long() {
        cases = cases.into_iter().skip(offset).step_by(SHORT_TAKES_ONE_OF).collect();
    }
    let mut running = JoinSet::new();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    for fault in cases.clone() {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
        let place = place().await;
        running.spawn(async move {
            let standing = case(place, &fault).await;
            drop(permit);
            standing
        });
    }
    let mut told = BTreeMap::<String, usize>::new();
    for standing in running.join_all().await {
        *told.entry(standing).or_default() += 1;
    }
    println!("{DEFINITION}: {} cases of faults: {told:?}", cases.len());
    assert!(told.contains_key("done") && told.contains_key("undone"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_every_job_ends_done_undone_or_parked() {
    run(0, async || Rehearsal::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_every_job_ends_done_undone_or_parked() {
    run(2, Rehearsal::postgres).await;
}
