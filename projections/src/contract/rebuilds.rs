//! Rebuilds that come to nothing: no version is left that anybody could go back to.

use std::sync::Arc;

use docket_schemas::TicketId;

use super::ViewHarness;
use super::watched::{Moment, Watched};
use super::world::World;
use crate::rebuild::{Rebuild, RebuildError};
use crate::store::{Phase, VersionNumber};

/// Rebuilds a view to whose only row something happens before it is compared.
async fn is_refused<F>(
    harness: &dyn ViewHarness,
    damage: impl Fn(Arc<World>, VersionNumber, TicketId) -> F + Send + Sync + Copy + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let world = World::over(harness.fresh().await).await;
    let ticket = world.opens().await;
    world.feed().await;
    let there = Arc::clone(&world);
    let store = Watched::over(&world.store, move |moment| {
        let world = Arc::clone(&there);
        Box::pin(async move {
            if let Moment::AfterIndex(version) = moment {
                damage(world, version, ticket).await;
            }
        })
    });
    let (log, clock) = (Arc::clone(&world.office.log), world.office.clock.clone());
    let outcome = Rebuild { store, log, clock, told: Box::new(|_| {}) }.run().await;
    assert!(matches!(outcome, Err(RebuildError::Differs(one)) if one == ticket), "{outcome:?}");
    let versions = world.store.versions().await.expect("an answer");
    let left: Vec<_> = versions.iter().map(|one| (one.number, one.phase)).collect();
    assert_eq!(left, [(world.version, Phase::Active)]);
}

/// Case.
pub async fn a_rebuild_with_a_wrong_row_leaves_nothing_to_go_back_to(harness: &dyn ViewHarness) {
    is_refused(harness, |world, version, ticket| async move {
        let mut row = world.row(version, ticket).await.expect("a row");
        row.tags.push("odd".to_owned());
        world.changes(version, ticket, 0, vec![row]).await;
    })
    .await;
}

/// Case.
pub async fn a_rebuild_that_has_lost_a_row_is_not_switched_to(harness: &dyn ViewHarness) {
    is_refused(harness, |world, version, ticket| async move {
        world.loses(version, ticket).await;
    })
    .await;
}
