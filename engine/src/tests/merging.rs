//! Merging step by step: what begins, what is refused, and what a step asked again comes to.

use std::sync::Arc;

use docket_schemas::{MergeGoal, Role, Status, TicketId};

use super::two::{Two, not_mergeable, open, refusal};
use crate::command::{Command, MERGED_SOURCES_MAX, MergeMove, Precondition, Refusal, Urgency};
use crate::desk::Joined;
use crate::ticket::{MergeState, Ticket};

const ATTACH: MergeMove = MergeMove::Attach(Urgency::Wanted);
const BEGIN: MergeMove = MergeMove::Begin(MergeGoal::Merge);
/// An unmerge that is called off after its first step; between the two others may write.
const LEAVES: [MergeMove; 2] = [MergeMove::Begin(MergeGoal::Unmerge), MergeMove::Detach];
const COMES_BACK: [MergeMove; 2] = [MergeMove::Attach(Urgency::Undo), MergeMove::End];

#[tokio::test]
async fn targets_are_merged_on_and_come_apart_last_in_first_out() {
    let two = Two::opened().await;
    let third = open(&two.office, &two.desk, "cus_3").await;
    two.merge().await;
    two.merges(two.target, third).await.unwrap();
    assert_eq!(two.messages(third).await.len(), 3);
    assert_eq!(two.desk.showing(&two.office.tenant, two.source).await.unwrap(), Some(third));
    let said = two.does(&two.cus_2, two.source, Command::reply("Far away.")).await;
    assert_eq!(said.ticket.id, third);
    let mark = two.shows(two.target).await.merge.unwrap();
    assert_eq!((mark.into, mark.from), (Some(third), vec![two.source]));
    let first = "the ticket that it is merged into is itself merged: unmerge that one first";
    not_mergeable(two.unmerges(two.source, two.target).await, first);
    two.unmerges(two.target, third).await.unwrap();
    assert_eq!((two.messages(third).await.len(), two.messages(two.target).await.len()), (2, 2));
    two.unmerges(two.source, two.target).await.unwrap();
    for id in [two.source, two.target] {
        assert_eq!(two.messages(id).await.len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_merged_is_refused_with_the_reason_and_leaves_no_trace() {
    let two = Two::opened().await;
    let third = open(&two.office, &two.desk, "cus_3").await;
    let nowhere = TicketId::new(two.office.command().uuid());
    let heads = two.office.log.heads().await.unwrap();
    not_mergeable(two.merges(two.source, two.source).await, "a ticket is not merged into itself");
    not_mergeable(two.unmerges(two.source, two.target).await, "the ticket is not merged");
    assert_eq!(refusal(two.merges(two.source, nowhere).await), Refusal::NotFound);
    assert_eq!(refusal(two.merges(nowhere, two.source).await), Refusal::NotFound);
    for caller in [&two.cus_2, &two.office.caller(Role::Bot, "rule").await] {
        let merge = two.office.merge(&two.desk, caller, two.source, two.target).await;
        assert!(matches!(refusal(merge), Refusal::Forbidden { .. }));
    }
    let merge = two.office.merge(&two.desk, &two.cus_1, two.source, two.target).await;
    assert_eq!(refusal(merge), Refusal::NotFound);
    assert_eq!(two.office.log.heads().await.unwrap(), heads);
    two.merge().await;
    let heads = two.office.log.heads().await.unwrap();
    not_mergeable(two.merges(two.source, third).await, "the ticket is merged already");
    let itself = "the other ticket is itself merged into another";
    not_mergeable(two.merges(third, two.source).await, itself);
    not_mergeable(two.unmerges(two.source, third).await, "the ticket is merged into another one");
    assert_eq!(two.office.log.heads().await.unwrap(), heads);
    two.does(&two.admin, two.target, Command::status(Status::Closed)).await;
    not_mergeable(two.merges(third, two.target).await, "the other ticket is closed");
    two.unmerges(two.source, two.target).await.expect("a closed target lets go all the same");
}

#[tokio::test]
async fn what_a_source_shows_counts_towards_the_most_that_its_target_shows() {
    let two = Two::opened().await;
    let half = MERGED_SOURCES_MAX / 2;
    let fill = async |target, sources| {
        for _ in 0..sources {
            let source = open(&two.office, &two.desk, "cus_3").await;
            two.merges(source, target).await.unwrap();
        }
    };
    fill(two.source, half).await;
    fill(two.target, half).await;
    let too_many = "the other ticket would show more than 500 merged tickets";
    not_mergeable(two.merges(two.source, two.target).await, too_many);
    let one = two.shows(two.target).await.merge.unwrap().from[0];
    two.unmerges(one, two.target).await.unwrap();
    two.merges(two.source, two.target).await.unwrap();
    not_mergeable(two.merges(one, two.target).await, too_many);
    let shown = two.shows(two.target).await;
    assert_eq!(shown.message_count, MERGED_SOURCES_MAX + 1);
}

#[tokio::test]
async fn if_match_of_a_merge_is_the_source_s_version() {
    let two = Two::opened().await;
    let mut write = two.office.merging(
        &two.agent,
        (two.source, two.target),
        two.office.command().uuid(),
        BEGIN,
    );
    let version = two.shows(two.source).await.version.to_string();
    two.does(&two.cus_2, two.source, Command::reply("Wait!")).await;
    write.precondition = Some(Precondition::OneOf(vec![version]));
    let refused = refusal(two.desk.join(Arc::new(write.clone())).await);
    assert!(matches!(refused, Refusal::PreconditionFailed { .. }));
    let version = two.shows(two.source).await.version.to_string();
    write.precondition = Some(Precondition::OneOf(vec![version]));
    assert!(matches!(two.desk.join(Arc::new(write)).await.unwrap(), Joined::Done(_)));
}

#[tokio::test]
async fn a_merge_half_way_is_marked_on_both_and_a_step_asked_again_was_done_once() {
    let two = Two::opened().await;
    let saga = two.office.command().uuid();
    let step = |step| two.office.merging(&two.agent, (two.source, two.target), saga, step);
    let begin = step(BEGIN);
    two.desk.join(Arc::new(begin.clone())).await.unwrap();
    for (id, into, from) in
        [(two.source, Some(two.target), vec![]), (two.target, None, vec![two.source])]
    {
        let shown = two.shows(id).await;
        assert_eq!(shown.status, Status::New);
        let mark = shown.merge.unwrap();
        assert_eq!((mark.state, mark.into, mark.from), (MergeState::Merging, into, from));
        assert_eq!(mark.saga_id, Some(saga));
    }
    let attach = step(ATTACH);
    two.desk.join(Arc::new(attach.clone())).await.unwrap();
    for write in [begin, attach] {
        for desk in [&two.desk, &two.other] {
            let again = desk.join(Arc::new(write.clone())).await.unwrap();
            let Joined::Stored(event) = again else { panic!("done twice: {again:?}") };
            assert_eq!(event.command_id, write.command_id);
        }
    }
    let source = two.shows(two.source).await;
    assert_eq!((source.status, source.merge.unwrap().state), (Status::Closed, MergeState::Merging));
    two.desk.join(Arc::new(step(MergeMove::Detach))).await.unwrap();
    two.desk.join(Arc::new(step(MergeMove::End))).await.unwrap();
    for id in [two.source, two.target] {
        let looks =
            |ticket: &mut Ticket| (ticket.resolve().unwrap().merge, ticket.merges().holds_slot());
        let look = two.other.look(&two.office.tenant, id, looks).await.unwrap();
        assert_eq!(look, Some((None, false)));
    }
    let late = refusal(two.desk.join(Arc::new(step(ATTACH))).await);
    assert!(
        matches!(late, Refusal::NotMergeable { .. }),
        "an attach that comes too late: {late:?}"
    );
}

#[tokio::test]
async fn an_unmerge_that_is_undone_brings_back_what_it_took_away_and_no_more() {
    let two = Two::opened().await;
    let person = async |name| two.office.person(name).await.id;
    two.does(&two.agent, two.source, Command::tags(&["kept", "dropped"], &[])).await;
    two.does(&two.agent, two.source, Command::Follow(person("cus_3").await)).await;
    two.merge().await;
    let shown = two.shows(two.target).await;
    assert_eq!((shown.tags.len(), shown.followers.len()), (2, 2));
    two.does(&two.agent, two.target, Command::Unfollow(person("cus_2").await)).await;
    two.does(&two.agent, two.target, Command::tags(&[], &["dropped"])).await;
    let steps = [
        MergeMove::Begin(MergeGoal::Unmerge),
        MergeMove::Detach,
        MergeMove::Attach(Urgency::Undo),
        MergeMove::End,
    ];
    let pair = (two.source, two.target);
    two.office.steps(&two.desk, &two.agent, pair, &steps).await.unwrap();
    let shown = two.shows(two.target).await;
    assert_eq!(shown.tags, ["kept"]);
    assert_eq!(shown.followers, [person("cus_3").await], "whoever was sent away stays away");
    assert_eq!(shown.message_count, 2);
}

#[tokio::test]
async fn what_two_sources_brought_stays_with_the_one_whose_unmerge_was_undone() {
    let two = Two::opened().await;
    let third = open(&two.office, &two.desk, "cus_3").await;
    for source in [two.source, third] {
        two.does(&two.agent, source, Command::tags(&["both"], &[])).await;
        two.merges(source, two.target).await.unwrap();
    }
    let undo = MergeMove::Attach(Urgency::Undo);
    let steps = [MergeMove::Begin(MergeGoal::Unmerge), MergeMove::Detach, undo, MergeMove::End];
    let pair = (two.source, two.target);
    two.office.steps(&two.desk, &two.agent, pair, &steps).await.unwrap();
    two.unmerges(third, two.target).await.unwrap();
    assert_eq!(two.shows(two.target).await.tags, ["both"]);
}

/// Begins to take the source out, has `meanwhile` done, and calls it off.
async fn calls_off_an_unmerge(two: &Two, meanwhile: impl AsyncFnOnce()) {
    let saga = two.office.command().uuid();
    let pair = (two.source, two.target);
    let does = async |steps: &[MergeMove]| {
        for &step in steps {
            let write = two.office.merging(&two.agent, pair, saga, step);
            two.desk.join(Arc::new(write)).await.unwrap();
        }
    };
    does(&LEAVES).await;
    meanwhile().await;
    does(&COMES_BACK).await;
}

/// What a ticket shows, with how many messages it says nobody has seen.
async fn shown(two: &Two, id: TicketId) -> (Status, usize) {
    let shown = two.shows(id).await;
    (shown.status, shown.unseen_messages.len())
}

#[tokio::test]
async fn an_unmerge_that_is_undone_reopens_nothing_that_was_settled_while_the_source_was_there() {
    let two = Two::opened().await;
    two.merge().await;
    for status in [Status::Solved, Status::Pending] {
        two.does(&two.agent, two.target, Command::status(status)).await;
        // A second time nobody has written since, and there is nothing new all the same.
        for _ in 0..2 {
            calls_off_an_unmerge(&two, async || ()).await;
            assert_eq!(shown(&two, two.target).await, (status, 0));
        }
    }
    let late = two.does(&two.cus_2, two.source, Command::reply("And now?")).await.ticket;
    assert_eq!((late.status, late.unseen_messages.len()), (Status::Open, 1));
}

#[tokio::test]
async fn what_nobody_has_answered_still_counts_where_an_unmerge_is_undone() {
    let two = Two::opened().await;
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    two.merge().await;
    calls_off_an_unmerge(&two, async || ()).await;
    assert_eq!(shown(&two, two.target).await, (Status::Open, 1), "settled before the merge");
    let solves = async || {
        two.does(&two.agent, two.target, Command::status(Status::Pending)).await;
    };
    calls_off_an_unmerge(&two, solves).await;
    assert_eq!(shown(&two, two.target).await, (Status::Open, 1), "settled without the source");
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    let says = async || {
        two.does(&two.cus_2, two.source, Command::reply("And now?")).await;
    };
    calls_off_an_unmerge(&two, says).await;
    assert_eq!(shown(&two, two.target).await, (Status::Open, 1), "said since");
}

#[tokio::test]
async fn an_answer_to_an_earlier_merge_is_none_to_the_next() {
    let two = Two::opened().await;
    two.merge().await;
    two.does(&two.agent, two.target, Command::status(Status::Solved)).await;
    two.unmerges(two.source, two.target).await.unwrap();
    two.merge().await;
    assert_eq!(shown(&two, two.target).await, (Status::Open, 1));
    calls_off_an_unmerge(&two, async || ()).await;
    assert_eq!(shown(&two, two.target).await, (Status::Open, 1), "as it was before");
}

#[tokio::test]
async fn a_question_by_way_of_a_merged_ticket_is_unseen_on_its_target_also_after_an_unmerge() {
    let two = Two::opened().await;
    let solve = || Command::status(Status::Solved);
    for id in [two.source, two.target] {
        two.does(&two.agent, id, solve()).await;
    }
    // Who follows the source alone, and only since the merge, writes to the target as well.
    two.merge().await;
    let cus_3 = two.office.caller(Role::Customer, "cus_3").await;
    let follow = Command::Follow(cus_3.principal.person().unwrap());
    two.does(&two.agent, two.source, follow).await;
    for (number, customer) in [&two.cus_2, &cus_3].into_iter().enumerate() {
        two.does(customer, two.source, Command::reply("And now?")).await;
        assert_eq!(shown(&two, two.target).await, (Status::Open, number + 1));
    }
    two.unmerges(two.source, two.target).await.unwrap();
    assert_eq!(shown(&two, two.target).await, (Status::Open, 2));
    assert_eq!(shown(&two, two.source).await, (Status::Solved, 0));
    two.does(&two.agent, two.target, solve()).await;
    assert_eq!(shown(&two, two.target).await, (Status::Solved, 0));
}

#[tokio::test]
async fn of_two_opposite_merges_at_once_exactly_one_begins() {
    for round in 0..30 {
        let two = Two::opened().await;
        let (there, back) = ((two.source, two.target), (two.target, two.source));
        let (one, another) = if round % 2 == 0 { (there, back) } else { (back, there) };
        let (ours, theirs) = tokio::join!(
            two.office.steps(&two.desk, &two.agent, one, &[BEGIN]),
            two.office.steps(&two.other, &two.admin, another, &[BEGIN]),
        );
        assert!(ours.is_ok() != theirs.is_ok(), "{ours:?} {theirs:?}");
        let refused = if ours.is_ok() { theirs } else { ours };
        assert!(matches!(refusal(refused), Refusal::NotMergeable { .. }));
        let marks = (two.shows(two.source).await.merge, two.shows(two.target).await.merge);
        let (Some(source), Some(target)) = marks else { panic!("both are marked") };
        assert_eq!(source.saga_id, target.saga_id);
        assert!(source.into.is_some() != target.into.is_some());
    }
}
