//! A tenant's request to read on from elsewhere: parsed, and not too often.

use std::collections::HashMap;

use docket_schemas::{Tenant, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::consumers::CONSUMERS;

/// A consumer is set anew at most so often, in microseconds: once a second.
const RESET_EVERY_MICROS: i64 = 1_000_000;

/// Consumers whose last reset is remembered.
const PACES_MAX: usize = 10_000;

/// Longest request, in bytes.
const REQUEST_BYTES_MAX: usize = 1_024;

/// Where reading is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first event that the stream still has.
    Start,
    /// Behind the last event up to which everything was acknowledged.
    Acknowledged,
    /// At this sequence of the stream.
    Sequence(u64),
    /// At the first event that came into the stream at or after this time.
    Time(Timestamp),
}

impl From {
    /// As it is told to who asked.
    pub(crate) fn told(&self) -> Value {
        match self {
            Self::Start => json!("start"),
            Self::Acknowledged => json!("acknowledged"),
            Self::Sequence(sequence) => json!({"sequence": sequence}),
            Self::Time(time) => json!({"time": time}),
        }
    }
}

/// What is asked, and for which consumer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) tenant: Tenant,
    pub(crate) which: &'static str,
    pub(crate) from: From,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    from: Option<String>,
    sequence: Option<u64>,
    time: Option<String>,
}

impl Asked {
    /// Reads a request. The tenant stands in the subject, which the server lets only that tenant's account use.
    pub(crate) fn read(subject: &str, payload: &[u8]) -> Result<Self, String> {
        let mut tokens = subject.rsplit('.');
        let which = tokens.next().and_then(|token| CONSUMERS.into_iter().find(|c| *c == token));
        let which = which.ok_or("there is `feed` and `replay`")?;
        let tenant = tokens.next().unwrap_or_default().parse().map_err(|_| "not a tenant")?;
        Ok(Self { tenant, which, from: from(payload)? })
    }
}

fn from(payload: &[u8]) -> Result<From, String> {
    if payload.len() > REQUEST_BYTES_MAX {
        return Err(format!("more than {REQUEST_BYTES_MAX} bytes"));
    }
    let body = if payload.iter().all(u8::is_ascii_whitespace) {
        Body::default()
    } else {
        serde_json::from_slice(payload).map_err(|error| format!("not understood: {error}"))?
    };
    match (body.from.as_deref(), body.sequence, body.time) {
        (None | Some("acknowledged"), None, None) => Ok(From::Acknowledged),
        (Some("start"), None, None) => Ok(From::Start),
        (None, Some(sequence), None) if sequence > 0 => Ok(From::Sequence(sequence)),
        (None, None, Some(time)) => {
            time.parse().map(From::Time).map_err(|_| "`time` is no RFC 3339 time".to_owned())
        }
        _ => {
            Err("give one of `from` (`start` or `acknowledged`), `sequence` from 1, `time`"
                .to_owned())
        }
    }
}

/// How often each consumer may be set anew.
#[derive(Debug, Default)]
pub(crate) struct Pace(HashMap<(Tenant, &'static str), Timestamp>);

impl Pace {
    /// Takes a turn, or says to come later.
    pub(crate) fn take(&mut self, asked: &Asked, now: Timestamp) -> Result<(), String> {
        if self.0.len() >= PACES_MAX {
            self.0.clear();
        }
        let last =
            self.0.entry((asked.tenant.clone(), asked.which)).or_insert(Timestamp::from_micros(0));
        if last.plus_micros(RESET_EVERY_MICROS) > now {
            return Err("a moment ago it was set: try again in a second".to_owned());
        }
        *last = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &str) -> Result<From, String> {
        Asked::read("docket.reset.v1.eu.acme.replay", payload.as_bytes()).map(|asked| asked.from)
    }

    #[test]
    fn a_request_says_one_place_or_none() {
        assert_eq!(read(""), Ok(From::Acknowledged));
        assert_eq!(read("{}"), Ok(From::Acknowledged));
        assert_eq!(read(r#"{"from": "start"}"#), Ok(From::Start));
        assert_eq!(read(r#"{"sequence": 7}"#), Ok(From::Sequence(7)));
        assert!(matches!(read(r#"{"time": "2026-11-20T12:00:00Z"}"#), Ok(From::Time(_))));
        for wrong in [
            "nonsense",
            "[]",
            r#"{"sequence": 0}"#,
            r#"{"sequence": -1}"#,
            r#"{"from": "end"}"#,
            r#"{"from": "start", "sequence": 1}"#,
            r#"{"time": "yesterday"}"#,
            r#"{"filter_subject": "docket.v1.eu.other.>"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Asked::read("docket.reset.v1.eu.acme.other", b"").is_err());
        assert!(Asked::read("docket.reset.v1.eu.AC*E.feed", b"").is_err());
    }

    #[test]
    fn a_consumer_is_not_set_anew_twice_in_a_second() {
        let asked = |tenant| Asked::read(&format!("x.{tenant}.feed"), b"").unwrap();
        let (mut pace, now) = (Pace::default(), Timestamp::from_micros(1_800_000_000_000_000));
        assert!(pace.take(&asked("a"), now).is_ok());
        assert!(pace.take(&asked("a"), now.plus_micros(999_999)).is_err());
        assert!(pace.take(&asked("b"), now).is_ok());
        assert!(pace.take(&asked("a"), now.plus_micros(1_000_000)).is_ok());
    }
}
