//! Cursors: where a reader goes on, whatever happened to the log since it was told.

use std::sync::atomic::{AtomicU64, Ordering};

use docket_schemas::Incarnation;
use tokio::sync::Mutex;

use super::{Desk, DeskError};
use crate::cursor::{Cursor, Positions};
use crate::ports::log::LogError;
use crate::tail::{Beside as _, left_of};

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

/// Where a cursor leads by what the log says now.
enum Judged {
    Known(GoOn),
    /// It is beyond the log, of which this is the newest incarnation.
    Beyond(Incarnation),
}

/// The comparisons that cursors have asked for.
#[derive(Default)]
pub(super) struct Comparisons {
    begun: AtomicU64,
    /// Whose turn it is, with the number of the last one that ended well.
    turn: Mutex<u64>,
}

impl Desk {
    /// Reads a cursor that somebody brings. One of an older incarnation goes on unless it lies beyond a restore. One that is
    /// beyond the log may be the first sign of a restore: the log is compared with its witnesses before it is refused.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn go_on(&self, cursor: Cursor) -> Result<GoOn, DeskError> {
        let newest = match self.judge(&cursor).await? {
            Judged::Known(go_on) => return Ok(go_on),
            Judged::Beyond(newest) => newest,
        };
        self.look_for_restore(&newest).await?;
        match self.judge(&cursor).await? {
            Judged::Known(go_on) => Ok(go_on),
            Judged::Beyond(_) => Ok(GoOn::NotIssued),
        }
    }

    async fn judge(&self, cursor: &Cursor) -> Result<Judged, DeskError> {
        let log = &self.ports().log;
        let starts = log.incarnations().await?;
        let Some(newest) = starts.last().map(|start| start.incarnation.clone()) else {
            return Ok(Judged::Known(GoOn::NotIssued));
        };
        if cursor.incarnation.region() != newest.region() {
            return Ok(Judged::Known(GoOn::NotIssued));
        }
        if cursor.incarnation.number() > newest.number() {
            return Ok(Judged::Beyond(newest));
        }
        // Where one that is not listed parted from this log is not known.
        let left = left_of(&cursor.incarnation, &starts).unwrap_or(Positions::START);
        let kept = left.min(&cursor.positions);
        let go_on = Cursor { incarnation: newest, positions: kept };
        if kept != cursor.positions {
            return Ok(Judged::Known(GoOn::Replaced(go_on)));
        }
        if log.heads().await?.covers(&kept) {
            return Ok(Judged::Known(GoOn::From(go_on)));
        }
        Ok(Judged::Beyond(go_on.incarnation))
    }

    /// Has a new incarnation begin where a witness has seen what the log lacks. However many ask at once, one comparison is
    /// under way, and it answers all who asked before it began.
    async fn look_for_restore(&self, newest: &Incarnation) -> Result<(), DeskError> {
        let comparisons = &self.shared.comparisons;
        let begun = comparisons.begun.load(Ordering::Acquire);
        let mut ended = comparisons.turn.lock().await;
        if *ended > begun {
            return Ok(());
        }
        let number = comparisons.begun.fetch_add(1, Ordering::AcqRel) + 1;
        // Comparing in earnest costs this node all tickets that it holds in memory: whoever makes up cursors cannot have that.
        if self.lacks_what_was_seen(newest).await? {
            self.shared.compare().await?;
        }
        *ended = number;
        Ok(())
    }

    async fn lacks_what_was_seen(&self, newest: &Incarnation) -> Result<bool, LogError> {
        let seen = self.ports().witness.recall().await;
        let mut seen = seen.map_err(|reason| LogError::Unavailable(reason.into()))?;
        // A later incarnation has accounted for what an earlier one lost.
        seen.retain(|seen| seen.incarnation >= newest.number());
        let places: Vec<_> = seen.iter().map(|seen| (seen.partition, seen.position)).collect();
        let there = self.ports().log.standing(&places).await?.event_ids;
        Ok(there.iter().zip(&seen).any(|(there, seen)| *there != Some(seen.event_id)))
    }
}
