//! The dates of a query: a whole day in UTC, or a moment.

use docket_schemas::Timestamp;

use super::Span;

const DAY_MICROS: i64 = 86_400_000_000;

/// How a time is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `>`: behind the day's end, or behind the moment.
    After,
    /// `<`: before the day begins, or before the moment.
    Before,
    /// `>=`: from the day's beginning.
    From,
    /// `<=`: to the day's end.
    UpTo,
}

/// The times that compare so with a date; none where it is no date.
pub(super) fn span(comparison: Comparison, date: &str) -> Option<Span> {
    // A date is the whole day, a time one microsecond.
    let (first, length) = match format!("{date}T00:00:00Z").parse::<Timestamp>() {
        Ok(day) => (day, DAY_MICROS),
        Err(_) => (date.parse::<Timestamp>().ok()?, 1),
    };
    let next = first.plus_micros(length);
    let beginning = Timestamp::from_micros(i64::MIN);
    Some(match comparison {
        Comparison::After => Span { from: next, until: None },
        Comparison::From => Span { from: first, until: None },
        Comparison::Before => Span { from: beginning, until: Some(first) },
        Comparison::UpTo => Span { from: beginning, until: Some(next) },
    })
}
