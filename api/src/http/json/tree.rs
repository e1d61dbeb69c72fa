//! A parsed document, still untyped, in which every key and text has been checked.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{JSON_VALUES_MAX, invalid};
use crate::problem::{Code, FieldError, Problem};

/// Most findings reported at once.
const FINDINGS_MAX: usize = 20;
/// Most characters of each key that a finding's path repeats: a document may have many findings below one long key.
const PATH_KEY_CHARS_MAX: usize = 100;
/// Up to so many keys of an object are compared one by one.
const KEYS_COMPARED_MAX: usize = 16;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Text(Cow<'de, str>),
    Array(Vec<Self>),
    Object(Vec<(Cow<'de, str>, Self)>),
}

/// Reads and checks a document.
pub(super) fn parse(document: &[u8]) -> Result<Node<'_>, Problem> {
    let mut findings = Findings { errors: Vec::new(), values: 0 };
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let walk = Walk { findings: &mut findings, path: Path::Root };
    let tree = walk.deserialize(&mut deserializer);
    let tree = tree.and_then(|tree| deserializer.end().map(|()| tree));
    match tree {
        Ok(tree) if findings.errors.is_empty() => Ok(tree),
        Err(error) if findings.values <= JSON_VALUES_MAX => Err(malformed(&error)),
        _ => Err(invalid(findings.errors)),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedJson)
        .detail(error.to_string())
        .member("line", error.line())
        .member("column", error.column())
}

struct Findings {
    errors: Vec<FieldError>,
    values: usize,
}

impl Findings {
    /// Adds one while there is room. Its path is not even built where there is none: anybody can send a document with
    /// thousands of findings below a long key.
    fn add(&mut self, field: impl FnOnce() -> String, message: &'static str) {
        if self.errors.len() < FINDINGS_MAX {
            self.errors.push(FieldError::new(field(), message));
        }
    }
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => Cut(key).fmt(f),
            Self::Key(parent, key) => write!(f, "{parent}.{}", Cut(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A key, cut off behind [`PATH_KEY_CHARS_MAX`].
struct Cut<'a>(&'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(PATH_KEY_CHARS_MAX) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

struct Walk<'w> {
    findings: &'w mut Findings,
    path: Path<'w>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        self.findings.values += 1;
        if self.findings.values > JSON_VALUES_MAX {
            let message = "has too many values";
            let error = FieldError::beyond(self.path.to_string(), message, JSON_VALUES_MAX);
            self.findings.errors.push(error);
            return Err(D::Error::custom(message));
        }
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn text<'de>(self, text: Cow<'de, str>) -> Node<'de> {
        if text.contains('\0') {
            self.findings.add(|| self.path.to_string(), "contains a NUL character");
        }
        Node::Text(text)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Negative(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(self.text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(self.text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut nodes = Vec::new();
        loop {
            let path = Path::Index(&self.path, nodes.len());
            let walk = Walk { findings: &mut *self.findings, path };
            match items.next_element_seed(walk)? {
                Some(node) => nodes.push(node),
                None => return Ok(Node::Array(nodes)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let mut keys = Keys::default();
        let mut nodes = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            let path = Path::Key(&self.path, &key);
            if key.contains('\0') {
                let name = || path.to_string().escape_debug().to_string();
                self.findings.add(name, "has a NUL character in its name");
            }
            if !keys.insert(&key, &nodes) {
                self.findings.add(|| path.to_string(), "is given twice");
            }
            let walk = Walk { findings: &mut *self.findings, path };
            let node = entries.next_value_seed(walk)?;
            nodes.push((key, node));
        }
        Ok(Node::Object(nodes))
    }
}

/// The keys of one object so far; hashed only where there are many.
#[derive(Default)]
struct Keys(HashSet<String>);

impl Keys {
    /// False when `key` is among `earlier`.
    fn insert(&mut self, key: &str, earlier: &[(Cow<'_, str>, Node<'_>)]) -> bool {
        if earlier.len() < KEYS_COMPARED_MAX {
            return earlier.iter().all(|(earlier, _)| earlier != key);
        }
        if self.0.is_empty() {
            self.0.extend(earlier.iter().map(|(key, _)| key.to_string()));
        }
        self.0.insert(key.to_owned())
    }
}

/// Reads a key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_built_for_a_finding_that_nobody_is_told_of() {
        let mut findings = Findings { errors: Vec::new(), values: 0 };
        let mut built = 0;
        for _ in 0..3 * FINDINGS_MAX {
            let path = || {
                built += 1;
                String::new()
            };
            findings.add(path, "is wrong");
        }
        assert_eq!((built, findings.errors.len()), (FINDINGS_MAX, FINDINGS_MAX));
    }
}
