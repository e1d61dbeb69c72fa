//! Who listens as a person while the log does not answer.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::in_process_ephemeral::InProcessEphemeral;
use docket_engine::tail::Tail;
use docket_engine::testing::{Office, UnsureLog};
use docket_schemas::Position;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::Hub;
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
    let hearing = async {
        while ear.0.lock().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HEARD_WITHIN, hearing).await.expect("it is heard");
    assert_eq!(*ear.0.lock(), [Some(opened.placed.position)]);
}
