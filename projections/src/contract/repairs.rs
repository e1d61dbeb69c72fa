//! Repairs beside a node that goes on feeding.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ViewHarness;
use super::watched::{Moment, Watched};
use super::world::World;
use crate::PartitionSet;
use crate::diff::{Difference, Wrong, diff};
use crate::progress::Progress;
use crate::repair::repair;
use crate::runner::Runner;

/// Case.
pub async fn a_partition_that_is_written_to_all_the_while_is_mended(harness: &dyn ViewHarness) {
    let world = World::over(harness.fresh().await).await;
    let (damaged, busy) = world.opens_neighbours().await;
    world.feed().await;
    world.loses(world.version, damaged).await;
    let there = Arc::clone(&world);
    let fed_meanwhile = Watched::over(&world.store, move |moment| {
        let world = Arc::clone(&there);
        Box::pin(async move {
            if moment == Moment::AfterDump {
                world.says(busy).await;
                world.feed().await;
            }
        })
    });
    let (log, home) = (&world.office.log, world.home(damaged));
    let wrong = repair(&fed_meanwhile, log, world.version, home).await.expect("it is mended");
    let missing = Difference::Row { ticket: world.key(damaged), wrong: Wrong::Missing };
    assert!(wrong.contains(&missing), "{wrong:?}");
    let found = diff(&*world.store, log, world.version, home).await.expect("an answer");
    assert_eq!(found.differences, []);
    world.adds_up(home).await;
}

/// Case.
pub async fn a_ticket_that_is_written_to_while_it_is_mended_has_all_its_events(
    harness: &dyn ViewHarness,
) {
    let world = World::over(harness.fresh().await).await;
    let (damaged, extra) = world.opens_neighbours().await;
    world.feed().await;
    let mut row = world.row(world.version, damaged).await.expect("a row");
    row.tags.push("odd".to_owned());
    world.changes(world.version, damaged, 0, vec![row]).await;
    world.loses(world.version, extra).await;
    let there = Arc::clone(&world);
    let fed_meanwhile = Watched::over(&world.store, move |moment| {
        let world = Arc::clone(&there);
        Box::pin(async move {
            if moment == Moment::AfterDump {
                world.says(damaged).await;
                world.feed().await;
            }
        })
    });
    let (log, home) = (&world.office.log, world.home(damaged));
    let _ = repair(&fed_meanwhile, log, world.version, home).await.expect("it is mended");
    let found = diff(&*world.store, log, world.version, home).await.expect("an answer");
    assert_eq!(found.differences, []);
    assert_eq!(world.row(world.version, damaged).await.expect("a row").tags, [""; 0]);
}

/// Case.
pub async fn what_is_written_while_a_partition_is_compared_is_no_difference(
    harness: &dyn ViewHarness,
) {
    let world = World::over(harness.fresh().await).await;
    let ticket = world.opens().await;
    world.feed().await;
    let there = Arc::clone(&world);
    let fed_meanwhile = Watched::over(&world.store, move |moment| {
        let world = Arc::clone(&there);
        Box::pin(async move {
            if moment == Moment::BeforeDump {
                world.says(ticket).await;
                world.feed().await;
            }
        })
    });
    let log = &world.office.log;
    let found = diff(&*fed_meanwhile, log, world.version, world.home(ticket)).await;
    assert_eq!(found.expect("an answer").differences, []);
}

/// How soon a node that is idle has noticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// Case.
pub async fn a_view_that_has_gone_back_is_fed_again_without_an_event(harness: &dyn ViewHarness) {
    let world = World::over(harness.fresh().await).await;
    let ticket = world.opens().await;
    let heads = world.office.log.heads().await.expect("the log is in memory");
    let (heads_told, restores) = (watch::channel(heads), watch::channel(0));
    let share = watch::channel(PartitionSet::ALL);
    let progress = Arc::new(Progress::default());
    let runner = Runner {
        feeder: world.feeder(),
        heads: heads_told.1,
        restores: restores.1,
        share: share.1,
        awaited: Arc::clone(&progress),
        progress: Arc::clone(&progress),
        clock: world.office.clock.clone(),
    };
    let running = tokio::spawn(runner.run());
    let mut reached = progress.reached();
    let fed = reached.wait_for(|reached: &Positions| reached.covers(&heads)).await;
    drop(fed.expect("it is fed"));
    let before = world.row(world.version, ticket).await.expect("a row");
    world.changes(world.version, ticket, 1, Vec::new()).await;
    assert_eq!(world.row(world.version, ticket).await, None);
    let back = timeout(NOTICED_WITHIN, async {
        loop {
            match world.row(world.version, ticket).await {
                Some(row) => return row,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    assert_eq!(back.await.expect("nobody has noticed"), before);
    running.abort();
}
