//! The scene that Docket exists for: solved, pending and closed at once, and the reply that nobody had seen.

use docket_schemas::{Role, Status, TicketId};

use crate::command::{Caller, Command, Refusal};
use crate::desk::{Desk, DeskError};
use crate::testing::Office;
use crate::ticket::Resolved;
use crate::version::Version;

struct Scene {
    office: Office,
    desk: Desk,
    ticket: TicketId,
    customer: Caller,
    agent: Caller,
    admin: Caller,
}

impl Scene {
    async fn opened() -> Self {
        let office = Office::new().await;
        let desk = office.desk().await;
        let opened = desk.open(office.opening().await).await.unwrap();
        Self {
            ticket: opened.ticket.id,
            customer: office.caller(Role::Customer, "cus_1").await,
            agent: office.caller(Role::Agent, "ann").await,
            admin: office.caller(Role::Admin, "root").await,
            office,
            desk,
        }
    }

    async fn now(&self) -> Resolved {
        let look = self.desk.look(&self.office.tenant, self.ticket, |ticket| ticket.resolve());
        look.await.unwrap().unwrap().unwrap()
    }

    async fn tries(
        &self,
        caller: &Caller,
        command: Command,
        observed: Option<&Version>,
    ) -> Result<Resolved, DeskError> {
        let mut intent = self.office.intent(caller, self.ticket, command).await;
        intent.observed = observed.cloned();
        self.desk.execute(intent).await.map(|answer| answer.ticket)
    }

    async fn does(&self, caller: &Caller, command: Command, observed: &Version) -> Resolved {
        self.tries(caller, command, Some(observed)).await.unwrap()
    }
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, DeskError>) -> Refusal {
    match result {
        Err(DeskError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

async fn disputed(order: [usize; 3]) -> Scene {
    let scene = Scene::opened().await;
    let observed = scene.now().await.version;
    let writes = [
        (&scene.customer, Status::Solved),
        (&scene.agent, Status::Pending),
        (&scene.admin, Status::Closed),
    ];
    for index in order {
        let (caller, status) = writes[index];
        scene.does(caller, Command::status(status), &observed).await;
    }
    scene
}

#[tokio::test]
async fn solved_pending_and_closed_at_once_show_closed_and_all_three_in_any_order() {
    for order in ORDERS {
        let scene = disputed(order).await;
        let now = scene.now().await;
        assert_eq!(now.status, Status::Closed, "{order:?}");
        assert_eq!(now.conflicts.len(), 1, "{order:?}");
        let candidates: Vec<_> = now.conflicts[0]
            .candidates
            .iter()
            .map(|one| (one.value.as_str().unwrap_or_default().to_owned(), one.role))
            .collect();
        let expected =
            [("closed", Role::Admin), ("pending", Role::Agent), ("solved", Role::Customer)]
                .map(|(value, role)| (value.to_owned(), role));
        assert_eq!(candidates, expected, "{order:?}");
    }
}

#[tokio::test]
async fn an_agent_settles_the_conflict_with_the_version_that_shows_it() {
    for order in ORDERS {
        let scene = disputed(order).await;
        let shown = scene.now().await.version;
        let settled = scene.does(&scene.agent, Command::status(Status::Open), &shown).await;
        assert_eq!(settled.status, Status::Open);
        assert_eq!(settled.conflicts, Vec::new());
        assert_eq!(settled.unseen_messages, Vec::new());
    }
}

#[tokio::test]
async fn a_conflict_that_holds_closed_is_settled_by_nobody_who_does_not_name_it() {
    let scene = disputed(ORDERS[0]).await;
    let shown = scene.now().await.version;
    let open = || Command::status(Status::Open);
    assert_eq!(refusal(scene.tries(&scene.agent, open(), None).await), Refusal::Closed);
    assert_eq!(refusal(scene.tries(&scene.customer, open(), Some(&shown)).await), Refusal::Closed);
    let settled = scene.does(&scene.agent, Command::status(Status::Closed), &shown).await;
    assert_eq!((settled.status, settled.conflicts), (Status::Closed, Vec::new()));
    assert_eq!(refusal(scene.tries(&scene.admin, open(), None).await), Refusal::Closed);
}

#[tokio::test]
async fn a_lone_closed_is_final_for_everybody_who_has_seen_it() {
    let scene = Scene::opened().await;
    let before = scene.now().await.version;
    let closed = scene.does(&scene.admin, Command::status(Status::Closed), &before).await;
    for caller in [&scene.agent, &scene.admin, &scene.customer] {
        for observed in [None, Some(&closed.version)] {
            let open = Command::status(Status::Open);
            assert_eq!(refusal(scene.tries(caller, open, observed).await), Refusal::Closed);
        }
    }
    let late = scene.does(&scene.agent, Command::status(Status::Pending), &before).await;
    assert_eq!(late.status, Status::Closed, "accepted as concurrent, and beaten");
    assert_eq!(late.conflicts.len(), 1);
}

#[tokio::test]
async fn a_reply_that_the_solver_had_not_seen_keeps_the_ticket_open_until_it_is_seen() {
    let scene = Scene::opened().await;
    let before = scene.now().await.version;
    let replied = scene.does(&scene.customer, Command::reply("It still smokes."), &before).await;
    let solved = scene.does(&scene.agent, Command::status(Status::Solved), &before).await;
    assert_eq!(solved.status, Status::Open);
    assert_eq!(solved.unseen_messages.len(), 1);
    assert_eq!(solved.unseen_messages[0].author, scene.customer.principal);
    assert!(solved.conflicts.is_empty() && replied.unseen_messages.is_empty());
    let again = scene.does(&scene.agent, Command::status(Status::Solved), &solved.version).await;
    assert_eq!(again.status, Status::Solved);
    assert_eq!(again.unseen_messages, Vec::new());
}

#[tokio::test]
async fn a_later_reply_reopens_and_so_does_none_of_the_solver_itself() {
    let scene = Scene::opened().await;
    let before = scene.now().await.version;
    scene.does(&scene.customer, Command::status(Status::Solved), &before).await;
    let thanks = scene.does(&scene.customer, Command::reply("Thanks!"), &before).await;
    assert_eq!(thanks.status, Status::Solved, "the solver's own message");
    scene.tries(&scene.agent, Command::status(Status::Solved), None).await.unwrap();
    let later = scene.tries(&scene.customer, Command::reply("No!"), None).await.unwrap();
    assert_eq!((later.status, later.unseen_messages.len()), (Status::Open, 1));
    let note = scene.tries(&scene.agent, Command::note("hm"), None).await.unwrap();
    assert_eq!(note.status, Status::Open, "a note settles nothing");
}

#[tokio::test]
async fn submit_as_solved_has_seen_what_its_author_had() {
    let scene = Scene::opened().await;
    let submit = || Command::reply_as("Fixed.", Some(Status::Solved));
    let solved = scene.tries(&scene.agent, submit(), None).await.unwrap();
    assert_eq!((solved.status, solved.message_count), (Status::Solved, 2));
    let events = scene.office.events(scene.ticket).await;
    let tail: Vec<_> = events[1..].iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(tail, ["ticket.message_added", "ticket.changed"]);
    assert_eq!(events[1].recorded_at, events[2].recorded_at);
    let reply = scene.does(&scene.customer, Command::reply("No."), &solved.version).await;
    assert_eq!(reply.status, Status::Open);
    let late = scene.does(&scene.agent, submit(), &solved.version).await;
    assert_eq!((late.status, late.unseen_messages.len()), (Status::Open, 1));
}

#[tokio::test]
async fn closed_beats_everything_concurrent_whatever_the_role() {
    let scene = Scene::opened().await;
    let before = scene.now().await.version;
    let closed = Command::status(Status::Closed);
    let mut import = scene.office.intent(&scene.customer, scene.ticket, closed).await;
    import.source = crate::command::Source::Import;
    import.observed = Some(before.clone());
    scene.desk.execute(import).await.unwrap();
    let open = scene.does(&scene.admin, Command::status(Status::Open), &before).await;
    assert_eq!(open.status, Status::Closed);
    let roles: Vec<_> = open.conflicts[0].candidates.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Role::Customer, Role::Admin]);
}

#[tokio::test]
async fn of_one_person_the_newest_value_stands_but_closed_is_never_folded_away() {
    let scene = Scene::opened().await;
    let before = scene.now().await.version;
    let device = |device: &str| Caller { device: device.into(), ..scene.admin.clone() };
    scene.does(&device("phone"), Command::status(Status::Solved), &before).await;
    let newer = scene.does(&device("web"), Command::status(Status::Pending), &before).await;
    assert_eq!((newer.status, newer.conflicts.len()), (Status::Pending, 0));
    let closed = scene.does(&device("tablet"), Command::status(Status::Closed), &before).await;
    assert_eq!((closed.status, closed.conflicts.len()), (Status::Closed, 0));
    let reopen = Command::status(Status::Open);
    let reopened = scene.tries(&scene.agent, reopen, Some(&closed.version)).await;
    assert_eq!(refusal(reopened), Refusal::Closed, "it shows no conflict that could be settled");
    let newest = scene.does(&device("laptop"), Command::status(Status::Open), &before).await;
    let values: Vec<_> =
        newest.conflicts[0].candidates.iter().filter_map(|one| one.value.as_str()).collect();
    assert_eq!(values, ["closed", "open"]);
}
