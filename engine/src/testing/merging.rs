//! Merging as the saga does it, unit by unit, but without one: for tests of what merged tickets show.

use std::sync::Arc;

use docket_schemas::{MergeGoal, TicketId};
use uuid::Uuid;

use super::office::Office;
use crate::command::{Caller, MergeMove, MergeWrite, Urgency};
use crate::desk::{Desk, DeskError, Joined};
use crate::ports::clock::Clock as _;
use crate::ports::ids::Ids as _;

impl Office {
    /// One unit of a merge or unmerge, under a command of its own.
    #[must_use]
    pub fn merging(
        &self,
        caller: &Caller,
        (source, into): (TicketId, TicketId),
        saga_id: Uuid,
        step: MergeMove,
    ) -> MergeWrite {
        MergeWrite {
            caller: caller.clone(),
            source,
            into,
            saga_id,
            command_id: self.command(),
            request_mac: None,
            precondition: None,
            correlation_id: None,
            occurred_at: self.clock.now(),
            step,
        }
    }

    /// Does these units, one after the other.
    ///
    /// # Errors
    /// When one is refused; those before it stay.
    pub async fn steps(
        &self,
        desk: &Desk,
        caller: &Caller,
        tickets: (TicketId, TicketId),
        steps: &[MergeMove],
    ) -> Result<(), DeskError> {
        let saga_id = self.ids.time_ordered();
        for &step in steps {
            let write = self.merging(caller, tickets, saga_id, step);
            match desk.join(Arc::new(write)).await? {
                Joined::Done(_) | Joined::Stored(_) => {}
            }
        }
        Ok(())
    }

    /// Merges `source` into `into`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn merge(
        &self,
        desk: &Desk,
        caller: &Caller,
        source: TicketId,
        into: TicketId,
    ) -> Result<(), DeskError> {
        let attach = MergeMove::Attach(Urgency::Wanted);
        let steps = [MergeMove::Begin(MergeGoal::Merge), attach, MergeMove::End];
        self.steps(desk, caller, (source, into), &steps).await
    }

    /// Takes `source` out of `into` again.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn unmerge(
        &self,
        desk: &Desk,
        caller: &Caller,
        source: TicketId,
        into: TicketId,
    ) -> Result<(), DeskError> {
        let steps = [MergeMove::Begin(MergeGoal::Unmerge), MergeMove::Detach, MergeMove::End];
        self.steps(desk, caller, (source, into), &steps).await
    }
}
