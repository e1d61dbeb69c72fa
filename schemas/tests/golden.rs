//! A golden corpus: payloads as releases have stored them read back, and are written again byte for byte.
//!
//! A file is named `<event type>.<schema>[.<case>].json`. Files are added, never changed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use docket_schemas::upcast::upcast;
use docket_schemas::{EventType, Payload};

struct Golden {
    name: String,
    event_type: EventType,
    schema: u16,
    data: String,
}

fn corpus() -> Vec<Golden> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut corpus = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the corpus is there") {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let parts: Vec<&str> = name.split('.').collect();
        corpus.push(Golden {
            event_type: EventType::parse(&parts[..2].join(".")).expect("a known event type"),
            schema: parts[2].parse().expect("a schema version"),
            data: std::fs::read_to_string(&path).expect("a text").trim_end().to_owned(),
            name,
        });
    }
    corpus
}

#[test]
fn every_stored_payload_reads_back_and_is_written_again_as_it_was() {
    for golden in corpus() {
        let Golden { name, event_type, schema, data } = &golden;
        let newest = upcast(*event_type, *schema, data).expect(name);
        let payload = Payload::read(*event_type, &newest).expect(name);
        assert_eq!(payload.event_type(), *event_type, "{name}");
        assert_eq!(payload.to_json(), newest, "{name}");
        if *schema == docket_schemas::SCHEMA_VERSION {
            assert_eq!(newest, data.as_str(), "{name}");
        }
    }
}

#[test]
fn every_version_of_every_event_type_has_a_stored_payload() {
    let stored: BTreeSet<_> =
        corpus().iter().map(|golden| (golden.event_type, golden.schema)).collect();
    for event_type in EventType::all() {
        for schema in 1..=docket_schemas::SCHEMA_VERSION {
            assert!(stored.contains(&(event_type, schema)), "{}.{schema}", event_type.as_str());
        }
    }
}
