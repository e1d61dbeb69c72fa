//! A row that cannot be used: its line in the file, and what is wrong with which field.

use std::fmt;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The column, or the member of an event.
    pub(super) field: String,
    /// A lowercase fragment.
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }
}

/// A row with its faults; never without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadRow {
    /// The line in the file on which it begins, from 1.
    pub(super) line: u64,
    /// Every fault that was found.
    pub(super) faults: Vec<Fault>,
}

impl BadRow {
    /// A row with one fault.
    pub(super) fn new(line: u64, field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { line, faults: vec![Fault::new(field, what)] }
    }
}

impl fmt::Display for BadRow {
    /// A line a fault: `line 12: priority: is not …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}line {}: {}: {}", self.line, fault.field, fault.what)?;
        }
        Ok(())
    }
}

/// The faults found so far in one row.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// A field's value, or none and a fault.
    pub(super) fn take<T>(&mut self, field: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|what| self.0.push(Fault::new(field, what))).ok()
    }

    /// The row's value when nothing was wrong.
    pub(super) fn finish<T>(self, line: u64, value: Option<T>) -> Result<T, BadRow> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(BadRow { line, faults: self.0 }),
        }
    }
}
