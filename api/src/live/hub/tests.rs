//! Those who listen as a person: what they hear, and what they hear no more.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::command::Command;
use docket_engine::cursor::Positions;
use docket_engine::in_process_ephemeral::InProcessEphemeral;
use docket_engine::tail::Tail;
use docket_engine::testing::{Office, UnsureLog};
use docket_schemas::{Partition, Position, Role};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::Hub;
use super::registry::Registry;
use crate::live::outbox::{Heard, Listener, SubscriptionNumber};

/// How long what is heard may take.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// What was heard, by position; `None` where something was lost.
#[derive(Default)]
struct Ear(Mutex<Vec<Option<Position>>>);

impl Listener for Ear {
    fn hear(&self, _: SubscriptionNumber, heard: Heard) {
        if let Heard::Event(shown) = heard {
            self.0.lock().push(Some(shown.event.position));
        }
    }

    fn lose(&self) {
        self.0.lock().push(None);
    }
}

impl Ear {
    /// Waits until so much was heard.
    async fn hears(&self, count: usize) {
        let hearing = async {
            while self.0.lock().len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(HEARD_WITHIN, hearing).await.expect("it is heard");
    }
}

#[tokio::test]
async fn who_follows_no_more_since_they_last_listened_hears_nothing() {
    let office = Office::new().await;
    let desk = office.desk().await;
    let tail = Tail::follow(Arc::clone(&office.log), &*office.bus).await.expect("a tail");
    let hub = Hub::start(desk.clone(), tail, &InProcessEphemeral::default());
    let (agent, follower) =
        (office.caller(Role::Agent, "ann").await, office.person("cus_2").await.id);
    let ticket = desk.open(office.opening().await).await.expect("it opens").ticket.id;
    let does = async |command| {
        let intent = office.intent(&agent, ticket, command).await;
        desk.execute(intent).await.expect("it is done");
    };
    let first = Arc::new(Ear::default());
    {
        let _listening = hub.as_person(&office.tenant, follower, 1, first.clone());
        does(Command::Follow(follower)).await;
        does(Command::reply("Hello.")).await;
        first.hears(2).await;
    }
    // Whoever listens by name tells when the hub has come so far.
    let named = Arc::new(Ear::default());
    let _by_name = hub.to_ticket(&office.tenant, ticket, 1, named.clone());
    does(Command::Unfollow(follower)).await;
    named.hears(1).await;
    let (again, requester) = (Arc::new(Ear::default()), Arc::new(Ear::default()));
    let own = office.person("cus_1").await.id;
    let _again = hub.as_person(&office.tenant, follower, 1, again.clone());
    let _own = hub.as_person(&office.tenant, own, 1, requester.clone());
    does(Command::reply("Not for them.")).await;
    requester.hears(1).await;
    named.hears(2).await;
    assert!(again.0.lock().is_empty(), "a follower of the past was told");
}

#[tokio::test]
async fn what_a_silent_log_holds_back_is_heard_once_it_answers() {
    let office = Office::new().await;
    let writer = office.desk().await;
    let unsure = Arc::new(UnsureLog::new(Arc::clone(&office.log)));
    let reader = office.desk_over(unsure.clone()).await;
    let tail = Tail::follow(Arc::clone(&office.log), &*office.bus).await.expect("a tail");
    let hub = Hub::start(reader, tail, &InProcessEphemeral::default());
    let ear = Arc::new(Ear::default());
    let person = office.person("cus_1").await.id;
    let _listening = hub.as_person(&office.tenant, person, 1, ear.clone());
    unsure.silence();
    let opened = writer.open(office.opening().await).await.expect("it opens");
    sleep(Duration::from_millis(200)).await;
    assert!(ear.0.lock().is_empty(), "whose ticket it is cannot be known yet");
    unsure.answer();
    ear.hears(1).await;
    assert_eq!(*ear.0.lock(), [Some(opened.placed.position)]);
}

#[test]
fn heads_that_fall_only_after_the_restore_was_told_take_the_hub_back_all_the_same() {
    let at = |position| {
        let mut positions = Positions::START;
        Partition::all().for_each(|partition| positions.set(partition, position));
        positions
    };
    let mut registry = Registry::new(at(100), 0);
    // The tail says that the log was restored before it says how far that goes.
    registry.begin_again(at(100), 1);
    registry.go_back_to(&at(60));
    assert_eq!(registry.handled, at(60), "what comes next would be told to nobody");
    registry.go_back_to(&at(100));
    assert_eq!(
        registry.handled,
        at(60),
        "heads that have grown are no reason to pass what lies between"
    );
}
