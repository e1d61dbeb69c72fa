//! Pace: how long events gather before a sink is fed.
//!
//! Up to some rate a sink is fed as soon as it can take more. Beyond that events gather, the longer the faster they come, so
//! that a ticket which changes several times meanwhile is folded and written once; and the partitions take turns, so
//! that the work comes evenly instead of in bursts that everything else has to wait for.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_schemas::Timestamp;

use crate::PartitionSet;

/// Events a second for each processor up to which nothing gathers.
const EAGER_EVENTS_PER_PROCESSOR: u64 = 2_800;
/// With an eighth more they gather for [`GATHER_MAX`]: gathering a little saves little, and near that rate those who talk to each
/// other would wait for what only lists show.
const EAGER_BY_RAMP: u64 = 8;
/// Longest time for which events gather.
const GATHER_MAX: Duration = Duration::from_millis(2_500);
/// The same where other nodes feed other partitions: they do not hear of those who wait here, who wait
/// [`WAIT_MAX`](crate::freshness::WAIT_MAX).
const GATHER_SHARED_MAX: Duration = Duration::from_secs(1);
/// Least time between two turns.
const TURN_MIN: Duration = Duration::from_millis(150);
/// Over so long it is counted how many events come: within it they come in bursts.
const COUNTED_OVER: Duration = Duration::from_secs(1);

/// How fast events come, and whose turn it is.
pub(crate) struct Pace {
    /// Events a second up to which nothing gathers.
    eager: u64,
    turns_max: u8,
    /// When it was last counted, and how many events these partitions held.
    counted: Option<(Timestamp, PartitionSet, u64)>,
    /// The lower of the last two counts: after a stall what was held up comes at once, and is no load that lasts.
    per_second: u64,
    last_count: u64,
    turn: u8,
}

/// What is fed next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// These partitions.
    pub(crate) partitions: PartitionSet,
    /// From this turn's beginning to the next one's.
    pub(crate) every: Duration,
}

impl Turn {
    /// All at once, and again as soon as possible.
    pub(crate) const fn at_once(partitions: PartitionSet) -> Self {
        Self { partitions, every: Duration::ZERO }
    }
}

impl Pace {
    /// While events gather the partitions are fed in up to `turns_max` turns.
    pub(crate) fn new(turns_max: u8) -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get) as u64;
        let eager = processors * EAGER_EVENTS_PER_PROCESSOR;
        Self { eager, turns_max, counted: None, per_second: 0, last_count: 0, turn: 0 }
    }

    /// The log has come so far in these partitions. How many events were fed says nothing: after a stall they are many.
    pub(crate) fn count(&mut self, share: PartitionSet, heads: &Positions, now: Timestamp) {
        let events: u64 = share.iter().map(|partition| heads.get(partition)).sum();
        if let Some((before, counted_in, counted)) = self.counted
            && counted_in == share
            && before <= now
        {
            let within = since(before, now);
            if within < COUNTED_OVER {
                return;
            }
            let came = u128::from(events.saturating_sub(counted)) * 1_000 / within.as_millis();
            let came = u64::try_from(came).unwrap_or(u64::MAX);
            self.per_second = came.min(self.last_count);
            self.last_count = came;
        }
        self.counted = Some((now, share, events));
    }

    /// Whose turn it is, of these.
    pub(crate) fn turn(&self, share: PartitionSet) -> Turn {
        let ramp = (self.eager / EAGER_BY_RAMP).max(1);
        let above = self.per_second.saturating_sub(self.eager).min(ramp);
        let longest = if share == PartitionSet::ALL { GATHER_MAX } else { GATHER_SHARED_MAX };
        let gather = longest.mul_f64(above as f64 / ramp as f64);
        let turns = gather.as_millis() / TURN_MIN.as_millis();
        let turns = u8::try_from(turns).unwrap_or(u8::MAX).clamp(1, self.turns_max);
        Turn { partitions: share.part(self.turn % turns, turns), every: gather / turns.into() }
    }

    /// The next ones' turn.
    pub(crate) fn next(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}

/// From one time to a later one.
pub(crate) fn since(time: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(now.micros().saturating_sub(time.micros()).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use docket_schemas::Partition;

    use super::*;

    fn at(rate: u64) -> Pace {
        let mut pace = Pace::new(8);
        pace.eager = 1_000;
        for seconds in [0_u64, 2, 4] {
            assert_eq!(pace.turn(PartitionSet::ALL), Turn::at_once(PartitionSet::ALL));
            let mut heads = Positions::START;
            let events = 1_000_000 + rate * seconds;
            heads.set(Partition::all().next().expect("there are some"), events);
            let now = Timestamp::from_micros(seconds.cast_signed() * 1_000_000);
            pace.count(PartitionSet::ALL, &heads, now);
        }
        pace
    }

    #[test]
    fn up_to_the_eager_rate_all_are_fed_at_once() {
        assert_eq!(at(1_000).turn(PartitionSet::ALL), Turn::at_once(PartitionSet::ALL));
    }

    #[test]
    fn beyond_it_events_gather_and_all_partitions_have_their_turn() {
        let mut pace = at(9_000);
        let mut fed = PartitionSet::NONE;
        let mut gathered = Duration::ZERO;
        for _ in 0..8 {
            let turn = pace.turn(PartitionSet::ALL);
            assert_eq!(turn.partitions.iter().count(), 2);
            fed = fed.and(turn.partitions);
            gathered += turn.every;
            pace.next();
        }
        assert_eq!((fed, gathered), (PartitionSet::ALL, GATHER_MAX));
    }

    #[test]
    fn a_little_above_it_they_gather_a_little() {
        assert_eq!(at(1_005).turn(PartitionSet::ALL).every, GATHER_MAX / 25);
        assert_eq!(at(1_100).turn(PartitionSet::ALL).every, GATHER_MAX / 10);
    }

    #[test]
    fn what_comes_at_once_after_a_stall_is_no_load() {
        let mut pace = at(500);
        let mut heads = Positions::START;
        for (events, seconds) in [(1_010_000, 6), (1_010_500, 7)] {
            heads.set(Partition::all().next().expect("there are some"), events);
            pace.count(PartitionSet::ALL, &heads, Timestamp::from_micros(seconds * 1_000_000));
            assert_eq!(pace.turn(PartitionSet::ALL), Turn::at_once(PartitionSet::ALL));
        }
    }

    #[test]
    fn partitions_that_are_gained_are_no_load() {
        let mut pace = at(1_000);
        let mut heads = Positions::START;
        for partition in Partition::all() {
            heads.set(partition, 1_000_000_000);
        }
        let fewer = PartitionSet::ALL.part(0, 2);
        for (share, seconds) in [(fewer, 3), (PartitionSet::ALL, 5), (PartitionSet::ALL, 4)] {
            pace.count(share, &heads, Timestamp::from_micros(seconds * 1_000_000));
            assert_eq!(pace.turn(share), Turn::at_once(share));
        }
    }
}
