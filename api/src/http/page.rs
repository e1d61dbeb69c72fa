//! Pages: their sizes, and the cursors from which they go on.

use docket_engine::around::Unreadable;
use docket_engine::cursor::{Cursor, Positions};
use docket_engine::desk::GoOn;
use docket_engine::ports::log::LogError;
use serde_json::{Value, json};

use super::tickets::problem;
use crate::app::App;
use crate::problem::{Code, FieldError, Problem};

/// Most items of a page.
pub(super) const PAGE_SIZE_MAX: usize = 100;
/// Items of a page where nothing is said.
const PAGE_SIZE_DEFAULT: usize = 50;
/// Most events of a page.
const EVENTS_MAX: usize = 1_000;
/// Events of a page where nothing is said.
const EVENTS_DEFAULT: usize = 100;

/// Bytes of stored text and changes after which a page ends early; its cursor goes on from there.
pub(super) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most events that are read from the log at once for a page.
pub(super) const READ_AT_ONCE_MAX: usize = 200;

/// The size of a page of items.
pub(super) fn page_size(name: &str, text: Option<&str>) -> Result<usize, Problem> {
    number(name, text, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
}

/// The size of a page of events.
pub(super) fn events_limit(text: Option<&str>) -> Result<usize, Problem> {
    number("limit", text, EVENTS_DEFAULT, EVENTS_MAX)
}

fn number(name: &str, text: Option<&str>, default: usize, max: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(default) };
    match text.parse() {
        Ok(size) if (1..=max).contains(&size) && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(size)
        }
        _ => {
            let error = FieldError::beyond(name, format!("is not a number from 1 to {max}"), max);
            Err(Problem::new(Code::Invalid).error(error))
        }
    }
}

/// A cursor of this log: 400 where it is none, 410 where the log was restored from before it.
pub(super) async fn read_cursor(app: &App, text: &str) -> Result<Cursor, Problem> {
    let cursor: Cursor = text.parse().map_err(|_| Problem::new(Code::CursorMalformed))?;
    match app.desk.go_on(cursor).await.map_err(problem)? {
        GoOn::From(cursor) => Ok(cursor),
        GoOn::Replaced(cursor) => {
            Err(Problem::new(Code::HistoryReplaced).member("after_cursor", cursor.to_string()))
        }
        GoOn::NotIssued => Err(Problem::new(Code::CursorMalformed)
            .detail("the cursor is another region's, or beyond the log")),
    }
}

/// Where a reader without a cursor begins.
pub(super) fn from_the_start(app: &App) -> Cursor {
    Cursor { incarnation: app.desk.incarnation(), positions: Positions::START }
}

/// Where a reader begins who wants what comes from now on. The incarnation is asked first: a newer one than the positions'
/// own would hide events.
pub(super) async fn from_now(app: &App) -> Result<Cursor, LogError> {
    let incarnation = app.desk.incarnation();
    let positions = app.desk.ports().log.heads().await?;
    Ok(Cursor { incarnation, positions })
}

/// Says which rows of the log a page lacks, where there are any: they cannot be read.
pub(super) fn name_unreadable(body: &mut Value, unreadable: &[Unreadable]) {
    if !unreadable.is_empty() {
        let place = |row: &Unreadable| json!({"partition": row.partition.number(), "position": row.position});
        body["unreadable"] = unreadable.iter().map(place).collect();
    }
}
