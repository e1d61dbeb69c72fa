//! Canonical bytes: one spelling for each value, so that hashes and MACs are the same everywhere.

use aws_lc_rs::digest::SHA256;
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
    let mut out = Vec::with_capacity(JSON_BYTES);
    write_value(&value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// Room for most payloads.
const JSON_BYTES: usize = 256;

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|a, b| in_utf16_order(a.0, b.0));
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_scalar(key, out);
                out.push(b':');
                write_value(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing to memory cannot fail");
}

/// Bytes are in the order of code units, as long as all are ASCII.
fn in_utf16_order(left: &str, right: &str) -> std::cmp::Ordering {
    if left.is_ascii() && right.is_ascii() {
        left.cmp(right)
    } else {
        left.encode_utf16().cmp(right.encode_utf16())
    }
}

/// SHA-256 over length-prefixed fields: each field is its length as 8 bytes, big-endian, then its bytes.
/// No two different field lists give the same input.
pub struct Fields(Vec<u8>);

/// Room for the fields of most hashes: they are hashed at once, which costs less than one by one.
const FIELDS_BYTES: usize = 512;

impl Fields {
    /// Starts a hash in a domain of its own, such as `docket/event/1`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(Vec::with_capacity(FIELDS_BYTES)).field(domain.as_bytes())
    }

    /// Adds one field.
    #[must_use]
    pub fn field(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
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
        sha256(&self.0)
    }
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
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
