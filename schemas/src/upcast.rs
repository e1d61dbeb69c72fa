//! Upcasters: each brings a payload from one schema version to the next, at read time; the log is never rewritten.

use std::borrow::Cow;

use serde_json::Value;

use crate::{EventType, PayloadError, SCHEMA_VERSION};

/// One step: the payload of version `from` as version `from + 1`.
type Upcaster = fn(Value) -> Value;

/// The steps of each type, the first from version 1 to 2. All types are at version 1, so there are none yet.
const fn steps(_: EventType) -> &'static [Upcaster] {
    &[]
}

/// Brings `data` to the newest version.
///
/// # Errors
/// When `schema` is newer than this release or the JSON is damaged.
pub fn upcast(
    event_type: EventType,
    schema: u16,
    data: &str,
) -> Result<Cow<'_, str>, PayloadError> {
    if schema > SCHEMA_VERSION {
        return Err(PayloadError::Newer { event_type: event_type.as_str().to_owned(), schema });
    }
    let behind = &steps(event_type)[usize::from(schema.max(1)) - 1..];
    if behind.is_empty() {
        return Ok(Cow::Borrowed(data));
    }
    let shape = |source| PayloadError::Shape { event_type: event_type.as_str().to_owned(), source };
    let value: Value = serde_json::from_str(data).map_err(shape)?;
    Ok(Cow::Owned(behind.iter().fold(value, |value, step| step(value)).to_string()))
}
