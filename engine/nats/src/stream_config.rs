//! The stream of a region: what the relay asks of JetStream, and whether the server really does it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::subject;

/// How long a region's stream keeps an event.
pub const STREAM_KEEPS_FOR: Duration = Duration::from_secs(14 * 24 * 3_600);

/// How long JetStream knows the ids of messages.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// What an operator may set as they like: it changes nothing that readers are promised.
const OPERATORS_OWN: [&str; 4] = ["num_replicas", "placement", "description", "metadata"];

/// Fields that a server answers with and nobody asked for, where they are empty: it is a newer one.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty() || text == "none" || text == "default",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

/// Why there is no stream to publish to.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No answer, or a refusal.
    #[error("jetstream does not answer for its stream")]
    Unavailable(#[source] async_nats::Error),
    /// The stream is another than the relay needs.
    #[error(
        "jetstream has the stream {stream} otherwise than asked for: {}; delete the stream or set it right, then everything is published again",
        differences.join(", ")
    )]
    Differs {
        /// Its name.
        stream: String,
        /// Field by field.
        differences: Vec<String>,
    },
}

/// The stream of a region as it is asked for. Nothing newer than nats-server 2.9.
#[must_use]
pub fn stream_config(region: &str) -> Config {
    Config {
        name: subject::stream(region),
        description: Some("events of Docket, kept for two weeks".to_owned()),
        subjects: vec![subject::events(region)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: STREAM_KEEPS_FOR,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        num_replicas: 1,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        ..Config::default()
    }
}

/// Where the relay keeps its own cursor, in case the stream ages out while nothing is written.
#[must_use]
pub fn cursor_config(region: &str) -> Config {
    Config {
        name: subject::cursor_stream(region),
        description: Some("how far Docket's relay has come".to_owned()),
        subjects: vec![subject::saved_cursor(region)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: 1,
        max_consumers: -1,
        max_message_size: -1,
        num_replicas: 1,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    }
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) messages: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

/// The stream as the server tells of it, field for field: the client's own types would hide what they do not know.
#[derive(Debug, Deserialize)]
struct Told {
    config: Map<String, Value>,
    state: StreamState,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Refused { error: async_nats::jetstream::Error },
    Told(Told),
}

/// The stream's state; it is made where there is none, and must be as asked for.
///
/// # Errors
/// See [`StreamError`].
pub(crate) async fn ensure_stream(
    context: &Context,
    config: &Config,
) -> Result<StreamState, StreamError> {
    let info = format!("STREAM.INFO.{}", config.name);
    let told = match ask(context, &info, &()).await? {
        Answer::Told(told) => told,
        Answer::Refused { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            // Two nodes may make it at once; what counts is what is there afterwards.
            let making = format!("STREAM.CREATE.{}", config.name);
            if let Answer::Told(_) = ask(context, &making, config).await? {
                tracing::info!(stream = %config.name, "nats.stream.made");
            }
            match ask(context, &info, &()).await? {
                Answer::Told(told) => told,
                Answer::Refused { error } => return Err(StreamError::Unavailable(error.into())),
            }
        }
        Answer::Refused { error } => return Err(StreamError::Unavailable(error.into())),
    };
    let differences = differences(config, &told.config);
    if differences.is_empty() {
        Ok(told.state)
    } else {
        Err(StreamError::Differs { stream: config.name.clone(), differences })
    }
}

async fn ask(
    context: &Context,
    subject: &str,
    body: &(impl serde::Serialize + Sync),
) -> Result<Answer, StreamError> {
    let answer = context.request(subject.to_owned(), body).await;
    answer.map_err(|error| StreamError::Unavailable(error.into()))
}

/// What the server has otherwise than asked for; a server drops in silence what it does not know.
fn differences(asked: &Config, found: &Map<String, Value>) -> Vec<String> {
    let asked = match serde_json::to_value(asked) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let names: BTreeSet<&String> = asked.keys().chain(found.keys()).collect();
    let quiet = |value: Option<&Value>| value.is_none_or(says_nothing);
    let say = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let mut told = Vec::new();
    for name in names {
        let (asked, found) = (asked.get(name), found.get(name));
        let same = asked == found || quiet(asked) && quiet(found);
        if !same && !OPERATORS_OWN.contains(&name.as_str()) {
            told.push(format!("{name} is {} instead of {}", say(found), say(asked)));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_that_a_reader_would_notice_is_told() {
        let asked = stream_config("eu");
        let Ok(Value::Object(told)) = serde_json::to_value(&asked) else { panic!("an object") };
        assert_eq!(differences(&asked, &told), [""; 0]);
        for (name, value) in [
            ("deny_delete", Value::Bool(false)),
            ("max_age", 60.into()),
            ("subjects", serde_json::json!(["docket.v1.us.>"])),
            ("storage", "memory".into()),
            ("subject_transform", serde_json::json!({"src": ">", "dest": "x.>"})),
            ("republish", serde_json::json!({"src": ">", "dest": "x.>"})),
            ("sources", serde_json::json!([{"name": "another"}])),
        ] {
            let mut other = told.clone();
            other.insert(name.to_owned(), value);
            assert_eq!(differences(&asked, &other).len(), 1, "{name}");
        }
        for (name, value) in [
            ("num_replicas", 3.into()),
            ("metadata", serde_json::json!({"_nats.ver": "2.14.5"})),
            ("compression", "none".into()),
            ("consumer_limits", serde_json::json!({})),
            ("allow_msg_ttl", Value::Bool(false)),
        ] {
            let mut other = told.clone();
            other.insert(name.to_owned(), value);
            assert_eq!(differences(&asked, &other), [""; 0], "{name}");
        }
    }
}
