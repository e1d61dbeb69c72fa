//! Incarnations: a log restored from a backup begins the next one once, however often it is started or restored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docket_schemas::{Incarnation, Partition};
use tokio::task::JoinSet;

use crate::cursor::{Cursor, Positions};
use crate::desk::{Desk, GoOn, Ports, start};
use crate::memory::MemoryLog;
use crate::ports::log::EventLog as _;
use crate::ports::witness::{Witness, Witnessed};
use crate::testing::{NotedWitness, Office};

/// Starts a node on a log, writes there, and says under which incarnation.
async fn works(office: &Office) -> u32 {
    let desk = office.desk().await;
    desk.open(office.opening().await).await.unwrap();
    desk.incarnation().number()
}

#[tokio::test]
async fn a_backup_restored_twice_never_begins_the_same_incarnation_twice() {
    let mut office = Office::new().await;
    assert_eq!(works(&office).await, 1);
    for restored in 2..5 {
        // An empty log stands for a backup from before the first event; the witness remembers.
        office.log = Arc::new(MemoryLog::new());
        assert_eq!(works(&office).await, restored);
        assert_eq!(works(&office).await, restored, "a restart of a restored log is no restore");
    }
    let newest = office.log.incarnations().await.unwrap().pop().map(|start| start.incarnation);
    assert_eq!(newest, Some(Incarnation::new("eu", 4).unwrap()));
}

/// The place that the log has come to, as a node tells it.
async fn told(office: &Office, desk: &Desk) -> Cursor {
    let positions = office.log.heads().await.unwrap();
    Cursor { incarnation: desk.incarnation(), positions }
}

/// Opens as many tickets on a node as its log then has more events.
async fn opens(office: &Office, desk: &Desk, tickets: usize) {
    for _ in 0..tickets {
        desk.open(office.opening().await).await.unwrap();
    }
}

#[tokio::test]
async fn a_cursor_of_an_incarnation_that_the_log_does_not_list_begins_anew() {
    let log = Arc::new(MemoryLog::new());
    let office = Office::over(Arc::clone(&log) as _).await;
    let desk = office.desk().await;
    opens(&office, &desk, 20).await;
    let (early, wrong) = (told(&office, &desk).await, log.backup());
    opens(&office, &desk, 60).await;
    let right = log.backup();
    log.restore(wrong);
    let desk = office.desk().await;
    opens(&office, &desk, 5).await;
    let misled = told(&office, &desk).await;
    assert_eq!(misled.incarnation.number(), 2);
    log.restore(right);
    let desk = office.desk().await;
    let newest = told(&office, &desk).await;
    assert_eq!(newest.incarnation.number(), 3);
    let anew = Cursor { positions: Positions::START, ..newest.clone() };
    assert_eq!(desk.go_on(misled).await.unwrap(), GoOn::Replaced(anew));
    let early = Cursor { incarnation: newest.incarnation, ..early };
    let of_first = Cursor { incarnation: Incarnation::new("eu", 1).unwrap(), ..early.clone() };
    assert_eq!(desk.go_on(of_first).await.unwrap(), GoOn::From(early));
}

#[tokio::test]
async fn a_cursor_that_is_the_first_sign_of_a_restore_is_told_of_it() {
    let log = Arc::new(MemoryLog::new());
    let office = Office::over(Arc::clone(&log) as _).await;
    let desk = office.desk().await;
    opens(&office, &desk, 5).await;
    let (kept, backup) = (told(&office, &desk).await, log.backup());
    opens(&office, &desk, 5).await;
    let lost = told(&office, &desk).await;
    log.restore(backup);
    let second = Incarnation::new("eu", 2).unwrap();
    let replaced = Cursor { incarnation: second.clone(), positions: kept.positions };
    assert_eq!(desk.go_on(lost).await.unwrap(), GoOn::Replaced(replaced));
    assert_eq!(desk.incarnation(), second);
    // One of an incarnation that was lost with a second restore is no other's either.
    opens(&office, &desk, 5).await;
    let lost = told(&office, &desk).await;
    log.restore(MemoryLog::new().backup());
    log.begin_incarnation(None, &Incarnation::new("eu", 1).unwrap()).await.unwrap();
    let GoOn::Replaced(anew) = desk.go_on(lost).await.unwrap() else { panic!("it was lost") };
    assert_eq!((anew.incarnation.number(), anew.positions), (3, Positions::START));
}

/// A witness that answers slowly, and counts how often it is asked.
#[derive(Default)]
struct SlowWitness {
    noted: NotedWitness,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl Witness for SlowWitness {
    fn record(&self, reached: &[Witnessed]) {
        self.noted.record(reached);
    }

    async fn recall(&self) -> Result<Vec<Witnessed>, String> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.noted.recall().await
    }
}

#[tokio::test]
async fn a_crowd_with_cursors_beyond_the_log_shares_its_comparisons() {
    let office = Office::new().await;
    let witness = Arc::new(SlowWitness::default());
    let ports = Ports { witness: Arc::clone(&witness) as _, ..office.ports() };
    let desk = start(ports, "eu").await.unwrap().desk;
    opens(&office, &desk, 5).await;
    let mut beyond = told(&office, &desk).await;
    beyond.positions.set(Partition::new(3).unwrap(), 1_000);
    let before = witness.asked.load(Ordering::Acquire);
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let (desk, beyond) = (desk.clone(), beyond.clone());
        crowd.spawn(async move { desk.go_on(beyond).await.unwrap() });
    }
    while let Some(answer) = crowd.join_next().await {
        assert_eq!(answer.unwrap(), GoOn::NotIssued);
    }
    let asked = witness.asked.load(Ordering::Acquire) - before;
    assert!((1..=3).contains(&asked), "{asked} comparisons");
    assert_eq!(desk.incarnation().number(), 1);
}
