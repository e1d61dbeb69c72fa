//! Faults on purpose at every boundary of a merge and of an unmerge: each ends done, undone or parked; done has all its
//! effects once, undone has none left, in the log, the view and the index alike.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use docket_tests::{Rehearsal, is_honoured, is_long};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const KINDS: [&str; 4] = ["kill", "transient", "business", "twice"];
/// Rehearsals at once: most of their time they wait for a commit of the index, or for a dead process's lease.
const AT_ONCE: usize = 6;
/// Of so many cases a short run takes one; the four matrices begin at different ones.
const SHORT_TAKES_ONE_OF: usize = 7;
/// Appends of a rehearsal among which a merge's and an unmerge's are, counted from 1.
const APPENDS: std::ops::RangeInclusive<usize> = 4..=16;

#[derive(Debug, Clone, Copy)]
struct Kind {
    definition: &'static str,
    moves: &'static str,
}

const MERGE: Kind = Kind { definition: "merge-tickets", moves: "attach" };
const UNMERGE: Kind = Kind { definition: "unmerge-tickets", moves: "detach" };

impl Kind {
    /// Every boundary of every step and undo, each with every kind of fault.
    fn cases(self) -> Vec<String> {
        let (name, mut cases) = (self.definition, Vec::new());
        let fails = format!("saga.{name}.end.run.before:business");
        for when in ["before", "after"] {
            for kind in KINDS {
                for step in ["begin", self.moves, "shown", "end"] {
                    cases.push(format!("saga.{name}.{step}.run.{when}:{kind}"));
                }
                // The undos are reached when the last step fails for good.
                for step in [self.moves, "shown", "begin"] {
                    cases.push(format!("{fails},saga.{name}.{step}.undo.{when}:{kind}"));
                }
            }
            for kind in ["kill", "transient"] {
                cases.extend(APPENDS.map(|nth| format!("append.{when}:{kind}:{nth}")));
                cases.extend((1..=3).map(|nth| format!("index.{when}:{kind}:{nth}")));
                cases.extend((1..=3).map(|nth| format!("projection.{when}:{kind}:{nth}")));
            }
        }
        cases.retain(|fault| is_honoured(fault));
        cases
    }

    /// What a fault may come to.
    fn expected(self, fault: &str) -> &'static [&'static str] {
        let business = |at: &str| fault.contains(at) && fault.ends_with(":business");
        if business(".undo.before") {
            &["parked"]
        } else if fault.contains(".undo.") {
            &["undone"]
        } else if business("end.run.after") {
            // The last step's row ends the saga too.
            &["done"]
        } else if business(".run.") {
            &["undone"]
        } else if fault.contains("begin.run.before:kill") {
            &["unbegun"]
        } else if fault.contains(":kill") || fault.contains("append.") {
            &["done", "unbegun"]
        } else {
            &["done"]
        }
    }

    /// Whether a saga that came to this leaves its tickets merged.
    fn leaves_merged(self, standing: &str) -> bool {
        (self.definition == MERGE.definition) == (standing == "done")
    }
}

/// What came of a case, after a look at whether it is right.
fn check(kind: Kind, fault: &str, saga: &Value) -> String {
    let standing = saga["standing"].as_str().unwrap();
    let (source, into) = (Seen(&saga["source"]), Seen(&saga["into"]));
    for seen in [source, into] {
        seen.is_the_same_everywhere(fault);
    }
    match standing {
        "done" | "undone" if kind.leaves_merged(standing) => merged(fault, saga, source, into),
        "done" | "undone" => apart(fault, saga, source, into),
        "parked" => {
            assert!(saga["step"].is_string(), "{fault}: it says where: {saga:#}");
            for seen in [source, into] {
                let state = seen.0["ticket"]["merge"]["state"].as_str();
                assert!(
                    matches!(state, Some("merging" | "unmerging")),
                    "{fault}: a mark: {saga:#}"
                );
            }
        }
        other => panic!("{fault}: it ends {other}"),
    }
    counts(kind, fault, standing, source, into);
    standing.to_owned()
}

fn merged(fault: &str, saga: &Value, source: Seen<'_>, into: Seen<'_>) {
    assert_eq!(source.0["ticket"]["status"], "closed", "{fault}");
    assert_eq!(source.0["ticket"]["merge"]["state"], "merged", "{fault}");
    assert_eq!(source.0["ticket"]["merge"]["into"], *into.id(), "{fault}");
    assert_eq!(into.0["ticket"]["merge"]["from"], json!([source.id()]), "{fault}");
    assert_eq!(into.0["ticket"]["merge"]["state"], "merged", "{fault}");
    assert_ne!(into.0["ticket"]["status"], "closed", "{fault}");
    assert_eq!(into.0["ticket"]["message_count"], 4, "{fault}");
    assert_eq!(into.0["ticket"]["tags"].as_array().unwrap().len(), 2, "{fault}");
    assert_eq!(into.messages().len(), 4, "{fault}: each message once: {saga:#}");
    assert_eq!(source.0["messages"], into.0["messages"], "{fault}");
    assert_eq!((source.found(), into.found()), (vec![into.id()], vec![into.id()]), "{fault}");
    assert_eq!(saga["closed"], 1, "{fault}: {saga:#}");
}

fn apart(fault: &str, saga: &Value, source: Seen<'_>, into: Seen<'_>) {
    for seen in [source, into] {
        let ticket = &seen.0["ticket"];
        assert_eq!(ticket["merge"], Value::Null, "{fault}: {saga:#}");
        assert_eq!(
            (&ticket["status"], &ticket["message_count"]),
            (&json!("new"), &json!(2)),
            "{fault}"
        );
        assert_eq!(ticket["tags"], json!([ticket["subject"]]), "{fault}");
        assert_eq!(seen.messages().len(), 2, "{fault}: {saga:#}");
        assert_eq!(seen.found(), [seen.id()], "{fault}: {saga:#}");
    }
    assert!(source.messages().is_disjoint(&into.messages()), "{fault}");
    assert_eq!(saga["closed"], 0, "{fault}: {saga:#}");
}

/// Each effect stands in the log once, and whatever was undone was undone once.
fn counts(kind: Kind, fault: &str, standing: &str, source: Seen<'_>, into: Seen<'_>) {
    let sagas = if kind.definition == MERGE.definition { 1 } else { 2 };
    for seen in [source, into] {
        let of = |event: &str| seen.0["events"][event].as_u64().unwrap_or(0);
        let (begun, ended) = (of("ticket.merge_begun"), of("ticket.merge_ended"));
        let parked = u64::from(standing == "parked");
        assert!(begun <= sagas && begun == ended + parked, "{fault}: {:#}", seen.0["events"]);
    }
    let of = |seen: Seen<'_>, event: &str| seen.0["events"][event].as_u64().unwrap_or(0);
    let (there, back) = (of(source, "ticket.merged"), of(source, "ticket.unmerged"));
    assert_eq!(there, of(into, "ticket.merge_attached"), "{fault}");
    assert_eq!(back, of(into, "ticket.merge_detached"), "{fault}");
    assert!(there <= sagas && (back == there || back + 1 == there), "{fault}");
    if standing != "parked" {
        assert_eq!(there > back, kind.leaves_merged(standing), "{fault}");
    }
}

/// What a rehearsal says of a ticket.
#[derive(Debug, Clone, Copy)]
struct Seen<'a>(&'a Value);

impl<'a> Seen<'a> {
    fn id(self) -> &'a Value {
        &self.0["ticket"]["id"]
    }

    fn messages(self) -> BTreeSet<&'a str> {
        self.0["messages"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
    }

    fn found(self) -> Vec<&'a Value> {
        self.0["found"].as_array().unwrap().iter().map(|ticket| &ticket["id"]).collect()
    }

    /// The list and the search show the ticket as it shows itself, its mark with the rest.
    fn is_the_same_everywhere(self, fault: &str) {
        let ticket = &self.0["ticket"];
        assert_eq!(self.0["listed"], json!([ticket]), "{fault}");
        assert_eq!(self.0["messages"].as_array().unwrap().len(), self.messages().len(), "{fault}");
        let itself =
            self.0["found"].as_array().unwrap().iter().filter(|one| one["id"] == ticket["id"]);
        for found in itself {
            assert_eq!(found, ticket, "{fault}");
        }
        assert_eq!(self.found().len(), 1, "{fault}: one ticket shows the text: {:#}", self.0);
    }
}

async fn case(kind: Kind, place: Rehearsal, fault: &str) -> String {
    let sagas = match place.run(kind.definition, 1, fault).await {
        Some(sagas) => sagas,
        None => place.run(kind.definition, 0, "").await.expect("without a fault it is not killed"),
    };
    place.remove().await;
    // Killed before its first row was durable, a saga has not begun.
    assert!(sagas.len() <= 1, "{fault}");
    let standing = sagas.first().map_or("unbegun".to_owned(), |saga| check(kind, fault, saga));
    assert!(kind.expected(fault).contains(&&*standing), "{fault}: it ends {standing}");
    standing
}

async fn run(kind: Kind, offset: usize, place: impl AsyncFn() -> Rehearsal) {
    let mut cases = kind.cases();
    if !is_long() {
        cases = cases.into_iter().skip(offset).step_by(SHORT_TAKES_ONE_OF).collect();
    }
    let mut running = JoinSet::new();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    for fault in cases.clone() {
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let place = place().await;
        running.spawn(async move {
            let standing = case(kind, place, &fault).await;
            drop(permit);
            standing
        });
    }
    let mut told = BTreeMap::<String, usize>::new();
    for standing in running.join_all().await {
        *told.entry(standing).or_default() += 1;
    }
    println!("{}: {} cases of faults: {told:?}", kind.definition, cases.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_every_merge_ends_done_undone_or_parked() {
    run(MERGE, 0, async || Rehearsal::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_every_unmerge_ends_done_undone_or_parked() {
    run(UNMERGE, 1, async || Rehearsal::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_every_merge_ends_done_undone_or_parked() {
    run(MERGE, 2, Rehearsal::postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_every_unmerge_ends_done_undone_or_parked() {
    run(UNMERGE, 3, Rehearsal::postgres).await;
}
