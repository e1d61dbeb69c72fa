//! Strict JSON: what is ambiguous or cannot be stored is refused, and every refusal names its field.

mod object;
mod shape;
mod tree;

use serde::Deserialize;

pub use object::Object;

use crate::problem::{Code, FieldError, Problem};

/// Most values, keys not counted, in one document: so much memory a body may take when read.
pub const JSON_VALUES_MAX: usize = 20_000;

/// Reads a document.
///
/// Stricter than serde's defaults: objects name no key twice, texts hold neither lone surrogates nor NUL, a structure
/// is never written as an array, nor a plain name as an object.
///
/// # Errors
/// 400 `malformed_json` with line and column, 422 `invalid` naming the fields.
pub fn parse<'de, T: Deserialize<'de>>(document: &'de [u8]) -> Result<T, Problem> {
    typed(tree::parse(document)?)
}

fn typed<'de, T: Deserialize<'de>>(tree: tree::Node<'de>) -> Result<T, Problem> {
    T::deserialize(tree).map_err(|error: shape::ShapeError| invalid(vec![error.into()]))
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem::new(Code::Invalid).errors(errors)
}

#[cfg(test)]
mod tests;
