//! Cursors: where a reader goes on, whatever happened to the log since it was told.

use super::{Desk, DeskError};
use crate::cursor::Cursor;

/// Where a cursor leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoOn {
    /// From here: the cursor as the newest incarnation says it.
    From(Cursor),
    /// The log was restored from before the cursor: readers go on from here, and may meet events again.
    Replaced(Cursor),
    /// No node of this region has issued it.
    NotIssued,
}

impl Desk {
    /// Reads a cursor that somebody brings. One of an older incarnation goes on unless it lies beyond a restore.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn go_on(&self, cursor: Cursor) -> Result<GoOn, DeskError> {
        let log = &self.ports().log;
        let starts = log.incarnations().await?;
        let Some(newest) = starts.last().map(|start| start.incarnation.clone()) else {
            return Ok(GoOn::NotIssued);
        };
        let number = cursor.incarnation.number();
        if cursor.incarnation.region() != newest.region() || number > newest.number() {
            return Ok(GoOn::NotIssued);
        }
        let later = starts.iter().filter(|start| start.incarnation.number() > number);
        let kept = later.fold(cursor.positions, |kept, start| kept.min(&start.heads));
        let go_on = Cursor { incarnation: newest, positions: kept };
        if kept != cursor.positions {
            return Ok(GoOn::Replaced(go_on));
        }
        let issued = log.heads().await?.covers(&kept);
        Ok(if issued { GoOn::From(go_on) } else { GoOn::NotIssued })
    }
}
