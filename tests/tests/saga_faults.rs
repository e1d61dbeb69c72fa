//! Faults on purpose at every boundary of every step and undo: each saga ends done, undone or parked, done has all its
//! effects once, undone has none left.

use docket_tests::Rehearsal;
use serde_json::Value;

const DEFINITION: &str = "bench-four";
const STEPS: [&str; 4] = ["a", "b", "c", "d"];
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

async fn run(place: impl AsyncFn() -> Rehearsal) {
    let mut told = std::collections::BTreeMap::<String, usize>::new();
    let mut cases = Vec::new();
    for step in STEPS {
        for when in ["before", "after"] {
            for kind in KINDS {
                cases.push(format!("saga.bench-four.{step}.run.{when}:{kind}"));
                // Its undo is reached when the last step fails for good.
                let fails = "saga.bench-four.d.run.after:business";
                cases.push(format!("{fails},saga.bench-four.{step}.undo.{when}:{kind}"));
            }
        }
    }
    for nth in 1..=6 {
        for kind in ["kill", "transient"] {
            cases.push(format!("append.before:{kind}:{nth}"));
            cases.push(format!("append.after:{kind}:{nth}"));
        }
    }
    for fault in &cases {
        let place = place().await;
        let first = place.run(DEFINITION, 1, fault).await;
        let was_killed = first.is_none();
        let sagas = match first {
            Some(sagas) => sagas,
            None => place.run(DEFINITION, 0, "").await.expect("without a fault it is not killed"),
        };
        assert_eq!(was_killed, fault.contains("kill") && was_killed, "{fault}");
        // Killed before its first row was durable, a saga has not begun.
        assert!(sagas.len() <= 1, "{fault}");
        let standing = sagas.first().map_or("unbegun".to_owned(), |saga| check(fault, saga));
        *told.entry(standing).or_default() += 1;
    }
    println!("{} cases of faults: {told:?}", cases.len());
    assert!(
        told.contains_key("done") && told.contains_key("undone") && told.contains_key("parked")
    );
}

#[tokio::test]
async fn on_sqlite_every_saga_ends_done_undone_or_parked() {
    run(async || Rehearsal::sqlite()).await;
}

#[tokio::test]
async fn on_postgresql_every_saga_ends_done_undone_or_parked() {
    run(Rehearsal::postgres).await;
}
