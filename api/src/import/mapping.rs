//! `--map`: which column of a sheet holds which field of a ticket.

use std::fmt;
use std::str::FromStr;

use super::cells;

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
            Some(key) => {
                let key = cells::key(key);
                Ok(Self::Custom(key.map_err(|what| MappingError::Key(name.to_owned(), what))?))
            }
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
    /// A custom field whose key no ticket takes.
    #[error("`{0}`: the key of a custom field {1}")]
    Key(String, String),
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
/// When a column is not there, a field is named twice, or a column is named like a custom field that no ticket takes.
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
        let field = match name.parse::<Field>() {
            Ok(field) => field,
            Err(MappingError::Key(_, what)) => {
                return Err(format!("column `{name}`: the key of a custom field {what}"));
            }
            Err(_) => continue,
        };
        if columns.iter().all(|known| known.field != field) {
            columns.push(ColumnMapping { field, column: name.clone() });
        }
    }
    check_required(&columns)?;
    Ok(columns)
}

fn check_required(columns: &[ColumnMapping]) -> Result<(), String> {
    let has = |field| columns.iter().any(|known| known.field == field);
    let mut missing = Vec::new();
    if !has(Field::Subject) {
        missing.push("no column `subject`");
    }
    if !has(Field::Requester) && !has(Field::RequesterEmail) {
        missing.push("no column `requester` or `requester_email`");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("has {}: name it by --map <field>=<column>", missing.join(" and ")))
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
        let header = ["Title", "subject", "Stock werk", "tags", "x", "requester_email"];
        let columns = resolve(&given, &names(&header));
        let shown: Vec<String> =
            columns.unwrap().iter().map(|one| format!("{}={}", one.field, one.column)).collect();
        assert_eq!(
            shown,
            [
                "subject=Title",
                "custom.floor=Stock werk",
                "tags=tags",
                "requester_email=requester_email"
            ]
        );
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        assert_eq!("subject".parse::<ColumnMapping>(), Err(MappingError::Form));
        assert_eq!("subject=".parse::<ColumnMapping>(), Err(MappingError::Form));
        let unknown = "titel=x".parse::<ColumnMapping>();
        assert_eq!(unknown, Err(MappingError::UnknownField("titel".to_owned())));
        let given = ["subject=nix".parse().unwrap()];
        assert_eq!(resolve(&given, &names(&["a"])), Err("has no column `nix`".to_owned()));
        let twice = ["subject=a".parse().unwrap(), "subject=b".parse().unwrap()];
        let told = Err("--map names `subject` twice".to_owned());
        assert_eq!(resolve(&twice, &names(&["a", "b"])), told);
    }

    #[test]
    fn required_columns_that_are_not_there_are_named() {
        let told = |header: &[&str]| resolve(&[], &names(header)).unwrap_err();
        assert_eq!(
            told(&["requester"]),
            "has no column `subject`: name it by --map <field>=<column>"
        );
        assert_eq!(
            told(&["Subject", "body"]),
            "has no column `subject` and no column `requester` or `requester_email`: \
             name it by --map <field>=<column>"
        );
    }

    #[test]
    fn a_custom_field_takes_the_keys_that_every_door_takes() {
        let long = format!("custom.{}", "k".repeat(256));
        let told = "the key of a custom field has more than 255 bytes";
        assert_eq!(long.parse::<Field>().unwrap_err().to_string(), format!("`{long}`: {told}"));
        let header = names(&["subject", "requester", &long]);
        assert_eq!(resolve(&[], &header), Err(format!("column `{long}`: {told}")));
        assert!("custom.a\0b".parse::<Field>().is_err());
        assert!(format!("custom.{}", "k".repeat(255)).parse::<Field>().is_ok());
    }
}
