//! The resolver's laws, over random histories.

use std::collections::BTreeSet;

use docket_schemas::{Priority, Status};
use proptest::prelude::*;

use super::world::{World, a_tenth, steps};
use crate::command::Command;
use crate::resolver::{Outcome, resolve};
use crate::ticket::Ticket;
use crate::version::Version;

const CUSTOMER: u8 = 0;
const AGENT: u8 = 3;
const ADMIN: u8 = 5;

fn status(ticket: &mut Ticket) -> Outcome<'_, Status> {
    ticket.registers().unwrap();
    resolve::<Status>(ticket, "status").unwrap()
}

fn now(world: &World) -> Version {
    let graph = &world.regions[0].ticket.graph;
    Version::of(graph, graph.heads())
}

/// How many candidates are `closed`, and how many there are, as they are shown: those of one principal folded.
fn candidates_closed(ticket: &mut Ticket) -> (usize, usize) {
    let outcome = status(ticket);
    let closed = outcome.ranked.iter().filter(|one| one.value == Status::Closed).count();
    (closed, outcome.ranked.len())
}

proptest! {
    #![proptest_config(a_tenth())]

    #[test]
    fn a_write_that_has_seen_everything_settles(steps in steps(), value in 0_usize..7) {
        let mut world = World::after(&steps);
        let seen = now(&world);
        let value = Status::ALL[value];
        let (closed, all) = candidates_closed(&mut world.regions[0].ticket);
        let shown = world.write(0, ADMIN, Command::status(value), Some(seen));
        let lone_closed = closed > 0 && closed == all;
        let refused = matches!(value, Status::New | Status::Snoozed) || lone_closed;
        prop_assert_eq!(shown.is_none(), refused);
        if let Some(shown) = shown {
            prop_assert_eq!(shown.status, value);
            prop_assert!(shown.unseen_messages.is_empty());
            prop_assert!(shown.conflicts.iter().all(|conflict| conflict.field != "status"));
        }
        let high = world.write(0, AGENT, Command::priority(Priority::High), None).unwrap();
        prop_assert_eq!(high.priority, Priority::High);
        prop_assert!(high.conflicts.iter().all(|conflict| conflict.field != "priority"));
    }

    #[test]
    fn closed_beats_everything_concurrent_and_alone_is_final(steps in steps()) {
        let mut world = World::after(&steps);
        let (closed, all) = candidates_closed(&mut world.regions[0].ticket);
        let effective = status(&mut world.regions[0].ticket).effective;
        prop_assert_eq!(effective == Status::Closed, closed > 0);
        if closed > 0 {
            let blind = world.write(0, ADMIN, Command::status(Status::Open), None);
            prop_assert!(blind.is_none(), "who does not name the conflict settles nothing");
        }
        if closed > 0 && closed == all {
            let seen = now(&world);
            for writer in [CUSTOMER, AGENT, ADMIN] {
                let open = Command::status(Status::Open);
                prop_assert!(world.write(0, writer, open, Some(seen.clone())).is_none());
            }
        }
    }

    #[test]
    fn one_principal_has_one_candidate_and_each_closed_stays(steps in steps()) {
        let mut world = World::after(&steps);
        let outcome = status(&mut world.regions[0].ticket);
        let closed = |one: &&crate::resolver::Ranked<'_, Status>| one.value == Status::Closed;
        prop_assert_eq!(
            outcome.ranked.iter().filter(closed).count(),
            outcome.survivors.iter().filter(closed).count()
        );
        let open: Vec<_> = outcome.ranked.iter().filter(|one| !closed(one)).collect();
        let principals: BTreeSet<_> = open.iter().map(|one| &one.node.principal).collect();
        prop_assert_eq!(principals.len(), open.len());
        let roles: Vec<_> = open.iter().map(|one| one.node.role.rank()).collect();
        prop_assert!(roles.is_sorted_by(|a, b| a >= b), "best first: {:?}", roles);
    }

    #[test]
    fn another_solver_never_makes_more_messages_unseen(steps in steps(), stale in any::<u16>()) {
        let mut world = World::after(&steps);
        world.write(0, AGENT, Command::status(Status::Solved), None);
        world.write(0, CUSTOMER, Command::reply("late"), None);
        let before = world.regions[0].ticket.resolve().unwrap();
        let ids = |shown: &crate::ticket::Resolved| -> BTreeSet<_> {
            shown.unseen_messages.iter().map(|message| message.id).collect()
        };
        let versions = &world.regions[0].versions;
        let version = versions[usize::from(stale) % versions.len()].clone();
        let effective = status(&mut world.regions[0].ticket).effective;
        let solve = Command::status(Status::Solved);
        let Some(after) = world.write(0, ADMIN, solve, Some(version)) else { return Ok(()) };
        if effective == Status::Solved {
            prop_assert!(ids(&after).is_subset(&ids(&before)));
        }
    }

    #[test]
    fn one_late_message_reopens_once_and_solving_with_it_seen_settles(steps in steps()) {
        let mut world = World::after(&steps);
        let Some(solved) = world.write(0, AGENT, Command::status(Status::Solved), None) else {
            return Ok(());
        };
        prop_assert_eq!(solved.status, Status::Solved);
        let before = now(&world);
        let late = world.write(0, CUSTOMER, Command::reply("late"), Some(before)).unwrap();
        prop_assert_eq!((late.status, late.unseen_messages.len()), (Status::Open, 1));
        let seen = now(&world);
        let settled = world.write(0, AGENT, Command::status(Status::Solved), Some(seen)).unwrap();
        prop_assert_eq!((settled.status, settled.unseen_messages.len()), (Status::Solved, 0));
        let note = world.write(0, AGENT, Command::note("n"), None).unwrap();
        prop_assert_eq!(note.status, Status::Solved);
    }
}
