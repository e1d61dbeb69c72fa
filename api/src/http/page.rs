//! Pages: their sizes, and the cursors from which they go on.

use docket_engine::cursor::{Cursor, Positions};

use super::tickets::problem;
use crate::app::App;
use crate::problem::{Code, FieldError, Problem};

/// Most items of a page.
const PAGE_SIZE_MAX: usize = 100;
/// Items of a page where nothing is said.
const PAGE_SIZE_DEFAULT: usize = 50;
/// Most events of a page.
const EVENTS_MAX: usize = 1_000;
/// Events of a page where nothing is said.
const EVENTS_DEFAULT: usize = 100;

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

/// A cursor of this log. One of an older incarnation goes on where that one ended, and beyond it is 410.
pub(super) async fn read_cursor(app: &App, text: &str) -> Result<Cursor, Problem> {
    let cursor: Cursor = text.parse().map_err(|_| Problem::new(Code::CursorMalformed))?;
    let newest = app.desk.incarnation();
    if cursor.incarnation == newest {
        return Ok(cursor);
    }
    if cursor.incarnation.region() != newest.region() {
        return Err(Problem::new(Code::CursorMalformed).detail("the cursor is another region's"));
    }
    let starts =
        app.desk.ports().log.incarnations().await.map_err(|error| problem(error.into()))?;
    let later =
        starts.iter().filter(|start| start.incarnation.number() > cursor.incarnation.number());
    let kept = later.fold(cursor.positions, |kept, start| kept.min(&start.heads));
    let cut = Cursor { incarnation: newest, positions: kept };
    if kept == cursor.positions {
        return Ok(cut);
    }
    Err(Problem::new(Code::HistoryReplaced).member("after_cursor", cut.to_string()))
}

/// Where a reader without a cursor begins.
pub(super) fn from_the_start(app: &App) -> Cursor {
    Cursor { incarnation: app.desk.incarnation(), positions: Positions::START }
}
