//! Random merges, unmerges, closes and replies of many clients over three nodes: no ticket is lost, no message stands in
//! two places, and no two tickets are merged into each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use docket_schemas::{EventType, MergeGoal, MessageId, Role, Status, TicketId};
use tokio::task::JoinSet;

use super::two::open;
use crate::command::{Caller, Command, MergeMove, Refusal, Urgency};
use crate::desk::{Desk, DeskError};
use crate::testing::{Office, digest};
use crate::ticket::{Merges, Ticket};

const NODES: usize = 3;
const TICKETS: usize = 7;
const CLIENTS: u64 = 12;
const COMMANDS_EACH: usize = 40;
const STORMS: u64 = 8;

/// Numbers of a client's own, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

struct Storm {
    office: Office,
    desks: Vec<Desk>,
    tickets: Vec<TicketId>,
    customers: Vec<Caller>,
    agent: Caller,
    admin: Caller,
}

/// What a client knows to have been done.
#[derive(Default)]
struct Done {
    messages: Vec<MessageId>,
    follow_ups: Vec<TicketId>,
}

impl Storm {
    async fn new() -> Self {
        let office = Office::new().await;
        let mut desks = Vec::new();
        for _ in 0..NODES {
            desks.push(office.desk().await);
        }
        let (mut tickets, mut customers) = (Vec::new(), Vec::new());
        for number in 0..TICKETS {
            let name = format!("cus_{number}");
            tickets.push(open(&office, &desks[0], &name).await);
            customers.push(office.caller(Role::Customer, &name).await);
        }
        let agent = office.caller(Role::Agent, "ann").await;
        let admin = office.caller(Role::Admin, "root").await;
        Self { office, desks, tickets, customers, agent, admin }
    }

    async fn client(self: Arc<Self>, number: u64) -> Done {
        let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut done = Done::default();
        for _ in 0..COMMANDS_EACH {
            self.office.clock.advance(1);
            let desk = &self.desks[dice.roll(NODES)];
            let (one, other) = (dice.roll(TICKETS), dice.roll(TICKETS));
            let outcome = match dice.roll(10) {
                0..4 => self.say(desk, one, dice.roll(3), &mut done).await,
                4 => self.write(desk, one, Command::status(Status::Solved)).await,
                5 if dice.roll(6) == 0 => {
                    self.write(desk, one, Command::status(Status::Closed)).await
                }
                5 => self.write(desk, one, Command::tags(&["hot"], &[])).await,
                6 | 7 => self.merge(desk, one, other, dice.roll(4)).await,
                _ => self.unmerge(desk, one, dice.roll(4)).await,
            };
            match outcome {
                Ok(()) | Err(DeskError::Refused(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        done
    }

    async fn say(
        &self,
        desk: &Desk,
        one: usize,
        how: usize,
        done: &mut Done,
    ) -> Result<(), DeskError> {
        let (caller, command) = match how {
            0 => (&self.customers[one], Command::reply("from a customer")),
            1 => (&self.agent, Command::reply("from staff")),
            _ => (&self.agent, Command::note("aside")),
        };
        let answer =
            desk.execute(self.office.intent(caller, self.tickets[one], command).await).await?;
        done.messages.extend(answer.message);
        done.follow_ups.extend(answer.follow_up_of.map(|_| answer.ticket.id));
        Ok(())
    }

    async fn write(&self, desk: &Desk, one: usize, command: Command) -> Result<(), DeskError> {
        desk.execute(self.office.intent(&self.admin, self.tickets[one], command).await).await?;
        Ok(())
    }

    /// A merge that goes through, or is undone half way.
    async fn merge(
        &self,
        desk: &Desk,
        one: usize,
        other: usize,
        how: usize,
    ) -> Result<(), DeskError> {
        let pair = (self.tickets[one], self.tickets[other]);
        let attach = MergeMove::Attach(Urgency::Wanted);
        self.saga(desk, pair, [MergeMove::Begin(MergeGoal::Merge), attach, MergeMove::Detach], how)
            .await
    }

    async fn unmerge(&self, desk: &Desk, one: usize, how: usize) -> Result<(), DeskError> {
        let source = self.tickets[one];
        let merged =
            desk.look(&self.office.tenant, source, |ticket| ticket.merges().merged()).await?;
        let Some(merged) = merged.flatten() else { return Ok(()) };
        let attach = MergeMove::Attach(Urgency::Undo);
        let pair = (source, merged.into);
        self.saga(
            desk,
            pair,
            [MergeMove::Begin(MergeGoal::Unmerge), MergeMove::Detach, attach],
            how,
        )
        .await
    }

    async fn saga(
        &self,
        desk: &Desk,
        pair: (TicketId, TicketId),
        [begin, step, undo]: [MergeMove; 3],
        how: usize,
    ) -> Result<(), DeskError> {
        let saga = self.office.command().uuid();
        let unit = |step| {
            let write = self.office.merging(&self.agent, pair, saga, step);
            async move { desk.join(Arc::new(write)).await }
        };
        unit(begin).await?;
        tokio::task::yield_now().await;
        match unit(step).await {
            Ok(_) if how == 0 => {
                unit(undo).await.expect("an undo is never refused");
            }
            Ok(_) => {}
            Err(DeskError::Refused(Refusal::NotMergeable {
                reason: "the other ticket is closed",
            })) => {}
            Err(error) => panic!("a step of a saga that has begun: {error:?}"),
        }
        unit(MergeMove::End).await.expect("a saga ends");
        Ok(())
    }

    async fn merges(&self, id: TicketId) -> Merges {
        let look = |ticket: &mut Ticket| ticket.merges().clone();
        self.desks[0].look(&self.office.tenant, id, look).await.unwrap().unwrap()
    }

    /// Every ticket shows on every node what a fold of its log shows, and its counts are those of its messages.
    async fn check_folds(&self, ids: &BTreeSet<TicketId>) {
        let tenant = &self.office.tenant;
        for &id in ids {
            let mut anew = Ticket::new(tenant.clone(), id);
            for event in self.office.events(id).await {
                let merged = anew.merges().merged().is_some();
                let expected = event.event_type == EventType::MessageForwarded;
                if expected || event.event_type == EventType::MessageAdded {
                    assert_eq!(merged, expected, "what a merged ticket is told goes elsewhere");
                }
                anew.apply(&event).unwrap();
            }
            let anew = anew.resolve().unwrap();
            for desk in &self.desks {
                let look = |ticket: &mut Ticket| ticket.resolve().unwrap();
                let shown = desk.look(tenant, id, look).await.unwrap().unwrap();
                assert_eq!(digest(&shown), digest(&anew));
            }
            let shown = self.desks[1].shown_messages(tenant, id).await.unwrap().unwrap();
            let public = shown.iter().filter(|message| message.public).count();
            let counts = (anew.message_count, anew.public_message_count);
            assert_eq!(counts, (shown.len() as u64, public as u64), "{id}");
        }
    }

    /// Sources and targets agree, slots are held by merged sources alone, and nothing goes round in a circle.
    async fn check_merges(&self, ids: &BTreeSet<TicketId>) {
        let mut merges = BTreeMap::new();
        for &id in ids {
            merges.insert(id, self.merges(id).await);
        }
        for (id, own) in &merges {
            assert_eq!(own.underway(), None);
            assert_eq!(own.holds_slot(), own.merged().is_some());
            if let Some(merged) = own.merged() {
                let there = merges[&merged.into].attached();
                let same = there.filter(|one| one.source == *id && one.merged == merged.command);
                assert_eq!(same.count(), 1);
            }
            for one in own.attached() {
                let merged =
                    merges[&one.source].merged().map(|merged| (merged.into, merged.command));
                assert_eq!(merged, Some((*id, one.merged)));
            }
            let (mut next, mut steps) = (own.merged(), 0);
            while let Some(merged) = next {
                steps += 1;
                assert!(steps < TICKETS, "tickets merged into each other");
                next = merges[&merged.into].merged();
            }
        }
    }

    /// Every message that was acknowledged, and every first one, stands in exactly one of the tickets that show some.
    async fn check_messages(&self, ids: &BTreeSet<TicketId>, acknowledged: &[MessageId]) {
        let mut found: Vec<MessageId> = Vec::new();
        for &id in ids {
            if self.merges(id).await.merged().is_none() {
                let shown = self.desks[2].shown_messages(&self.office.tenant, id).await.unwrap();
                found.extend(shown.unwrap().iter().map(|message| message.id));
            }
        }
        let distinct: BTreeSet<_> = found.iter().copied().collect();
        assert_eq!(distinct.len(), found.len(), "a message in two places");
        let said: BTreeSet<_> = acknowledged.iter().copied().collect();
        assert_eq!(said.len(), acknowledged.len());
        assert!(said.is_subset(&distinct), "a message is lost");
        assert_eq!(distinct.len(), said.len() + TICKETS);
    }

    async fn check(&self, ids: &BTreeSet<TicketId>, acknowledged: &[MessageId]) {
        self.check_folds(ids).await;
        self.check_merges(ids).await;
        self.check_messages(ids, acknowledged).await;
    }

    /// Takes everything apart, last in, first out.
    async fn unmerge_all(&self, ids: &BTreeSet<TicketId>) {
        loop {
            let mut left = 0;
            for &id in ids {
                let Some(merged) = self.merges(id).await.merged() else { continue };
                left += 1;
                let unmerged =
                    self.office.unmerge(&self.desks[0], &self.agent, id, merged.into).await;
                assert!(matches!(unmerged, Ok(()) | Err(DeskError::Refused(_))), "{unmerged:?}");
            }
            if left == 0 {
                return;
            }
        }
    }
}

/// Events of each type that this storm has left.
async fn count(storm: &Storm, ids: &BTreeSet<TicketId>, counted: &mut BTreeMap<EventType, usize>) {
    for &id in ids {
        for event in storm.office.events(id).await {
            *counted.entry(event.event_type).or_default() += 1;
        }
    }
}

async fn storm(seed: u64, counted: &mut BTreeMap<EventType, usize>) {
    let storm = Arc::new(Storm::new().await);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(Arc::clone(&storm).client(seed * CLIENTS + number + 1));
    }
    let mut ids: BTreeSet<TicketId> = storm.tickets.iter().copied().collect();
    let mut acknowledged = Vec::new();
    while let Some(done) = clients.join_next().await {
        let done = done.expect("no client panics");
        acknowledged.extend(done.messages);
        ids.extend(done.follow_ups);
    }
    storm.check(&ids, &acknowledged).await;
    count(&storm, &ids, counted).await;
    storm.unmerge_all(&ids).await;
    storm.check(&ids, &acknowledged).await;
    for &id in &ids {
        let tags: Vec<String> =
            storm.merges(id).await.attached().flat_map(|one| one.tags.clone()).collect();
        assert!(tags.is_empty());
        let shown = storm.desks[0].shown_messages(&storm.office.tenant, id).await.unwrap().unwrap();
        assert!(shown.iter().all(|message| message.stands_on == id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_merges_unmerges_closes_and_replies_lose_and_double_nothing() {
    let mut counted = BTreeMap::new();
    for seed in 0..STORMS {
        storm(seed, &mut counted).await;
    }
    for what in [
        EventType::Merged,
        EventType::Unmerged,
        EventType::MessageForwarded,
        EventType::FollowUpOpened,
    ] {
        assert!(counted.get(&what).is_some_and(|count| *count > 20), "{what:?} of {counted:?}");
    }
}
