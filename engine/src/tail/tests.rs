//! Followers of a tail see every event once, in order, whether memory still holds it or not.

use std::sync::Arc;
use std::time::Duration;

use docket_schemas::{Event, Incarnation, Partition, Position};
use tokio::time::timeout;

use super::recent::Recent;
use super::{TAIL_LOOKS_EVERY, Tail, Written};
use crate::around::{Stretch, Unreadable};
use crate::contract::drafts::{append, batch, draft, eu, opening, ticket, units};
use crate::cursor::Positions;
use crate::memory::MemoryLog;
use crate::ports::bus::Bus as _;
use crate::ports::log::EventLog;
use crate::testing::WatchedBus;

struct World {
    log: Arc<dyn EventLog>,
    bus: WatchedBus,
    tail: Tail,
    incarnation: Incarnation,
}

async fn world() -> World {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    log.begin_incarnation(None, &eu(1)).await.expect("an answer");
    append(&log, units((1..=20).map(|number| opening(draft(ticket(number), number))))).await;
    let bus = WatchedBus::default();
    let tail = Tail::follow(Arc::clone(&log), &bus).await.expect("heads");
    World { log, bus, tail, incarnation: eu(1) }
}

impl World {
    async fn write(&self, numbers: std::ops::Range<u64>) -> Positions {
        let openings = units(numbers.map(|number| opening(draft(ticket(number), number))));
        let batch = batch(self.incarnation.clone(), openings);
        self.log.append(batch).await.expect("written");
        self.log.heads().await.expect("heads")
    }

    async fn reach(&self, heads: &Positions, within: Duration) {
        let mut reached = self.tail.heads();
        let reaching = reached.wait_for(|reached| reached.covers(heads));
        timeout(within, reaching).await.expect("in time").expect("the tail is there");
    }

    async fn positions(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Vec<Position> {
        let events = self.tail.read(partition, after, limit).await.expect("an answer").events;
        assert!(events.iter().all(|event| event.partition == partition));
        events.iter().map(|event| event.position).collect()
    }
}

#[tokio::test]
async fn what_is_written_is_read_from_memory_and_what_was_before_from_the_log() {
    let world = world().await;
    let before = *world.tail.heads().borrow();
    let heads = world.write(21..200).await;
    world.bus.wake();
    world.reach(&heads, Duration::from_secs(5)).await;
    for (partition, head) in heads.iter() {
        assert_eq!(world.positions(partition, 0, 1_000).await, (1..=head).collect::<Vec<_>>());
        let old = before.get(partition);
        let recent = world.tail.recent(partition, old, 1_000).expect("memory holds it");
        assert!(recent.events.iter().map(|event| event.position).eq(old + 1..=head));
        assert_eq!(world.tail.recent(partition, head, 5).map(|read| read.events.len()), Some(0));
        assert!(old == 0 || world.tail.recent(partition, old - 1, 5).is_none());
        assert!(world.tail.recent(partition, head + 1, 5).is_none(), "beyond the head is unknown");
        let bounded = world.positions(partition, old, 2).await;
        assert!(bounded.len() <= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_costs_time_and_nothing_else() {
    let world = world().await;
    let heads = world.write(21..30).await;
    world.reach(&heads, TAIL_LOOKS_EVERY * 2).await;
}

#[tokio::test]
async fn the_oldest_events_leave_memory_first() {
    let world = world().await;
    let page = world.log.events(&Positions::START, 1).await.expect("a page");
    let event = &page.events[0];
    let mut recent = Recent::after(0);
    for position in 1..=10_000 {
        let mut event = event.clone();
        event.position = position;
        recent.push(Ok(Arc::new(event)));
    }
    assert!(recent.read(0, 10).is_none());
    let held = recent.read(9_000, 10_000).expect("the newest thousand");
    assert!(held.events.iter().map(|event| event.position).eq(9_001..=10_000));
    let mut heavy = event.clone();
    heavy.draft.data = "x".repeat(3 * 1024 * 1024);
    for position in 10_001..=10_002 {
        heavy.position = position;
        recent.push(Ok(Arc::new(heavy.clone())));
    }
    assert!(recent.read(10_000, 10).is_none(), "two heavy ones are more than memory holds");
    assert_eq!(recent.read(10_001, 10).map(|read| read.events.len()), Some(1));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_its_place_in_memory() {
    let world = world().await;
    let page = world.log.events(&Positions::START, 1).await.expect("a page");
    let event = |position| {
        let mut event = page.events[0].clone();
        event.position = position;
        Ok(Arc::new(event))
    };
    let partition = page.events[0].partition;
    let unreadable = Unreadable { partition, position: 2, reason: "no type".to_owned() };
    let mut recent = Recent::after(0);
    recent.push(event(1));
    recent.push(Err(Box::new(unreadable.clone())));
    recent.push(event(3));
    let positions = |read: &Stretch| -> Vec<Position> {
        read.events.iter().map(|event| event.position).collect()
    };
    let whole = recent.read(0, 10).expect("it is held");
    assert_eq!((positions(&whole), whole.upto), (vec![1, 3], Some(3)));
    assert_eq!(whole.unreadable, [unreadable]);
    assert_eq!(recent.read(1, 1).map(|read| (read.events.len(), read.upto)), Some((0, Some(2))));
    assert_eq!(recent.read(2, 10).map(|read| positions(&read)), Some(vec![3]));
    recent.cut_off(1);
    assert_eq!(recent.read(0, 10).map(|read| positions(&read)), Some(vec![1]));
    // What does not follow begins anew: nothing is held with a gap.
    recent.push(event(5));
    assert!(recent.read(1, 10).is_none());
    assert_eq!(recent.read(4, 10).map(|read| positions(&read)), Some(vec![5]));
}

#[tokio::test]
async fn what_a_restored_log_has_lost_is_forgotten_however_far_the_log_has_gone_on() {
    let memory = Arc::new(MemoryLog::new());
    let log: Arc<dyn EventLog> = Arc::clone(&memory) as _;
    log.begin_incarnation(None, &eu(1)).await.expect("an answer");
    let bus = WatchedBus::default();
    let tail = Tail::follow(Arc::clone(&log), &bus).await.expect("heads");
    let mut world = World { log, bus, tail, incarnation: eu(1) };
    let kept = world.write(1..50).await;
    let backup = memory.backup();
    let lost = world.write(50..100).await;
    world.bus.wake();
    world.reach(&lost, TAIL_LOOKS_EVERY * 2).await;
    let mut restores = world.tail.restores();
    memory.restore(backup);
    world.log.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an answer");
    assert!(world.tail.is_of(&eu(1)));
    world.incarnation = eu(2);
    let gone_on = world.write(100..300).await;
    assert!(gone_on.covers(&lost), "no head tells that the log was restored");
    world.bus.wake();
    timeout(TAIL_LOOKS_EVERY * 2, restores.changed()).await.expect("in time").expect("told");
    world.reach(&gone_on, TAIL_LOOKS_EVERY * 2).await;
    assert!(world.tail.is_of(&eu(2)));
    for (partition, head) in gone_on.iter() {
        let after = kept.get(partition);
        let held = world.tail.recent(partition, after, 1_000).expect("memory holds it");
        let stored = world.log.partition_events(partition, after, 1_000).await.expect("events");
        assert!(held.events.iter().map(|event| &**event).eq(&stored));
        assert_eq!(stored.len() as u64, head - after);
    }
}

/// A world over a log that can be restored, of which the tail has read `kept` and then what is lost with the backup.
async fn restorable() -> (World, Arc<MemoryLog>, Positions) {
    let memory = Arc::new(MemoryLog::new());
    let log: Arc<dyn EventLog> = Arc::clone(&memory) as _;
    log.begin_incarnation(None, &eu(1)).await.expect("an answer");
    let bus = WatchedBus::default();
    let tail = Tail::follow(Arc::clone(&log), &bus).await.expect("heads");
    let world = World { log, bus, tail, incarnation: eu(1) };
    let kept = world.write(1..50).await;
    (world, memory, kept)
}

impl World {
    /// Fails unless the tail comes to hold what the log has behind these positions, and nothing else.
    async fn holds_the_log_after(&self, kept: &Positions) {
        let heads = self.log.heads().await.expect("heads");
        self.bus.wake();
        self.reach(&heads, TAIL_LOOKS_EVERY * 3).await;
        assert_eq!(*self.tail.heads().borrow(), heads);
        for (partition, head) in heads.iter() {
            let after = kept.get(partition);
            let held = self.tail.read(partition, after, 1_000).await.expect("an answer").events;
            let stored = self.log.partition_events(partition, after, 1_000).await.expect("events");
            assert_eq!(stored.len() as u64, head - after);
            assert!(held.iter().map(|event| &**event).eq(&stored), "{partition:?}");
        }
    }
}

#[tokio::test]
async fn lost_events_whose_positions_another_node_has_given_out_anew_are_forgotten() {
    let (world, memory, kept) = restorable().await;
    let backup = memory.backup();
    let lost = world.write(50..150).await;
    world.bus.wake();
    world.reach(&lost, TAIL_LOOKS_EVERY * 2).await;
    let mut restores = world.tail.restores();
    memory.restore(backup);
    // Nobody has noticed: it goes on under the old incarnation, and some partitions have not come as far again.
    let anew = world.write(200..230).await;
    assert!(!anew.covers(&lost));
    world.bus.wake();
    timeout(TAIL_LOOKS_EVERY * 2, restores.changed()).await.expect("in time").expect("told");
    world.holds_the_log_after(&kept).await;
}

#[tokio::test]
async fn what_was_read_of_an_incarnation_that_the_log_does_not_list_is_forgotten() {
    let (mut world, memory, kept) = restorable().await;
    let old = memory.backup();
    world.write(50..500).await;
    let right = memory.backup();
    // The wrong backup first, which is written to and read.
    memory.restore(old);
    world.log.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an answer");
    world.incarnation = eu(2);
    let wrong = world.write(600..630).await;
    world.bus.wake();
    world.reach(&wrong, TAIL_LOOKS_EVERY * 2).await;
    while !world.tail.is_of(&eu(2)) {
        tokio::task::yield_now().await;
    }
    let mut restores = world.tail.restores();
    restores.mark_unchanged();
    memory.restore(right);
    world.log.begin_incarnation(Some(&eu(1)), &eu(3)).await.expect("an answer");
    assert!(world.log.heads().await.expect("heads").covers(&wrong), "no head tells of it");
    assert!(!world.tail.is_of(&eu(3)));
    timeout(TAIL_LOOKS_EVERY * 2, restores.changed()).await.expect("in time").expect("told");
    world.holds_the_log_after(&kept).await;
    assert_eq!(world.tail.incarnation(), Some(eu(3)));
}

#[tokio::test]
async fn a_newer_incarnation_that_has_lost_nothing_is_known_without_an_event() {
    let world = world().await;
    world.log.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an answer");
    let known = async {
        while !world.tail.is_of(&eu(2)) {
            tokio::task::yield_now().await;
        }
    };
    timeout(TAIL_LOOKS_EVERY, known).await.expect("it looks when it is asked");
    assert_eq!(*world.tail.restores().borrow(), 0);
}

/// A tail beside an appender, of which it is known what it has taken from the appender: it says so in its payload.
async fn beside_an_appender() -> (World, Arc<Written>) {
    let world = world().await;
    let written: Arc<Written> = Arc::default();
    let tail = Tail::follow_beside(Arc::clone(&world.log), &world.bus, Arc::clone(&written));
    let tail = tail.await.expect("heads");
    (World { tail, ..world }, written)
}

impl World {
    /// What was written after some heads, as the appender hands it over.
    async fn marked(&self, after: &Positions) -> Vec<Event> {
        let page = self.log.events(after, 1_000).await.expect("a page");
        let mark = |mut event: Event| {
            event.draft.data = "from memory".to_owned();
            event
        };
        page.events.into_iter().map(mark).collect()
    }

    /// By partition, how many of the events between were taken from the appender, and how many were read.
    async fn taken_and_read(&self, after: &Positions, upto: &Positions) -> Vec<(usize, usize)> {
        let mut counts = Vec::new();
        for (partition, head) in upto.iter() {
            let events = self.tail.read(partition, after.get(partition), 1_000).await;
            let events = events.expect("an answer").events;
            assert!(events.iter().map(|event| event.position).eq(after.get(partition) + 1..=head));
            let taken = events.iter().filter(|event| event.data == "from memory").count();
            counts.push((taken, events.len() - taken));
        }
        counts
    }
}

#[tokio::test]
async fn what_this_node_has_written_is_not_read_again() {
    let (world, written) = beside_an_appender().await;
    let before = *world.tail.heads().borrow();
    let heads = world.write(21..100).await;
    written.add(&eu(1), world.marked(&before).await.into_iter());
    world.bus.wake();
    world.reach(&heads, TAIL_LOOKS_EVERY * 2).await;
    let counts = world.taken_and_read(&before, &heads).await;
    assert!(counts.iter().all(|(_, read)| *read == 0), "{counts:?}");
    assert_eq!(counts.iter().map(|(taken, _)| taken).sum::<usize>(), 79);
}

#[tokio::test]
async fn what_another_node_has_written_between_is_read_from_the_log() {
    let (world, written) = beside_an_appender().await;
    let before = *world.tail.heads().borrow();
    world.write(21..40).await;
    let own = world.marked(&before).await;
    let between = world.write(40..80).await;
    let last = world.write(80..120).await;
    written.add(&eu(1), own.into_iter());
    written.add(&eu(1), world.marked(&between).await.into_iter());
    world.bus.wake();
    world.reach(&last, TAIL_LOOKS_EVERY * 3).await;
    let counts = world.taken_and_read(&before, &last).await;
    let (taken, read) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(taken + read, 99);
    assert!(read >= 40, "nobody has handed over what another node wrote: {counts:?}");
}

#[tokio::test]
async fn what_the_log_no_longer_has_is_not_told_though_no_incarnation_has_begun() {
    let memory = Arc::new(MemoryLog::new());
    let log: Arc<dyn EventLog> = Arc::clone(&memory) as _;
    log.begin_incarnation(None, &eu(1)).await.expect("an answer");
    let (bus, written) = (WatchedBus::default(), Arc::<Written>::default());
    let tail = Tail::follow_beside(Arc::clone(&log), &bus, Arc::clone(&written)).await;
    let world = World { log, bus, tail: tail.expect("heads"), incarnation: eu(1) };
    let backup = memory.backup();
    world.write(1..50).await;
    written.add(&eu(1), world.marked(&Positions::START).await.into_iter());
    // Another node writes on a copy that lacks these.
    memory.restore(backup);
    let heads = world.write(50..200).await;
    world.bus.wake();
    world.reach(&heads, TAIL_LOOKS_EVERY * 3).await;
    let counts = world.taken_and_read(&Positions::START, &heads).await;
    assert!(counts.iter().all(|(taken, _)| *taken == 0), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_writes_all_the_time_still_reads_what_others_write() {
    let (world, written) = beside_an_appender().await;
    let foreign = world.write(21..60).await;
    let writing = async {
        for number in 1_000.. {
            let before = world.log.heads().await.expect("heads");
            world.write(number..number + 1).await;
            let own = world.log.events(&before, 10).await.expect("a page");
            written.add(&eu(1), own.events.into_iter());
            world.bus.wake();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = world.reach(&foreign, TAIL_LOOKS_EVERY * 3) => {}
    }
}

#[tokio::test]
async fn what_was_written_before_a_restore_is_never_taken_for_what_was_written_after_it() {
    let memory = Arc::new(MemoryLog::new());
    let log: Arc<dyn EventLog> = Arc::clone(&memory) as _;
    log.begin_incarnation(None, &eu(1)).await.expect("an answer");
    let (bus, written) = (WatchedBus::default(), Arc::<Written>::default());
    let tail = Tail::follow_beside(Arc::clone(&log), &bus, Arc::clone(&written)).await;
    let mut world = World { log, bus, tail: tail.expect("heads"), incarnation: eu(1) };
    let backup = memory.backup();
    world.write(1..50).await;
    written.add(&eu(1), world.marked(&Positions::START).await.into_iter());
    memory.restore(backup);
    world.log.begin_incarnation(Some(&eu(1)), &eu(2)).await.expect("an answer");
    world.incarnation = eu(2);
    let heads = world.write(50..200).await;
    world.bus.wake();
    world.reach(&heads, TAIL_LOOKS_EVERY * 3).await;
    let counts = world.taken_and_read(&Positions::START, &heads).await;
    assert!(counts.iter().all(|(taken, _)| *taken == 0), "{counts:?}");
}
