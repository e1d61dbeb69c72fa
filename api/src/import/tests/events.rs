//! Events of another Docket.

use docket_engine::cursor::Positions;
use serde_json::{Value, json};

use super::*;
use crate::export::{AtEnd, Export, digests, export};
use crate::present::event::ChangeBytes;

/// Everything that an installation holds, an event a line.
async fn exported(office: &Office) -> String {
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

async fn content(office: &Office) -> String {
    digests(&office.started.desk, &tenant()).await.unwrap().content
}

/// An installation with the demo's conflicts, unseen reply and follow-up.
async fn demo() -> Office {
    let office = Office::open().await;
    crate::demo::load(&office.started.desk, &tenant()).await.unwrap();
    office
}

fn count(lines: &str) -> u64 {
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
