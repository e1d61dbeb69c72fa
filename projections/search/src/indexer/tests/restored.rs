//! The index as it follows a log that is restored from a backup while it does.

use docket_engine::memory::{MemoryBackup, MemoryLog};
use docket_schemas::Incarnation;
use parking_lot::RwLock;

use super::*;

/// An index fed from a log that can be restored, by what is said to be of an incarnation.
struct Restored {
    world: Following,
    log: Arc<MemoryLog>,
    fed_from: Arc<RwLock<Incarnation>>,
}

impl Restored {
    /// One ticket is in the log and in the index.
    async fn new() -> Self {
        let log = Arc::new(MemoryLog::new());
        let mut world = Following::over(Office::over(Arc::clone(&log) as _).await).await;
        let fed_from = Arc::new(RwLock::new(world.desk.incarnation()));
        let present = Arc::clone(&fed_from);
        let present = Arc::new(move || present.read().clone());
        let folder = Folder::new();
        (world.indexer, world.feeder) = follow_as(&world.office, present, index(&folder));
        world.folder = folder;
        world.opens("one", "kept words").await;
        world.catch_up().await;
        Self { world, log, fed_from }
    }

    /// The log is restored, and the desk knows; what feeds the index does not.
    async fn restore(&mut self, backup: MemoryBackup) {
        self.log.restore(backup);
        self.world.desk = self.world.office.desk().await;
    }

    fn standing(&self) -> (u32, u64) {
        let standing = self.world.indexer.standing();
        let standing = standing.borrow();
        let standing = standing.as_ref().expect("it was looked at");
        (standing.incarnation.number(), standing.positions.total())
    }
}

#[tokio::test]
async fn lost_events_are_never_taken_under_the_incarnation_that_has_lost_them() {
    let mut restored = Restored::new().await;
    let backup = restored.log.backup();
    restored.world.opens("two", "lost words").await;
    restored.world.feed().await;
    restored.restore(backup).await;
    let present = restored.world.desk.incarnation();
    assert_eq!(present.number(), 2);
    // What was taken before anybody knew is committed as what it is.
    restored.world.indexer.commit().await.expect("committed");
    assert_eq!(restored.standing(), (1, 2));
    *restored.fed_from.write() = present;
    let indexer = &restored.world.indexer;
    assert_eq!(indexer.take(&Batch::default()).await.expect("taken"), Taken::Fenced);
    assert!(indexer.mend(&[], &[]).await.is_err());
    assert!(!indexer.stands_at(PartitionSet::ALL, &Positions::START).await.expect("an answer"));
    restored.world.opens("three", "new words").await;
    restored.world.feeder.begin_again().await.expect("checkpoints");
    assert_eq!(restored.standing(), (2, 0), "it is begun anew");
    restored.world.catch_up().await;
    assert_eq!(restored.standing(), (2, 2));
    assert_eq!(restored.world.finds(STAFF, "lost").await, []);
    assert_eq!(restored.world.finds(STAFF, "new OR kept").await.len(), 2);
    assert_eq!(restored.world.differs().await, []);
}

#[tokio::test]
async fn nothing_is_fed_before_what_feeds_is_of_the_newest_incarnation() {
    let mut restored = Restored::new().await;
    let backup = restored.log.backup();
    restored.world.opens("two", "lost words").await;
    restored.restore(backup).await;
    assert!(restored.world.feeder.begin_again().await.is_err());
    let indexer = &restored.world.indexer;
    assert_eq!(indexer.take(&Batch::default()).await.expect("taken"), Taken::Fenced);
    *restored.fed_from.write() = restored.world.desk.incarnation();
    restored.world.feeder.begin_again().await.expect("checkpoints");
    assert_eq!(restored.standing(), (2, 1), "nothing that it holds was lost");
}

#[tokio::test]
async fn an_index_of_an_incarnation_that_the_log_does_not_list_is_begun_anew() {
    let mut restored = Restored::new().await;
    let wrong = restored.log.backup();
    restored.world.opens("two", "right words").await;
    restored.world.opens("three", "further words").await;
    let right = restored.log.backup();
    restored.restore(wrong).await;
    *restored.fed_from.write() = restored.world.desk.incarnation();
    restored.world.opens("four", "wrong words").await;
    restored.world.feeder.begin_again().await.expect("checkpoints");
    restored.world.catch_up().await;
    assert_eq!(restored.standing(), (2, 2));
    restored.restore(right).await;
    *restored.fed_from.write() = restored.world.desk.incarnation();
    restored.world.feeder.begin_again().await.expect("checkpoints");
    assert_eq!(restored.standing(), (3, 0));
    restored.world.catch_up().await;
    assert_eq!(restored.world.finds(STAFF, "wrong").await, []);
    assert_eq!(restored.world.differs().await, []);
}
