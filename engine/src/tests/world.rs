//! Random histories: a few writers in two regions, cut off from each other at random, all of them stale.

use std::collections::HashSet;
use std::sync::Arc;

use docket_schemas::{
    ChangeHash, Channel, CommandId, CustomFields, Event, Incarnation, KeyId, Opened, OpeningText,
    Origin, Partition, PersonId, Position, Principal, Priority, Role, Scalar, Status, Tenant,
    TicketId, TicketType, Timestamp,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::command::{
    AuthorError, Authoring, Caller, Command, FieldChange, Intent, NewMessage, Opening, Visibility,
    decide, open,
};
use crate::ports::ids::Ids as _;
use crate::ports::log::{Placed, Row};
use crate::seal::DataKey;
use crate::testing::CountedIds;
use crate::ticket::{Resolved, Ticket};
use crate::version::Version;

const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const PARTITION: Partition = Partition::new(0).expect("the first");
const REGIONS: usize = 2;
/// Most steps of one history.
pub(super) const STEPS_MAX: usize = 20;

/// Cases of the law that every other rests on: 10,000, or 1,000,000 when `DOCKET_TEST_LONG` is set.
#[expect(clippy::disallowed_methods, reason = "a test has no command line")]
fn all_cases() -> u32 {
    if std::env::var_os("DOCKET_TEST_LONG").is_some() { 1_000_000 } else { 10_000 }
}

/// A tenth of the cases, for a property of the same histories.
pub(super) fn a_tenth() -> ProptestConfig {
    ProptestConfig { cases: all_cases() / 10, ..ProptestConfig::default() }
}

/// Checks a property in all cases, shared out to as many threads as there are processors.
#[track_caller]
pub(super) fn check_all<S: Strategy + Sync>(
    file: &'static str,
    histories: S,
    holds: impl Fn(S::Value) -> Result<(), TestCaseError> + Sync,
) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cases = all_cases().div_ceil(u32::try_from(threads).unwrap_or(1));
    let config = ProptestConfig { cases, source_file: Some(file), ..ProptestConfig::default() };
    std::thread::scope(|scope| {
        let run = || {
            let ran = TestRunner::new(config.clone()).run(&histories, &holds);
            ran.map_err(|failure| failure.to_string())
        };
        let shares: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for share in shares {
            if let Err(failure) = share.join().expect("a case that panics is a failure") {
                panic!("{file}: {failure}");
            }
        }
    });
}

/// One step of a history; every number is taken modulo what there is to choose from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) region: u8,
    pub(super) writer: u8,
    pub(super) action: u8,
    pub(super) argument: u8,
    pub(super) observed: u16,
}

/// Random steps.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        any::<(u8, u8, u8, u8, u16)>().prop_map(|(region, writer, action, argument, observed)| {
            Step { region, writer, action, argument, observed }
        });
    proptest::collection::vec(step, 1..=STEPS_MAX)
}

/// One region: its log and its ticket.
pub(super) struct Region {
    incarnation: Incarnation,
    pub(super) ticket: Ticket,
    pub(super) events: Vec<Event>,
    pub(super) versions: Vec<Version>,
}

/// A ticket in two regions.
pub(super) struct World {
    tenant: Tenant,
    id: TicketId,
    pub(super) regions: Vec<Region>,
    ids: CountedIds,
    key: Arc<DataKey>,
    now: Timestamp,
}

fn person(number: u64) -> PersonId {
    PersonId::new(Uuid::from_u64_pair(0x8000, 0x8000_0000_0000_0000 | number))
}

const WRITERS: [(Role, u64, &str); 7] = [
    (Role::Customer, 1, "web"),
    (Role::Customer, 1, "phone"),
    (Role::Customer, 2, "web"),
    (Role::Agent, 3, "web"),
    (Role::Agent, 3, "phone"),
    (Role::Admin, 4, "web"),
    (Role::Bot, 5, "rule"),
];

impl World {
    /// A ticket that both regions know, opened in one region or, cut off from each other, in both.
    pub(super) fn opened(openings: &[&str]) -> Self {
        let tenant: Tenant = "acme".parse().unwrap();
        let ids = CountedIds::seeded(3);
        let key = Arc::new(DataKey::new(KeyId::new(ids.time_ordered()), &[5; 32]));
        let opening = Opening {
            caller: caller(&tenant, 0),
            command_id: CommandId::new(ids.time_ordered()),
            request_mac: None,
            occurred_at: NOON,
            opened: Opened {
                requester_id: person(1),
                kind: None,
                status: Status::New,
                priority: Priority::Normal,
                ticket_type: None,
                tags: vec!["a".to_owned()],
                group_id: None,
                assignee_id: None,
                custom_fields: CustomFields::new(),
                channel: Channel::Web,
                external_id: None,
                follow_up_of: None,
                source_row: None,
            },
            text: OpeningText { subject: "S".into(), body: "B".into(), requester: None },
            key: Arc::clone(&key),
            causation_id: None,
        };
        let opened: Vec<Event> = openings
            .iter()
            .map(|name| {
                let incarnation = Incarnation::new(name, 1).unwrap();
                let with = Authoring { incarnation: &incarnation, ids: &ids };
                event_at(&open(&opening, with).unwrap().0, 1, &incarnation)
            })
            .collect();
        let id = opening.ticket();
        let mut world = Self { tenant, id, regions: Vec::new(), ids, key, now: NOON };
        for (index, name) in ["eu", "us"].into_iter().enumerate() {
            let event = opened[index % opened.len()].clone();
            let mut ticket = world.empty();
            ticket.apply(&event).unwrap();
            let versions = vec![Version::of(&ticket.graph, ticket.graph.heads())];
            let incarnation = Incarnation::new(name, 1).unwrap();
            world.regions.push(Region { incarnation, ticket, events: vec![event], versions });
        }
        world
    }

    /// The history of `steps`, both regions in touch again at its end.
    pub(super) fn after(steps: &[Step]) -> Self {
        let openings: &[&str] = if steps.len().is_multiple_of(4) { &["eu", "us"] } else { &["eu"] };
        let mut world = Self::opened(openings);
        for step in steps {
            world.step(*step);
        }
        world.sync();
        world
    }

    /// The ticket before its first event.
    pub(super) fn empty(&self) -> Ticket {
        Ticket::new(self.tenant.clone(), self.id)
    }

    fn step(&mut self, step: Step) {
        if step.action % 16 == 15 {
            return self.sync();
        }
        let region = usize::from(step.region) % REGIONS;
        let versions = &self.regions[region].versions;
        let choice = usize::from(step.observed) % (versions.len() + 2);
        let observed = versions.get(choice).cloned();
        let command = self.command(step);
        let id = CommandId::new(self.ids.time_ordered());
        self.write_as(id, region, step.writer, command.clone(), observed.clone());
        // A client that got no answer asks the other region: both accept it while they are cut off.
        if step.argument % 8 == 7 {
            self.write_as(id, (region + 1) % REGIONS, step.writer, command, observed);
        }
    }

    fn command(&self, step: Step) -> Command {
        let argument = usize::from(step.argument);
        let tag = |shift: usize| ["a", "b", "c"][(argument + shift) % 3];
        let me = person(WRITERS[usize::from(step.writer) % WRITERS.len()].1);
        let fields = |change: FieldChange| Command::Change(Box::new(change));
        let nothing = FieldChange::default;
        let say = |visibility, status| {
            Command::AddMessage(NewMessage { body: "said".to_owned(), visibility, status })
        };
        let status = Status::ALL[argument % Status::ALL.len()];
        match step.action % 16 {
            0..=3 => Command::status(status),
            4 => Command::priority(Priority::ALL[argument % Priority::ALL.len()]),
            5 => Command::tags(&[tag(0)], &[]),
            6 => Command::tags(&[], &[tag(0)]),
            7 => Command::tags(&[tag(0), tag(1), tag(0)], &[tag(1), tag(2)]),
            8 => {
                let value = [Scalar::Null, Scalar::Integer(1), Scalar::Text("x|y".into())];
                let key = ["k1", "k2"][argument % 2].to_owned();
                let custom_fields = [(key, value[argument % 3].clone())].into();
                fields(FieldChange { custom_fields, ..nothing() })
            }
            9 => say(Visibility::Public, None),
            10 => say(Visibility::Internal, None),
            11 => say(Visibility::Public, Some(status)),
            12 => [Command::Claim(me), Command::Release, Command::assign(Some(person(3)))]
                [argument % 3]
                .clone(),
            13 => [Command::Follow(person(2)), Command::Unfollow(person(2))][argument % 2].clone(),
            _ => fields(FieldChange {
                ticket_type: Some([None, Some(TicketType::Task)][argument % 2]),
                group_id: (argument % 3 == 0).then(|| Some("billing".to_owned())),
                subject: (argument % 5 == 0).then(|| "Other".to_owned()),
                ..nothing()
            }),
        }
    }

    /// Writes in one region; none when it was refused.
    pub(super) fn write(
        &mut self,
        region: usize,
        writer: u8,
        command: Command,
        observed: Option<Version>,
    ) -> Option<Resolved> {
        let id = CommandId::new(self.ids.time_ordered());
        self.write_as(id, region, writer, command, observed)
    }

    fn write_as(
        &mut self,
        command_id: CommandId,
        region: usize,
        writer: u8,
        command: Command,
        observed: Option<Version>,
    ) -> Option<Resolved> {
        if self.regions[region].ticket.graph.of_command(command_id).is_some() {
            return None;
        }
        self.now = self.now.plus_micros(1_000);
        let caller = caller(&self.tenant, usize::from(writer) % WRITERS.len());
        let intent = Intent {
            observed,
            text_key: Some(Arc::clone(&self.key)),
            ..Intent::new(caller, self.id, command_id, self.now, command)
        };
        let region = &mut self.regions[region];
        let with = Authoring { incarnation: &region.incarnation, ids: &self.ids };
        let rows = match decide(&mut region.ticket, &intent, with) {
            Ok(decided) => decided.rows,
            Err(AuthorError::Refused(_) | AuthorError::Stale) => return None,
            Err(AuthorError::Fold(error)) => panic!("what was decided cannot be folded: {error}"),
        };
        for row in rows {
            let event = event_at(&row, region.events.len() as Position + 1, &region.incarnation);
            let Event { partition, position, recorded_at, .. } = event;
            region.ticket.confirm(&row.draft, Placed { partition, position, recorded_at });
            region.events.push(event);
        }
        region.versions.push(Version::of(&region.ticket.graph, region.ticket.graph.heads()));
        Some(region.ticket.resolve().unwrap())
    }

    /// Each region gets what it lacks.
    pub(super) fn sync(&mut self) {
        let logs: Vec<Vec<Event>> =
            self.regions.iter().map(|region| region.events.clone()).collect();
        for (index, region) in self.regions.iter_mut().enumerate() {
            let known: HashSet<ChangeHash> = region.events.iter().map(hash_of).collect();
            let other = &logs[(index + 1) % REGIONS];
            for event in other.iter().filter(|event| !known.contains(&hash_of(event))) {
                let event =
                    Event { position: region.events.len() as Position + 1, ..event.clone() };
                region.ticket.apply(&event).unwrap();
                region.events.push(event);
            }
            region.versions.push(Version::of(&region.ticket.graph, region.ticket.graph.heads()));
        }
    }

    /// Every event in some causal order that `choices` picks, numbered anew.
    pub(super) fn shuffled(&self, mut choices: u64) -> Vec<Event> {
        let mut rest = self.regions[0].events.clone();
        let mut known: HashSet<ChangeHash> =
            HashSet::from([self.regions[0].ticket.document.genesis_hash()]);
        let mut order = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let ready: Vec<usize> = (0..rest.len())
                .filter(|&index| {
                    let change = rest[index].change.as_ref().unwrap();
                    change.deps.iter().all(|dep| known.contains(dep))
                })
                .collect();
            choices = choices.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let choice = usize::try_from(choices >> 33).unwrap() % ready.len();
            let event = rest.remove(ready[choice]);
            known.insert(hash_of(&event));
            order.push(Event { position: order.len() as Position + 1, ..event });
        }
        order
    }
}

/// The change of an event.
pub(super) fn hash_of(event: &Event) -> ChangeHash {
    event.change.as_ref().unwrap().hash
}

/// A ticket as it is shown, without the assignee: who holds it is the deciding region's order, and is not merged.
pub(super) fn merged(ticket: &mut Ticket) -> String {
    let resolved = ticket.resolve().unwrap();
    crate::testing::digest(&Resolved { assignee: None, ..resolved })
}

fn caller(tenant: &Tenant, writer: usize) -> Caller {
    let (role, number, device) = WRITERS[writer];
    let principal = Principal::Person(person(number));
    Caller { tenant: tenant.clone(), role, principal, device: device.into() }
}

fn event_at(row: &Row, position: Position, incarnation: &Incarnation) -> Event {
    let recorded_at = row.draft.occurred_at;
    let (partition, region) = (PARTITION, incarnation.clone());
    let origin = Origin { region, partition, position, recorded_at };
    Event { draft: (*row.draft).clone(), partition, position, recorded_at, origin }
}
