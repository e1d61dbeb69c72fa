//! Faults on purpose at every boundary of every step and undo: each saga ends done, undone or parked, done has all its
//! effects once, undone has none left.

use docket_tests::{Rehearsal, is_honoured, is_long};
use serde_json::Value;

const DEFINITION: &str = "bench-four";
const STEPS: [&str; 4] = ["a", "b", "c", "d"];
/// Of so many cases a short run takes one; the two backends begin at different ones.
const SHORT_TAKES_ONE_OF: usize = 3;
/// Cases that run at the same time: each waits most of the time.
const AT_ONCE: usize = 8;
const KINDS: [&str; 4] = ["kill", "transient", "business", "twice"];

/// What came of a case, and whether that is right.
fn check(fault: &str, saga: &Value) -> String {
    let tags: Vec<&str> =
        saga["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let changes = saga["changes"].as_u64().expect("a number");
    let standing = saga["standing"].as_str().expect("a standing");
    match standing {
        "done" => assert_eq!((tags, changes), (STEPS.to_vec(), 4), "{fault}: all effects, once"),
        "undone" => {
            assert!(tags.is_empty(), "{fault}: no effect is left: {saga}");
            assert!(changes.is_multiple_of(2) && changes <= 8, "{fault}: each undone once: {saga}");
        }
        "parked" => assert!(saga["step"].is_string(), "{fault}: it says where: {saga}"),
        other => panic!("{fault}: it ends {other}"),
    }
    standing.to_owned()
}

/// Every fault at every boundary. The row of the last step ends the saga too: after it there is no way back.
fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    let fails = "saga.bench-four.d.run.before:business";
    for when in ["before", "after"] {
        for kind in KINDS {
            let run = |step| format!("saga.bench-four.{step}.run.{when}:{kind}");
            let undo = |step| format!("{fails},saga.bench-four.{step}.undo.{when}:{kind}");
            cases.extend(STEPS.map(run));
            cases.extend(["a", "b", "c"].map(undo));
        }
    }
    for nth in 1..=6 {
        for kind in ["kill", "transient"] {
            cases.push(format!("append.before:{kind}:{nth}"));
            cases.push(format!("append.after:{kind}:{nth}"));
        }
    }
    cases.retain(|fault| is_honoured(fault));
    cases
}

/// What a fault may come to.
fn expected(fault: &str) -> &'static [&'static str] {
    let business = |at: &str| fault.contains(at) && fault.ends_with(":business");
    if business(".undo.before") {
        &["parked"]
    } else if fault.contains(".undo.") {
        &["undone"]
    } else if business("d.run.after") {
        &["done"]
    } else if business(".run.") {
        &["undone"]
    } else if fault.contains(":kill") {
        &["done", "unbegun"]
    } else {
        &["done"]
    }
}

async fn run(offset: usize, place: impl AsyncFn() -> Rehearsal) {
    let mut cases = cases();
    if !is_long() {
        cases = cases.into_iter().skip(offset).step_by(SHORT_TAKES_ONE_OF).collect();
    }
    let mut told = std::collections::BTreeMap::<String, usize>::new();
    let mut running = tokio::task::JoinSet::new();
    for fault in &cases {
        if running.len() == AT_ONCE {
            *told.entry(ended(running.join_next().await)).or_default() += 1;
        }
        let (place, fault) = (place().await, fault.clone());
        running.spawn(async move { meet(place, &fault).await });
    }
    while !running.is_empty() {
        *told.entry(ended(running.join_next().await)).or_default() += 1;
    }
    println!("{} cases of faults: {told:?}", cases.len());
}

fn ended(case: Option<Result<String, tokio::task::JoinError>>) -> String {
    case.expect("one is under way").expect("it ends as it should")
}

/// Runs one case, and answers what came of it.
async fn meet(place: Rehearsal, fault: &str) -> String {
    let sagas = match place.run(DEFINITION, 1, fault).await {
        Some(sagas) => sagas,
        None => place.run(DEFINITION, 0, "").await.expect("without a fault it is not killed"),
    };
    place.remove().await;
    // Killed before its first row was durable, a saga has not begun.
    assert!(sagas.len() <= 1, "{fault}");
    let standing = sagas.first().map_or("unbegun".to_owned(), |saga| check(fault, saga));
    assert!(expected(fault).contains(&&*standing), "{fault}: it ends {standing}");
    standing
}

#[tokio::test]
async fn on_sqlite_every_saga_ends_done_undone_or_parked() {
    run(0, async || Rehearsal::sqlite()).await;
}

#[tokio::test]
async fn on_postgresql_every_saga_ends_done_undone_or_parked() {
    run(1, Rehearsal::postgres).await;
}
