//! Events of another Docket.

use docket_engine::cursor::Positions;
use serde_json::{Value, json};

use super::*;
use crate::export::{AtEnd, Export, digests, export};
use crate::present::event::ChangeBytes;

/// Everything that an installation holds, an event a line.
pub(super) async fn exported(office: &Office) -> String {
    let what = Export {
        tenant: tenant(),
        after: Positions::START,
        changes: ChangeBytes::Omit,
        at_end: AtEnd::Stop,
    };
    let mut lines = Vec::new();
    export(&office.started.desk, &what, &mut lines).await.unwrap();
    String::from_utf8(lines).unwrap()
}

pub(super) async fn content(office: &Office) -> String {
    digests(&office.started.desk, &tenant()).await.unwrap().content
}

/// An installation with the demo's conflicts, unseen reply and follow-up.
pub(super) async fn demo() -> Office {
    let office = Office::open().await;
    crate::demo::load(&office.started.desk, &tenant()).await.unwrap();
    office
}

pub(super) fn count(lines: &str) -> u64 {
    lines.lines().count() as u64
}

#[tokio::test]
async fn an_export_imported_elsewhere_has_the_same_content() {
    let (source, target) = (demo().await, Office::open().await);
    let lines = exported(&source).await;
    let summary = target.run(target.import(Format::Ndjson, &lines)).await.0.unwrap();
    assert_eq!((summary.written, summary.bad), (count(&lines), 0));
    assert_eq!(content(&target).await, content(&source).await);
    let summary = target.run(target.import(Format::Ndjson, &lines)).await.0.unwrap();
    assert_eq!((summary.written, summary.already_there), (0, count(&lines)));
}

#[tokio::test]
async fn a_run_that_was_cut_off_goes_on_where_it_stopped() {
    let (source, target) = (demo().await, Office::open().await);
    let lines = exported(&source).await;
    let half: String = lines.split_inclusive('\n').take(100).collect();
    target.run(target.import(Format::Ndjson, &half)).await.0.unwrap();
    let summary = target.run(target.import(Format::Ndjson, &lines)).await.0.unwrap();
    assert_eq!((summary.written, summary.already_there), (count(&lines) - 100, 100));
    assert_eq!(content(&target).await, content(&source).await);
}

#[tokio::test]
async fn what_was_erased_stays_erased() {
    let (source, target) = (demo().await, Office::open().await);
    let erased: String = exported(&source)
        .await
        .lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            if !event["text"].is_null() {
                event["text"] = Value::Null;
                event["erased"] = json!(true);
            }
            format!("{event}\n")
        })
        .collect();
    let summary = target.run(target.import(Format::Ndjson, &erased)).await.0.unwrap();
    assert_eq!((summary.written, summary.bad), (count(&erased), 0));
    let again = exported(&target).await;
    assert!(again.lines().all(|line| line.contains(r#""text":null"#)));
}

#[tokio::test]
async fn a_bad_event_is_told_and_so_is_each_that_was_made_on_it() {
    let (source, target) = (demo().await, Office::open().await);
    let lines = exported(&source).await;
    let mut events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ticket = |event: &Value| event["stream"]["id"].as_str().unwrap().to_owned();
    let of = |id: &str| events.iter().filter(|event| ticket(event) == id).count() as u64;
    let opening = events.iter().position(|event| of(&ticket(event)) > 2).unwrap();
    let first = ticket(&events[opening]);
    let of_first = of(&first);
    events[opening]["data"]["priority"] = json!("sky-high");
    let broken: String = events.iter().map(|event| format!("{event}\n")).collect();
    let (outcome, said) = target.run(target.import(Format::Ndjson, &broken)).await;
    assert_eq!(outcome.unwrap().bad, of_first);
    let told = format!("line {}: data: payload of `ticket.opened` does not match", opening + 1);
    assert!(said.starts_with(&told), "{said}");
    assert!(said.contains(": deps: names a change that no good line before this one holds"));
    let look = target.started.desk.look(&tenant(), first.parse().unwrap(), |_| ()).await;
    assert!(look.unwrap().is_none(), "nothing of it was written");
}

#[tokio::test]
async fn lines_that_are_no_events_say_what_they_lack() {
    let office = Office::open().await;
    let text = "{\"type\":\"ticket.changed\"}\n\nnonsense\n{\"a\":\"b\\u0000\"}\n";
    let (outcome, said) = office.run(office.import(Format::Ndjson, text)).await;
    done(outcome, [0, 0, 0, 3]);
    assert!(
        said.starts_with("line 1: hash: is missing\nline 1: command_id: is missing\n"),
        "{said}"
    );
    assert!(said.contains("line 3: event: is no JSON object: "), "{said}");
    assert!(said.ends_with("line 4: a: holds a NUL character\n"), "{said}");
}

/// The demo's events, to be changed.
async fn demo_events() -> Vec<Value> {
    let lines = exported(&demo().await).await;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[tokio::test]
async fn a_strict_import_writes_nothing_when_an_event_was_made_on_another_ticket_s_change() {
    let target = Office::open().await;
    let mut events = demo_events().await;
    let foreign = events[0]["hash"].clone();
    let ticket = events[0]["stream"]["id"].clone();
    let other = |event: &Value| event["stream"]["id"] != ticket && event["type"] != "ticket.opened";
    let line = events.iter().position(other).unwrap();
    events[line]["deps"].as_array_mut().unwrap().push(foreign);
    let (outcome, said) = target.run(target.strict(Format::Ndjson, &lines(&events))).await;
    assert!(matches!(outcome, Err(ImportError::Refused(_))), "{outcome:?}");
    let told = format!("line {}: deps: names a change of another ticket\n", line + 1);
    assert!(said.starts_with(&told), "{said}");
    assert_eq!(target.event_count().await, 0);
}

#[tokio::test]
async fn a_strict_import_of_an_export_writes_it_and_a_second_one_nothing() {
    let target = Office::open().await;
    let events = demo_events().await;
    let count = events.len() as u64;
    for expected in [[count, 0], [0, count]] {
        let (outcome, said) = target.run(target.strict(Format::Ndjson, &lines(&events))).await;
        let Summary { written, already_there, .. } = outcome.unwrap();
        assert_eq!([written, already_there], expected);
        assert_eq!(said, "");
    }
}

#[tokio::test]
async fn a_command_that_is_stored_on_another_ticket_is_no_event_of_this_one() {
    let target = Office::open().await;
    let mut events = demo_events().await;
    let of = |event: &Value| (event["partition"].clone(), event["stream"]["id"].clone());
    // Two tickets in one partition: which these are is chance.
    let twin = |first: &Value| {
        let (partition, ticket) = of(first);
        events.iter().position(|event| {
            let (there, other) = of(event);
            event["type"] != "ticket.opened" && there == partition && other != ticket
        })
    };
    let changed = events.iter().enumerate().filter(|(_, event)| event["type"] == "ticket.changed");
    let (first, second) =
        changed.filter_map(|(first, event)| Some((first, twin(event)?))).next().unwrap();
    let stored = events[first.min(second)]["command_id"].clone();
    let rest = events.split_off(first.max(second));
    target.run(target.import(Format::Ndjson, &lines(&events))).await.0.unwrap();
    let before = target.event_count().await;
    events.extend(rest);
    events[first.max(second)]["command_id"] = stored;
    let whole = lines(&events);
    let told =
        format!("line {}: command_id: is stored here for another request\n", first.max(second) + 1);
    let (outcome, said) = target.run(target.strict(Format::Ndjson, &whole)).await;
    assert!(matches!(outcome, Err(ImportError::Refused(_))), "{outcome:?}");
    assert!(said.starts_with(&told), "{said}");
    assert_eq!(target.event_count().await, before);
    let (outcome, said) = target.run(target.import(Format::Ndjson, &whole)).await;
    assert!(outcome.unwrap().bad > 0);
    assert!(said.contains(&told), "{said}");
}

/// What is said of the first event of a type after a change to it.
async fn said_after(events: &[Value], kind: &str, change: impl Fn(&mut Value)) -> String {
    let office = Office::open().await;
    let mut events = events.to_vec();
    let wanted = |event: &Value| {
        event["type"] == kind && (kind != "ticket.changed" || event["data"]["status"].is_string())
    };
    let line = events.iter().position(wanted).unwrap();
    change(&mut events[line]);
    let (outcome, said) = office.run(office.strict(Format::Ndjson, &lines(&events))).await;
    assert!(matches!(outcome, Err(ImportError::Refused(_))), "{outcome:?}");
    let prefix = format!("line {}: ", line + 1);
    let said = said.lines().filter_map(|told| told.strip_prefix(&prefix));
    said.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn what_no_request_could_have_written_is_refused() {
    let events = demo_events().await;
    let long = |length: usize| "x".repeat(length);
    let tags = |count: usize| (0..count).map(|tag| format!("t{tag}")).collect::<Vec<_>>();
    let fields = |count: usize| -> Value {
        (0..count)
            .map(|key| (format!("k{key}"), json!(1)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let (opened, changed, message) = ("ticket.opened", "ticket.changed", "ticket.message_added");
    let cases: [(&str, &str, Value, &str); 16] = [
        (opened, "/text/subject", json!(long(256)), "text.subject: has more than 255 characters"),
        (opened, "/text/subject", json!(""), "text.subject: is empty"),
        (opened, "/text/body", json!(long(65_537)), "text.body: has more than 65536 bytes"),
        (opened, "/data/status", json!("snoozed"), "data.status: is a status of chats only"),
        (opened, "/data/tags", json!(tags(301)), "data.tags: has more than 100 tags"),
        (opened, "/data/tags", json!([long(65)]), "data.tags[0]: has more than 64 characters"),
        (opened, "/data/tags", json!(["a", " "]), "data.tags[1]: is empty"),
        (opened, "/data/group_id", json!(long(256)), "data.group_id: has more than 255 bytes"),
        (opened, "/data/external_id", json!(""), "data.external_id: is empty"),
        (
            opened,
            "/data/custom_fields",
            fields(101),
            "data.custom_fields: has more than 100 fields",
        ),
        (changed, "/data/status", json!("snoozed"), "data.status: is a status of chats only"),
        (changed, "/data/add_tags", json!(tags(101)), "data.add_tags: has more than 100 tags"),
        (
            changed,
            "/data/custom_fields",
            json!({"k": long(1_025)}),
            "data.custom_fields.k: has more than 1024 bytes",
        ),
        (changed, "/data/custom_fields", json!({"": 1}), "data.custom_fields.: is empty"),
        (
            changed,
            "/data/sealed",
            json!(["body"]),
            "data.sealed: names another field than `subject`",
        ),
        (message, "/text/body", json!(" "), "text.body: is empty"),
    ];
    for (kind, place, value, told) in cases {
        let (parent, name) = place.rsplit_once('/').unwrap();
        let said = said_after(&events, kind, |event| {
            event.pointer_mut(parent).unwrap()[name] = value.clone()
        });
        assert_eq!(said.await, told);
    }
}

#[tokio::test]
async fn what_only_a_merge_could_exceed_is_taken() {
    let office = Office::open().await;
    let mut events = demo_events().await;
    let changed = events.iter().position(|event| event["type"] == "ticket.changed").unwrap();
    events[changed]["data"]["add_tags"] = json!(["one", "more"]);
    let ticket = events[changed]["stream"]["id"].clone();
    let opened = events.iter().position(|event| event["stream"]["id"] == ticket).unwrap();
    let tags: Vec<String> = (0..100).map(|tag| format!("o{tag}")).collect();
    events[opened]["data"]["tags"] = json!(tags);
    let (outcome, said) = office.run(office.strict(Format::Ndjson, &lines(&events))).await;
    assert_eq!(outcome.unwrap().bad, 0, "{said}");
    let ticket = office.by_id(ticket.as_str().unwrap().parse().unwrap()).await;
    assert!(ticket.tags.len() >= 102, "{:?}", ticket.tags);
}
