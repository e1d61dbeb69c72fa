//! Two nodes on one log: whatever they do at once, nothing is lost, doubled or out of order.

use std::collections::HashSet;
use std::sync::Arc;

use docket_schemas::{Observed, Role, Status, TicketEvent, TicketId};

use crate::command::{Caller, Command, Intent, Refusal};
use crate::contract::drafts::check_order;
use crate::desk::{Answer, Desk, DeskError};
use crate::testing::{Office, digest};

/// Writes of each desk in a race.
const WRITES_EACH: usize = 120;

struct Race {
    office: Arc<Office>,
    desks: [Desk; 2],
    ticket: TicketId,
    agents: Vec<Caller>,
}

impl Race {
    async fn new() -> Self {
        let office = Arc::new(Office::new().await);
        let desks = [office.desk().await, office.desk().await];
        let ticket = desks[0].open(office.opening().await).await.unwrap().ticket.id;
        let mut agents = Vec::new();
        for name in ["ann", "ben", "cem", "dee"] {
            agents.push(office.caller(Role::Agent, name).await);
        }
        Self { office, desks, ticket, agents }
    }

    /// Sends the intents, alternating between the desks, all at once.
    async fn run(&self, intents: Vec<Intent>) -> Vec<Result<Answer, DeskError>> {
        let sent: Vec<_> = intents
            .into_iter()
            .enumerate()
            .map(|(index, intent)| {
                let desk = self.desks[index % 2].clone();
                tokio::spawn(async move { desk.execute(intent).await })
            })
            .collect();
        let mut answers = Vec::with_capacity(sent.len());
        for one in sent {
            answers.push(one.await.unwrap());
        }
        answers
    }

    async fn intent(&self, agent: usize, command: Command) -> Intent {
        self.office.intent(&self.agents[agent % self.agents.len()], self.ticket, command).await
    }

    async fn check(&self) {
        check_order(&self.office.log).await;
        let events = self.office.events(self.ticket).await;
        let mut dots = HashSet::new();
        let mut commands = HashSet::new();
        for event in &events {
            let change = event.change.as_ref().expect("every event of a ticket has a change");
            assert!(dots.insert((change.actor, change.seq)), "a dot is used once");
            assert!(commands.insert(event.command_id), "a command is stored once");
        }
        let mut shown = Vec::new();
        for desk in [&self.desks[0], &self.desks[1], &self.office.desk().await] {
            let look = desk.look(&self.office.tenant, self.ticket, |ticket| ticket.resolve());
            shown.push(digest(&look.await.unwrap().unwrap().unwrap()));
        }
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "every node shows the same");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_through_two_nodes_are_each_stored_once() {
    let race = Race::new().await;
    let mut intents = Vec::new();
    for number in 0..2 * WRITES_EACH {
        let status = [Status::Open, Status::Pending, Status::Hold, Status::Solved][number % 4];
        let command = match number % 3 {
            0 => Command::status(status),
            1 => Command::reply("and"),
            _ => Command::tags(&["even", "odd"][number % 2..=number % 2], &[]),
        };
        intents.push(race.intent(number / 2, command).await);
    }
    let answers = race.run(intents.clone()).await;
    let positions: HashSet<_> =
        answers.iter().map(|answer| answer.as_ref().unwrap().placed.position).collect();
    assert_eq!(positions.len(), intents.len(), "every write has a place of its own");
    let events = race.office.events(race.ticket).await;
    assert_eq!(events.len(), intents.len() + 1);
    race.check().await;
    for (answer, intent) in answers.into_iter().zip(intents) {
        let again = race.desks[0].execute(intent).await.unwrap();
        assert_eq!(digest(&again.ticket), digest(&answer.unwrap().ticket));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_one_candidate_was_made_without_a_version() {
    let race = Race::new().await;
    let tenant = &race.office.tenant;
    for round in 0..10 {
        let look = race.desks[0].look(tenant, race.ticket, |ticket| ticket.resolve());
        let version = look.await.unwrap().unwrap().unwrap().version;
        let mut intents = Vec::new();
        for number in 0..16 {
            let status = [Status::Open, Status::Pending, Status::Hold][(number + round) % 3];
            let mut intent = race.intent(number / 2, Command::status(status)).await;
            intent.observed = (number % 4 == 0).then(|| version.clone());
            intents.push(intent);
        }
        for answer in race.run(intents).await {
            for conflict in answer.unwrap().ticket.conflicts {
                let assumed =
                    |one: &&crate::ticket::ConflictCandidate| one.observed == Observed::Assumed;
                assert!(conflict.candidates.iter().filter(assumed).count() <= 1, "{conflict:?}");
            }
        }
    }
    race.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raced_claim_has_one_winner_whom_the_losers_are_told() {
    let race = Race::new().await;
    let admin = race.office.caller(Role::Admin, "root").await;
    for _ in 0..20 {
        let mut intents = Vec::new();
        for (index, agent) in race.agents.iter().enumerate() {
            let claim = Command::Claim(agent.principal.person().unwrap());
            intents.push(race.intent(index, claim).await);
        }
        let persons: Vec<_> =
            intents.iter().map(|intent| intent.caller.principal.person().unwrap()).collect();
        let answers = race.run(intents).await;
        let winners: Vec<_> =
            persons.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).collect();
        assert_eq!(winners.len(), 1);
        let winner = *winners[0].0;
        for answer in &answers {
            match answer {
                Ok(answer) => assert_eq!(answer.ticket.assignee, Some(winner)),
                Err(DeskError::Refused(Refusal::AlreadyClaimed { holder })) => {
                    assert_eq!(*holder, winner);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        let release = race.office.intent(&admin, race.ticket, Command::Release).await;
        assert_eq!(race.desks[1].execute(release).await.unwrap().ticket.assignee, None);
    }
    race.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_sent_50_times_to_both_nodes_is_one_event_with_one_answer() {
    let race = Race::new().await;
    for (key, command) in [
        ("k1", Command::reply_as("Fixed.", Some(Status::Solved))),
        ("k2", Command::status(Status::Pending)),
        ("k3", Command::tags(&["x"], &["y"])),
    ] {
        let mut intent = race.intent(0, command).await;
        intent.command_id = race.office.command_of_key(&intent.caller, race.ticket, key);
        let answers = race.run(vec![intent.clone(); 50]).await;
        let digests: HashSet<_> = answers
            .iter()
            .map(|answer| answer.as_ref().unwrap())
            .map(|answer| (digest(&answer.ticket), answer.message, answer.placed.position))
            .collect();
        assert_eq!(digests.len(), 1, "{key}");
        let first = answers.iter().filter(|answer| !answer.as_ref().unwrap().replayed);
        assert_eq!(first.count(), 1, "{key}");
    }
    assert_eq!(race.office.events(race.ticket).await.len(), 1 + 2 + 1 + 1);
    race.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_opening_sent_50_times_to_both_nodes_is_one_ticket() {
    let race = Race::new().await;
    let opening = race.office.opening().await;
    let sent: Vec<_> = (0..50)
        .map(|index| {
            let (desk, opening) = (race.desks[index % 2].clone(), opening.clone());
            tokio::spawn(async move { desk.open(opening).await })
        })
        .collect();
    let mut digests = HashSet::new();
    for one in sent {
        digests.insert(digest(&one.await.unwrap().unwrap().ticket));
    }
    assert_eq!(digests.len(), 1);
    assert_eq!(race.office.events(opening.ticket()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_and_its_status_stand_or_fall_together() {
    let race = Race::new().await;
    let admin = race.office.caller(Role::Admin, "root").await;
    let mut intents = Vec::new();
    for number in 0..40 {
        let submit = Command::reply_as("Fixed.", Some(Status::Solved));
        intents.push(race.intent(number / 2, submit).await);
    }
    let close = Command::status(Status::Closed);
    intents.insert(20, race.office.intent(&admin, race.ticket, close).await);
    let answers = race.run(intents).await;
    let events = race.office.events(race.ticket).await;
    let kinds: Vec<_> = events[1..].iter().map(|event| event.event_type).collect();
    let messages = kinds.iter().filter(|kind| **kind == TicketEvent::MessageAdded).count();
    let changes = kinds.iter().filter(|kind| **kind == TicketEvent::Changed).count();
    assert_eq!(changes, messages + 1, "each message has its status, and one closed");
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(accepted, messages + 1);
    for pair in events[1..].windows(2) {
        if pair[0].event_type == TicketEvent::MessageAdded {
            assert_eq!(pair[1].causation_id, Some(pair[0].command_id), "its status follows it");
        }
    }
    let closed = |answer: &Result<Answer, DeskError>| {
        matches!(answer, Err(DeskError::Refused(Refusal::Closed)))
    };
    assert!(answers.iter().all(|answer| answer.is_ok() || closed(answer)));
    race.check().await;
}
