//! Merged tickets: what source and target show, then and later, and that an unmerge brings all of it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use docket_schemas::{
    CommandId, MergeGoal, Merged, MessageId, Observed, Payload, PersonId, Status, TicketId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::two::{Two, open, refusal};
use super::world::{World, a_tenth, steps};
use crate::command::{Command, MergeMove, Refusal, Replayed, Urgency};
use crate::desk::{AsOf, Joined};
use crate::testing::digest;
use crate::ticket::{MergeState, Resolved, Ticket};
use crate::version::Version;

/// What comes back with an unmerge: all but the mark, and what every event moves.
fn but_for_time(shown: &Resolved) -> String {
    let zero = docket_schemas::Timestamp::from_micros(0);
    let version = Version::of_change(&docket_schemas::ChangeHash([0; 32]));
    digest(&Resolved {
        merge: None,
        updated_at: zero,
        public_updated_at: zero,
        public_version: version.clone(),
        version,
        ..shown.clone()
    })
}

#[tokio::test]
async fn a_merged_source_shows_closed_and_its_target_shows_its_messages_in_order_of_time() {
    let two = Two::opened().await;
    let reply = two.does(&two.cus_2, two.source, Command::reply("Mine too.")).await;
    two.does(&two.cus_1, two.target, Command::reply("Still burning.")).await;
    two.does(&two.agent, two.source, Command::note("the same fire")).await;
    let (own, foreign) = (two.messages(two.target).await, two.messages(two.source).await);
    two.merge().await;
    let source = two.shows(two.source).await;
    assert_eq!(source.status, Status::Closed);
    let mark = source.merge.unwrap();
    assert_eq!((mark.state, mark.into, mark.from), (MergeState::Merged, Some(two.target), vec![]));
    let target = two.shows(two.target).await;
    let mark = target.merge.unwrap();
    assert_eq!((mark.state, mark.into, mark.from), (MergeState::Merged, None, vec![two.source]));
    assert_eq!((target.message_count, target.public_message_count), (5, 4));
    let shown = two.messages(two.target).await;
    assert_eq!(shown, [own[0], foreign[0], reply.message.unwrap(), own[1], foreign[2]]);
    assert_eq!(two.desk.showing(&two.office.tenant, two.source).await.unwrap(), Some(two.target));
}

#[tokio::test]
async fn an_unmerge_restores_both_also_after_others_have_written() {
    let two = Two::opened().await;
    let tags = |add: &[&str]| Command::tags(add, &[]);
    two.does(&two.agent, two.source, tags(&["fire", "vip", "kept"])).await;
    two.does(&two.agent, two.target, tags(&["vip"])).await;
    let seen = two.shows(two.source).await.version;
    for (caller, status) in [(&two.admin, Status::Hold), (&two.agent, Status::Pending)] {
        let mut write = two.office.intent(caller, two.source, Command::status(status)).await;
        write.observed = Some(seen.clone());
        two.desk.execute(write).await.unwrap();
    }
    let (source, target) = (two.shows(two.source).await, two.shows(two.target).await);
    assert_eq!(source.conflicts.len(), 1);
    two.merge().await;
    let merged = two.shows(two.source).await;
    assert_eq!((merged.status, merged.conflicts.len()), (Status::Closed, 0));
    let both = two.shows(two.target).await;
    assert_eq!(both.tags, ["fire", "kept", "vip"]);
    assert_eq!(both.followers, [two.cus_2.principal.person().unwrap()]);
    two.does(&two.admin, two.target, tags(&["kept"])).await;
    two.unmerges(two.source, two.target).await.unwrap();
    let after = two.shows(two.target).await;
    assert_eq!(after.tags, ["kept", "vip"], "what somebody has written since stays");
    assert_eq!(after.followers, Vec::<PersonId>::new());
    two.does(&two.admin, two.target, Command::tags(&[], &["kept"])).await;
    let after = (two.shows(two.source).await, two.shows(two.target).await);
    assert_eq!(but_for_time(&after.0), but_for_time(&source));
    assert_eq!(but_for_time(&after.1), but_for_time(&target));
    assert_eq!((after.0.merge, after.1.merge), (None, None));
}

#[tokio::test]
async fn a_source_that_waited_for_an_answer_counts_as_unseen_on_its_target_until_somebody_has_seen_it()
 {
    let two = Two::opened().await;
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    let waits = two.does(&two.cus_2, two.source, Command::reply("Hello?")).await;
    two.merge().await;
    let shown = two.shows(two.target).await;
    assert_eq!(shown.status, Status::Open);
    let unseen: Vec<_> = shown.unseen_messages.iter().map(|one| (one.id, &one.author)).collect();
    assert_eq!(unseen, [(waits.message.unwrap(), &two.cus_2.principal)]);
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    let settled = two.shows(two.target).await;
    assert_eq!((settled.status, settled.unseen_messages.len()), (Status::Solved, 0));
    two.unmerges(two.source, two.target).await.unwrap();
    assert_eq!(two.shows(two.target).await.status, Status::Solved);
    assert_eq!(two.shows(two.source).await.status, Status::New);
}

#[tokio::test]
async fn a_source_that_was_solved_reopens_nothing() {
    let two = Two::opened().await;
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    two.does(&two.agent, two.source, Command::status(Status::Pending)).await;
    two.merge().await;
    let shown = two.shows(two.target).await;
    assert_eq!((shown.status, shown.unseen_messages.len()), (Status::Solved, 0));
}

#[tokio::test]
async fn fields_of_a_merged_ticket_stay_writable_but_for_its_status() {
    let two = Two::opened().await;
    let before = two.shows(two.source).await.version;
    two.merge().await;
    let open = || Command::status(Status::Open);
    assert_eq!(refusal(two.tries(&two.agent, two.source, open()).await), Refusal::Closed);
    two.does(&two.agent, two.source, Command::tags(&["late"], &[])).await;
    let mut blind = two.office.intent(&two.admin, two.source, Command::status(Status::Hold)).await;
    blind.observed = Some(before);
    let shown = two.desk.execute(blind).await.unwrap().ticket;
    assert_eq!((shown.status, shown.tags), (Status::Closed, vec!["late".to_owned()]));
    assert_eq!(two.shows(two.target).await.tags, Vec::<String>::new());
    two.unmerges(two.source, two.target).await.unwrap();
    assert_eq!(two.shows(two.source).await.status, Status::Hold);
}

#[tokio::test]
async fn what_two_sources_brought_stays_until_both_have_left() {
    for order in [[0, 1], [1, 0]] {
        let two = Two::opened().await;
        let third = open(&two.office, &two.desk, "cus_2").await;
        let sources = [two.source, third];
        for source in sources {
            two.does(&two.agent, source, Command::tags(&["vip"], &[])).await;
            two.merges(source, two.target).await.unwrap();
        }
        two.unmerges(sources[order[0]], two.target).await.unwrap();
        let half = two.shows(two.target).await;
        assert_eq!((half.tags.len(), half.followers.len(), half.message_count), (1, 1, 2));
        two.unmerges(sources[order[1]], two.target).await.unwrap();
        let none = two.shows(two.target).await;
        assert_eq!((none.tags.len(), none.followers.len(), none.message_count), (0, 0, 1));
    }
}

#[tokio::test]
async fn the_past_of_a_target_is_what_it_showed_then() {
    let two = Two::opened().await;
    let mut moments = Vec::new();
    let tenant = &two.office.tenant;
    let steps =
        [MergeMove::Begin(MergeGoal::Merge), MergeMove::Attach(Urgency::Wanted), MergeMove::End];
    let saga = two.office.command().uuid();
    for step in steps {
        two.office.clock.advance(1_000_000);
        let write = two.office.merging(&two.agent, (two.source, two.target), saga, step);
        let Joined::Done(placed) = two.desk.join(Arc::new(write)).await.unwrap() else {
            panic!("it is new")
        };
        for id in [two.source, two.target] {
            moments.push((id, two.shows(id).await, placed[0].recorded_at));
        }
    }
    two.unmerges(two.source, two.target).await.unwrap();
    for (id, shown, time) in moments {
        for at in [AsOf::Version(shown.version.clone()), AsOf::Time(time)] {
            let mut then = two.other.as_of(tenant, id, &at).await.unwrap().unwrap();
            assert_eq!(digest(&then.resolve().unwrap()), digest(&shown), "{at:?}");
        }
    }
}

#[tokio::test]
async fn a_snapshot_keeps_how_a_ticket_stands_to_merges() {
    let two = Two::opened().await;
    two.merge().await;
    for id in [two.source, two.target] {
        let kept = |ticket: &mut Ticket| {
            let snapshot = ticket.snapshot().unwrap();
            let restored = Ticket::restore(ticket.tenant.clone(), ticket.id, &snapshot);
            let mut restored = restored.expect("this release reads what it wrote");
            assert_eq!(digest(&restored.resolve().unwrap()), digest(&ticket.resolve().unwrap()));
            let command = restored.merges().merged().map(|merged| merged.command);
            assert_eq!(
                command.and_then(|command| restored.prefix(command)),
                command.and_then(|command| ticket.prefix(command))
            );
        };
        two.desk.look(&two.office.tenant, id, kept).await.unwrap().unwrap();
    }
}

/// The ids of what a target shows of a ticket.
fn prefix_ids(ticket: &Ticket, merged: CommandId) -> BTreeSet<MessageId> {
    let prefix = ticket.prefix(merged).expect("it is merged");
    prefix.messages.iter().map(|message| message.id).collect()
}

proptest! {
    #![proptest_config(a_tenth())]

    #[test]
    fn what_a_target_shows_of_a_source_is_fixed_by_its_merge_in_every_region_and_order(
        steps in steps(),
        order in any::<u64>(),
    ) {
        let mut world = World::after(&steps);
        // Cut off from the region that merges, a customer goes on writing.
        let late = world.write(1, 0, Command::reply("not seen by the merge"), None).is_some();
        let known = all_ids(&world.regions[0].ticket);
        let into = TicketId::new(Uuid::from_u64_pair(1, 1));
        let merged = Payload::Merged(Merged { into });
        let replayed = Replayed::new(merged, None, Observed::Assumed, None);
        let shown = world.write(0, 3, Command::Replay(Box::new(replayed)), None).unwrap();
        prop_assert_eq!(shown.status, Status::Closed);
        let command = world.regions[0].ticket.merges().merged().unwrap().command;
        prop_assert_eq!(&prefix_ids(&world.regions[0].ticket, command), &known);
        world.sync();
        let mut anew = world.empty();
        anew.apply_all(&world.shuffled(order)).unwrap();
        for ticket in world.regions.iter().map(|region| &region.ticket).chain([&anew]) {
            prop_assert_eq!(&prefix_ids(ticket, command), &known);
            prop_assert_eq!(all_ids(ticket).len(), known.len() + usize::from(late));
        }
    }
}

fn all_ids(ticket: &Ticket) -> BTreeSet<MessageId> {
    ticket.own_messages().map(|message| message.id).collect()
}
