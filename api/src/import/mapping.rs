//! `--map`: which column of a sheet holds which field of a ticket.

use std::fmt;
use std::str::FromStr;

/// A field of a ticket that a column may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// The subject line; the one field that every row must have.
    Subject,
    /// Message 1; the subject where there is none.
    Body,
    /// The requester's id; the address where there is none.
    Requester,
    /// The requester's name.
    RequesterName,
    /// The requester's address.
    RequesterEmail,
    /// The status, `new` where there is none.
    Status,
    /// The priority, `normal` where there is none.
    Priority,
    /// What it is about.
    Type,
    /// The team.
    GroupId,
    /// Who holds it.
    AssigneeId,
    /// Tags, with `;` or else spaces between them.
    Tags,
    /// The way in which it came, `api` where there is none.
    Channel,
    /// Its id in the other system.
    ExternalId,
    /// When it was opened, by RFC 3339; the time of the import where there is none.
    CreatedAt,
    /// A custom field.
    Custom(String),
}

/// What comes before the key of a custom field.
const CUSTOM: &str = "custom.";

impl Field {
    const NAMED: [(Self, &str); 14] = [
        (Self::Subject, "subject"),
        (Self::Body, "body"),
        (Self::Requester, "requester"),
        (Self::RequesterName, "requester_name"),
        (Self::RequesterEmail, "requester_email"),
        (Self::Status, "status"),
        (Self::Priority, "priority"),
        (Self::Type, "type"),
        (Self::GroupId, "group_id"),
        (Self::AssigneeId, "assignee_id"),
        (Self::Tags, "tags"),
        (Self::Channel, "channel"),
        (Self::ExternalId, "external_id"),
        (Self::CreatedAt, "created_at"),
    ];
}

impl FromStr for Field {
    type Err = MappingError;

    fn from_str(name: &str) -> Result<Self, MappingError> {
        let unknown = || MappingError::UnknownField(name.to_owned());
        match name.strip_prefix(CUSTOM) {
            Some("") => Err(unknown()),
            Some(key) => Ok(Self::Custom(key.to_owned())),
            None => {
                let known = Self::NAMED.into_iter().find(|(_, known)| *known == name);
                known.map(|(field, _)| field).ok_or_else(unknown)
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(key) => write!(f, "{CUSTOM}{key}"),
            named => {
                let name = Self::NAMED.iter().find(|(field, _)| field == named);
                f.write_str(name.map_or("", |(_, name)| name))
            }
        }
    }
}

/// One field with its column, as in `subject=title`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMapping {
    /// The field.
    pub field: Field,
    /// The column's name.
    pub column: String,
}

/// A text that maps nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// No `=` in it.
    #[error("not of the form field=column, as in subject=title")]
    Form,
    /// No field of a ticket.
    #[error(
        "`{0}` is no field: they are subject, body, requester, requester_name, requester_email, status, priority, \
         type, group_id, assignee_id, tags, channel, external_id, created_at, custom.<key>"
    )]
    UnknownField(String),
}

impl FromStr for ColumnMapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let (field, column) = text.split_once('=').ok_or(MappingError::Form)?;
        match column.trim() {
            "" => Err(MappingError::Form),
            column => Ok(Self { field: field.trim().parse()?, column: column.to_owned() }),
        }
    }
}

/// The columns of a sheet: those that `given` names, and those that are named like a field.
///
/// # Errors
/// When a column is not there, or a field is named twice.
pub(super) fn resolve(
    given: &[ColumnMapping],
    names: &[String],
) -> Result<Vec<ColumnMapping>, String> {
    let mut columns: Vec<ColumnMapping> = Vec::with_capacity(names.len());
    for mapping in given {
        if !names.contains(&mapping.column) {
            return Err(format!("has no column `{}`", mapping.column));
        }
        if columns.iter().any(|known| known.field == mapping.field) {
            return Err(format!("--map names `{}` twice", mapping.field));
        }
        columns.push(mapping.clone());
    }
    for name in names {
        let Ok(field) = name.parse::<Field>() else { continue };
        if columns.iter().all(|known| known.field != field) {
            columns.push(ColumnMapping { field, column: name.clone() });
        }
    }
    if columns.iter().all(|known| known.field != Field::Subject) {
        return Err("has no column `subject`: name it by --map subject=<column>".to_owned());
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_field_takes_the_column_that_is_named_for_it_or_else_the_one_of_its_name() {
        let given = ["subject=Title".parse().unwrap(), "custom.floor=Stock werk".parse().unwrap()];
        let columns = resolve(&given, &names(&["Title", "subject", "Stock werk", "tags", "x"]));
        let shown: Vec<String> =
            columns.unwrap().iter().map(|one| format!("{}={}", one.field, one.column)).collect();
        assert_eq!(shown, ["subject=Title", "custom.floor=Stock werk", "tags=tags"]);
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        assert_eq!("subject".parse::<ColumnMapping>(), Err(MappingError::Form));
        assert_eq!("subject=".parse::<ColumnMapping>(), Err(MappingError::Form));
        let unknown = "titel=x".parse::<ColumnMapping>();
        assert_eq!(unknown, Err(MappingError::UnknownField("titel".to_owned())));
        let given = ["subject=nix".parse().unwrap()];
        assert_eq!(resolve(&given, &names(&["a"])), Err("has no column `nix`".to_owned()));
        assert!(resolve(&[], &names(&["body"])).is_err());
    }
}
