//! An object of which some fields are looked at before the others get their type.

use std::borrow::Cow;

use serde::{Deserialize, de};

use super::tree::{self, Node};
use super::{invalid, shape, typed};
use crate::problem::Problem;

/// The checked fields of an object.
#[derive(Debug)]
pub struct Object<'de>(Vec<(Cow<'de, str>, Node<'de>)>);

impl<'de> Object<'de> {
    /// Reads a document that is an object.
    ///
    /// # Errors
    /// As [`super::parse`].
    pub fn parse(document: &'de [u8]) -> Result<Self, Problem> {
        match tree::parse(document)? {
            Node::Object(fields) => Ok(Self(fields)),
            other => {
                let error: shape::ShapeError =
                    de::Error::invalid_type(other.unexpected(), &"an object");
                Err(invalid(vec![error.into()]))
            }
        }
    }

    /// A field that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().find(|(field, _)| field == name);
        named.and_then(|(_, node)| match node {
            Node::Text(text) => Some(&**text),
            _ => None,
        })
    }

    /// Takes these fields out, where they are there.
    #[must_use]
    pub fn take(&mut self, names: &[&str]) -> Self {
        Self(self.0.extract_if(.., |(field, _)| names.contains(&&**field)).collect())
    }

    /// The fields as a type.
    ///
    /// # Errors
    /// As [`super::parse`].
    pub fn typed<T: Deserialize<'de>>(self) -> Result<T, Problem> {
        typed(Node::Object(self.0))
    }
}
