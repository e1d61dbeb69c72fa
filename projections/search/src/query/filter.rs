//! The filters of a query: a field, then a value or a date.

use std::str::FromStr;

use docket_schemas::{Channel, Kind, Priority, Status, TicketType};

use super::chunk::Chunk;
use super::date::{Comparison, span};
use super::error::{Mistake, QueryError};
use super::{Filter, Person};

/// The beginning of a filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    name: Name,
    comparison: Option<Comparison>,
    /// What stands behind it in the same chunk.
    value: String,
    /// The first character of the value.
    value_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Status,
    Priority,
    Type,
    Tag,
    Assignee,
    Group,
    Requester,
    Channel,
    Kind,
    Created,
    Updated,
}

const NAMES: [(&str, Name); 11] = [
    ("status", Name::Status),
    ("priority", Name::Priority),
    ("type", Name::Type),
    ("tag", Name::Tag),
    ("assignee", Name::Assignee),
    ("group", Name::Group),
    ("requester", Name::Requester),
    ("channel", Name::Channel),
    ("kind", Name::Kind),
    ("created", Name::Created),
    ("updated", Name::Updated),
];

impl Name {
    fn text(self) -> &'static str {
        NAMES.iter().find(|(_, name)| *name == self).map_or("", |(text, _)| text)
    }
}

/// The field that a chunk begins with; none for text. English letters before a colon are a field, known or not, unless
/// two slashes follow, as in an address.
pub(super) fn field(chunk: &[char], at: usize) -> Result<Option<Field>, QueryError> {
    let letters = chunk.iter().take_while(|c| c.is_ascii_alphabetic() || **c == '_').count();
    let (name, rest) = chunk.split_at(letters);
    if name.is_empty() || rest.starts_with(&[':', '/', '/']) {
        return Ok(None);
    }
    let (comparison, sign) = match rest {
        [':', ..] => (None, 1),
        ['>', '=', ..] => (Some(Comparison::From), 2),
        ['<', '=', ..] => (Some(Comparison::UpTo), 2),
        ['>', ..] => (Some(Comparison::After), 1),
        ['<', ..] => (Some(Comparison::Before), 1),
        _ => return Ok(None),
    };
    let name: String = name.iter().map(char::to_ascii_lowercase).collect();
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, name)| *name);
    let value = rest[sign..].iter().collect();
    let value_at = at + letters + sign;
    match known {
        Some(name) => Ok(Some(Field { name, comparison, value, value_at })),
        // `a>b` is text; only dates are compared.
        None if comparison.is_some() => Ok(None),
        None => Err(Mistake::UnknownField(name).at(at)),
    }
}

/// The condition that a field and its value make.
pub(super) fn filter(field: &Field, chunk: &Chunk) -> Result<Filter, QueryError> {
    let name = field.name.text();
    let quoted = chunk.quoted.as_ref().map(|quoted| quoted.text.as_str());
    let value = quoted.unwrap_or(&field.value);
    if value.is_empty() {
        return Err(Mistake::NoValue(name).at(field.value_at));
    }
    if quoted.is_none() && (value.starts_with('*') || value.ends_with('*')) {
        return Err(Mistake::FilterWildcard.at(field.value_at));
    }
    let dated = matches!(field.name, Name::Created | Name::Updated);
    if let Some(comparison) = field.comparison {
        if !dated {
            return Err(Mistake::NotADate(name).at(chunk.bare_at));
        }
        let span = span(comparison, value).ok_or_else(|| Mistake::BadDate.at(field.value_at))?;
        let created = field.name == Name::Created;
        return Ok(if created { Filter::Created(span) } else { Filter::Updated(span) });
    }
    let at = field.value_at;
    // In quotes `none` and `me` are names like any other.
    let none = quoted.is_none() && value.eq_ignore_ascii_case("none");
    let text = (!none).then(|| value.to_owned());
    Ok(match field.name {
        Name::Status => Filter::Status(listed(name, value, at, Status::ALL, Status::as_str)?),
        Name::Priority => {
            Filter::Priority(listed(name, value, at, Priority::ALL, Priority::as_str)?)
        }
        Name::Type if none => Filter::Type(None),
        Name::Type => {
            Filter::Type(Some(listed(name, value, at, TicketType::ALL, TicketType::as_str)?))
        }
        Name::Channel => Filter::Channel(listed(name, value, at, Channel::ALL, Channel::as_str)?),
        Name::Kind => Filter::Kind(listed(name, value, at, Kind::ALL, Kind::as_str)?),
        Name::Tag => Filter::Tag(text),
        Name::Group => Filter::Group(text),
        Name::Assignee => Filter::Assignee(person(value, quoted.is_some())),
        Name::Requester => Filter::Requester(person(value, quoted.is_some())),
        Name::Created | Name::Updated => return Err(Mistake::NotCompared(name).at(chunk.bare_at)),
    })
}

fn person(value: &str, quoted: bool) -> Person {
    match value.to_ascii_lowercase().as_str() {
        "me" if !quoted => Person::Me,
        "none" if !quoted => Person::None,
        _ => Person::Named(value.to_owned()),
    }
}

fn listed<T: FromStr + Copy>(
    field: &'static str,
    value: &str,
    at: usize,
    all: &[T],
    text: fn(T) -> &'static str,
) -> Result<T, QueryError> {
    value.to_ascii_lowercase().parse().map_err(|_| {
        let allowed = all.iter().map(|item| text(*item)).collect::<Vec<_>>().join(", ");
        Mistake::UnknownValue { field, allowed }.at(at)
    })
}
