//! Merging: whatever was written where, and in whatever causal order it arrives, every replica ends the same.

use std::collections::BTreeSet;

use automerge::legacy::{Key, ObjectId, OpId, OpType};
use automerge::{Automerge, Change, ObjId, ReadDoc as _};
use docket_schemas::{Event, Status};
use proptest::prelude::*;

use super::world::{World, a_tenth, check_all, hash_of, merged, steps};
use crate::command::Command;
use crate::genesis::{GENESIS_ACTOR, genesis};
use crate::layout::Container;
use crate::ticket::Ticket;

/// A key with its container and its surviving values, each with its op counter.
type DumpedOwned = (&'static str, String, Vec<(String, u64)>);

/// Every key of every container with its surviving values and op counters, read from a document.
fn read(document: &Automerge) -> Vec<DumpedOwned> {
    let mut all = Vec::new();
    for container in Container::ALL {
        let object = ObjId::Id(container.counter(), GENESIS_ACTOR.into(), 0);
        for key in document.keys(&object) {
            let mut values: Vec<_> = document
                .get_all(&object, key.as_str())
                .unwrap()
                .into_iter()
                .map(|(value, id)| match id {
                    ObjId::Id(counter, ..) => (value.as_str().unwrap().to_owned(), counter),
                    ObjId::Root => panic!("a scalar has an op"),
                })
                .collect();
            values.sort_unstable();
            all.push((container.name(), key, values));
        }
    }
    all.sort();
    all
}

fn cached(ticket: &mut Ticket) -> Vec<DumpedOwned> {
    let owned = |values: Vec<(&str, u64)>| {
        values.into_iter().map(|(value, counter)| (value.to_owned(), counter)).collect()
    };
    let dump = ticket.registers().unwrap().dump();
    let mut all: Vec<_> =
        dump.into_iter().map(|(map, key, values)| (map, key.to_owned(), owned(values))).collect();
    all.sort();
    all
}

fn heads(ticket: &Ticket) -> BTreeSet<[u8; 32]> {
    ticket.graph.heads().iter().map(|&head| ticket.graph.nodes()[head].hash.0).collect()
}

fn document_heads(document: &Automerge) -> BTreeSet<[u8; 32]> {
    document.get_heads().into_iter().map(|hash| hash.0).collect()
}

fn change_of(event: &Event) -> Change {
    Change::try_from(event.change.as_ref().unwrap().bytes.as_slice()).unwrap()
}

/// A change replaces what a document shows at its causes, no more and no less, whether or not its author had one.
fn assert_replaces_what_stood(document: &Automerge, change: &Change) {
    for op in change.decode().operations {
        let ObjectId::Id(object) = &op.obj else { panic!("containers are made by the genesis") };
        let Key::Map(key) = &op.key else { panic!("there are no lists") };
        let object = ObjId::Id(object.counter(), object.actor().clone(), 0);
        let stood = document.get_all_at(&object, key.as_str(), change.deps()).unwrap();
        let stood = stood.into_iter().map(|(_, id)| match id {
            ObjId::Id(counter, actor, _) => OpId::new(counter, &actor),
            ObjId::Root => panic!("a scalar has an op"),
        });
        let replaced: BTreeSet<OpId> = op.pred.iter().cloned().collect();
        assert_eq!(replaced, stood.collect::<BTreeSet<_>>());
        assert!(op.action != OpType::Delete || !replaced.is_empty(), "a deletion of nothing");
    }
}

/// A replica that looks after every event, and another document that is saved and loaded after every event.
fn careful_replica(world: &World, events: &[Event]) -> Ticket {
    let mut ticket = world.empty();
    let mut document = Automerge::new().with_actor(GENESIS_ACTOR.into());
    document.apply_changes([genesis(&ticket.tenant, ticket.id)]).unwrap();
    for event in events {
        ticket.apply(event).unwrap();
        let change = change_of(event);
        assert_eq!(
            change.message(),
            Some(event.draft.commitment().as_str()),
            "it commits to its event"
        );
        assert_eq!(change.max_op(), event.change.as_ref().unwrap().max_op);
        assert_replaces_what_stood(&document, &change);
        document.apply_changes([change]).unwrap();
        document = Automerge::load(&document.save()).expect("what was saved always loads");
        assert_eq!(cached(&mut ticket), read(&document), "registers are what the document holds");
        assert_eq!(heads(&ticket), document_heads(&document));
    }
    ticket
}

fn lazy_replica(world: &World, events: &[Event]) -> Ticket {
    let mut ticket = world.empty();
    ticket.apply_all(events).unwrap();
    ticket
}

/// A replica that lives from snapshots: put away and restored after every third event.
fn restored_replica(world: &World, events: &[Event]) -> Ticket {
    let mut ticket = world.empty();
    for event in events {
        ticket.apply(event).unwrap();
        if !event.position.is_multiple_of(3) {
            continue;
        }
        let snapshot = ticket.snapshot().unwrap();
        assert_eq!(snapshot.position, event.position);
        let (tenant, id) = (ticket.tenant.clone(), ticket.id);
        ticket = Ticket::restore(tenant, id, &snapshot).expect("this release reads what it wrote");
    }
    ticket
}

#[test]
fn replicas_that_got_the_same_events_in_any_causal_order_are_the_same() {
    check_all(file!(), (steps(), any::<[u64; 3]>()), |(steps, order)| {
        let mut world = World::after(&steps);
        let careful = careful_replica(&world, &world.shuffled(order[0]));
        let lazy = lazy_replica(&world, &world.shuffled(order[1]));
        let restored = restored_replica(&world, &world.shuffled(order[2]));
        let mut replicas = vec![careful, lazy, restored];
        replicas.extend(world.regions.drain(..).map(|region| region.ticket));
        let first = (merged(&mut replicas[0]), cached(&mut replicas[0]), heads(&replicas[0]));
        for replica in &mut replicas[1..] {
            prop_assert_eq!(&first.0, &merged(replica));
            prop_assert_eq!(&first.1, &cached(replica));
            prop_assert_eq!(&first.2, &heads(replica));
            let document = replica.document.live().unwrap();
            prop_assert_eq!(&first.1, &read(document));
            prop_assert_eq!(&first.2, &document_heads(document));
        }
        Ok(())
    });
}

#[test]
fn a_document_comes_to_life_once_two_writes_have_not_seen_each_other() {
    let mut world = World::opened(&["eu"]);
    let solve = || Command::status(Status::Solved);
    for command in [solve(), Command::tags(&["b"], &["a"]), Command::tags(&["b"], &[])] {
        world.write(0, 3, command, None).unwrap();
    }
    let alive = |ticket: &mut Ticket| {
        ticket.resolve().unwrap();
        ticket.document.is_live()
    };
    assert!(!alive(&mut world.regions[0].ticket), "each had seen all before it");
    world.write(1, 5, Command::status(Status::Closed), None).unwrap();
    world.sync();
    for region in &mut world.regions {
        assert!(alive(&mut region.ticket));
        let cached = cached(&mut region.ticket);
        assert_eq!(cached, read(region.ticket.document.live().unwrap()));
        assert!(cached.iter().any(|(_, key, values)| key == "status" && values.len() == 2));
    }
}

proptest! {
    #![proptest_config(a_tenth())]

    #[test]
    fn every_actors_changes_are_a_chain_and_every_dot_is_used_once(steps in steps()) {
        let world = World::after(&steps);
        let mut dots = BTreeSet::new();
        let mut last = std::collections::HashMap::new();
        for event in &world.regions[0].events {
            let change = event.change.as_ref().unwrap();
            prop_assert!(dots.insert((change.actor, change.seq)));
            let seq = last.entry(change.actor).or_insert(0);
            prop_assert_eq!(change.seq, *seq + 1);
            *seq = change.seq;
            prop_assert!(change.deps.is_sorted());
        }
        let graph = &world.regions[0].ticket.graph;
        for node in graph.nodes() {
            let actor = graph.actor_of(node);
            let mut seen = graph.vector(node.everything_seen());
            let (_, seen) = seen.find(|(one, _)| *one == actor).unwrap();
            prop_assert_eq!(seen, node.seq, "a writer has seen its lane up to itself");
        }
        let known: BTreeSet<_> = world.regions[1].events.iter().map(hash_of).collect();
        prop_assert_eq!(known.len(), world.regions[0].events.len());
    }
}
