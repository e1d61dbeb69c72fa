//! A tenant's feed, read to its end, with what has to hold of every one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Client;

/// Most events of a page.
const PAGE_EVENTS_MAX: usize = 1_000;

/// All events that there were, in the feed's order.
#[derive(Debug, Clone)]
pub struct Feed {
    /// As `GET /v1/events` shows them.
    pub events: Vec<Value>,
}

impl Feed {
    /// Reads page after page until the end.
    ///
    /// # Panics
    ///
    /// When a page is refused.
    pub async fn read(client: &Client) -> Self {
        let (mut events, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/events?limit={PAGE_EVENTS_MAX}&after={after}");
            let mut page = client.get(&path).send().await.expect_status(200).json();
            if let Value::Array(shown) = page["events"].take() {
                events.extend(shown);
            }
            text(&page["after_cursor"]).clone_into(&mut after);
            if page["end_of_stream"] == true {
                return Self { events };
            }
        }
    }

    /// The events by the text that the test marked them with: a subject, a body, or the custom field `mark`; those
    /// without one by their own version.
    #[must_use]
    pub fn by_mark(&self) -> BTreeMap<&str, Vec<&Value>> {
        let mut marked: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for event in &self.events {
            let marks = ["/text/subject", "/text/body", "/data/custom_fields/mark", "/version"];
            let mark = marks.iter().find_map(|place| event.pointer(place)?.as_str());
            marked.entry(mark.unwrap_or_default()).or_default().push(event);
        }
        marked
    }

    /// The events that another command made, by that command: the status of a message.
    #[must_use]
    pub fn by_cause(&self) -> BTreeMap<&str, Vec<&Value>> {
        let mut caused: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for event in &self.events {
            if let Some(cause) = event["causation_id"].as_str() {
                caused.entry(cause).or_default().push(event);
            }
        }
        caused
    }

    /// Holds the feed against what is promised of every log.
    ///
    /// # Panics
    ///
    /// When positions have a gap, a command is stored twice, a dot is used twice or by two writers, an actor's chain
    /// has a gap, a change names causes that do not stand before it, or one that was made without a version has not
    /// seen all that does.
    pub fn check(&self) {
        let mut positions: BTreeMap<u64, u64> = BTreeMap::new();
        let mut commands = BTreeSet::new();
        let mut sequences: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut writers = BTreeMap::new();
        let mut histories: BTreeMap<&str, History<'_>> = BTreeMap::new();
        for event in &self.events {
            let last = positions.entry(number(&event["partition"])).or_default();
            *last += 1;
            assert_eq!(number(&event["position"]), *last, "positions have no gap: {event:#}");
            assert!(commands.insert(text(&event["command_id"])), "stored twice: {event:#}");

            let (ticket, actor) = (text(&event["stream"]["id"]), text(&event["actor"]));
            let last = sequences.entry((ticket, actor)).or_default();
            *last += 1;
            assert_eq!(number(&event["seq"]), *last, "an actor's changes are a chain: {event:#}");
            let writer = ["principal", "role", "device"].map(|part| &event[part]);
            assert_eq!(*writers.entry(actor).or_insert(writer), writer, "{event:#}");

            histories.entry(ticket).or_default().add(event);
        }
    }
}

/// The changes of one ticket so far.
#[derive(Default)]
struct History<'a> {
    known: BTreeSet<&'a str>,
    heads: BTreeSet<&'a str>,
}

impl<'a> History<'a> {
    fn add(&mut self, event: &'a Value) {
        let causes: BTreeSet<&str> =
            event["deps"].as_array().into_iter().flatten().map(text).collect();
        // The first change of a ticket is made on the genesis, which is no event.
        if !self.known.is_empty() {
            assert!(causes.is_subset(&self.known), "causes stand before effects: {event:#}");
            match text(&event["observed"]) {
                "given" => {}
                "assumed" => assert_eq!(causes, self.heads, "made concurrent: {event:#}"),
                other => panic!("{other}: {event:#}"),
            }
        }
        self.heads.retain(|head| !causes.contains(head));
        let hash = text(&event["hash"]);
        self.heads.insert(hash);
        self.known.insert(hash);
    }
}

#[track_caller]
fn text(value: &Value) -> &str {
    match value.as_str() {
        Some(text) => text,
        None => panic!("{value} is no text"),
    }
}

#[track_caller]
fn number(value: &Value) -> u64 {
    match value.as_u64() {
        Some(number) => number,
        None => panic!("{value} is no number"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An opening and two patches, the second made on the first.
    fn sound() -> Vec<Value> {
        let event = |position: u64, actor: &str, seq: u64, cause: &str| {
            json!({"partition": 3, "position": position, "command_id": format!("c{position}"),
                "stream": {"kind": "ticket", "id": "t"}, "actor": actor, "seq": seq,
                "principal": actor, "role": "agent", "device": "", "observed": "assumed",
                "hash": format!("h{position}"), "deps": [cause]})
        };
        vec![event(1, "ann", 1, "genesis"), event(2, "ben", 1, "h1"), event(3, "ann", 2, "h2")]
    }

    fn is_sound(events: Vec<Value>) -> bool {
        std::panic::catch_unwind(|| Feed { events }.check()).is_ok()
    }

    #[test]
    fn a_feed_that_breaks_one_promise_is_not_sound() {
        assert!(is_sound(sound()));
        for (place, value) in [
            ("/position", json!(4)),
            ("/command_id", json!("c2")),
            ("/seq", json!(1)),
            ("/seq", json!(3)),
            ("/actor", json!("ben")),
            ("/device", json!("another")),
            ("/deps", json!(["h1"])),
            ("/deps", json!(["h4"])),
            ("/observed", json!("whatever")),
        ] {
            let mut events = sound();
            *events[2].pointer_mut(place).unwrap() = value.clone();
            assert!(!is_sound(events), "{place} {value}");
        }
        let mut concurrent = sound();
        concurrent[2]["deps"] = json!(["h1"]);
        concurrent[2]["observed"] = json!("given");
        assert!(is_sound(concurrent));
    }
}
