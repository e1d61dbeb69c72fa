//! Canonical bytes: one spelling for each value, so that hashes and MACs are the same everywhere.

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::Value;

/// JSON with object keys in the order of their UTF-16 code units and no white space (RFC 8785, with
/// numbers in the shortest form that reads back as the same value).
///
/// # Panics
/// Never for types whose maps have string keys, which all of this workspace's have.
#[must_use]
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("a payload has string keys only");
    let mut out = String::with_capacity(128);
    write_value(&value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_scalar(&Value::String(key.clone()), out);
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    use std::fmt::Write as _;
    write!(out, "{value}").expect("writing to a String cannot fail");
}

/// SHA-256 over length-prefixed fields: each field is its length as 8 bytes, big-endian, then its bytes.
/// No two different field lists give the same input.
pub struct Fields(Context);

impl Fields {
    /// Starts a hash in a domain of its own, such as `docket/event/1`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(Context::new(&SHA256)).field(domain.as_bytes())
    }

    /// Adds one field.
    #[must_use]
    pub fn field(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a field that may be missing; an absent one differs from an empty one.
    #[must_use]
    pub fn optional(self, bytes: Option<impl AsRef<[u8]>>) -> Self {
        match bytes {
            Some(bytes) => self.field([1]).field(bytes),
            None => self.field([0]),
        }
    }

    /// The hash.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        sized(self.0.finish().as_ref())
    }
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sized(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

fn sized(digest: &[u8]) -> [u8; 32] {
    digest.try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_utf16_order_whatever_the_map_does() {
        let value = serde_json::json!({"b": [1, 1.5, null], "a": {"\u{1F600}": 1, "\u{FB33}": 2}});
        assert_eq!(json(&value), "{\"a\":{\"\u{1F600}\":1,\"\u{FB33}\":2},\"b\":[1,1.5,null]}");
    }

    #[test]
    fn moving_a_byte_between_fields_changes_the_hash() {
        let left = Fields::new("t").field("ab").field("c").finish();
        let right = Fields::new("t").field("a").field("bc").finish();
        assert_ne!(left, right);
    }
}
