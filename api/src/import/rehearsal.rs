//! A rehearsal: finds what the log would refuse of one lane's steps, and writes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use docket_engine::desk::{Desk, DeskError};
use docket_schemas::{CommandId, Stream, Tenant, TicketId};

use super::bad_row::{BadRow, Fault};
use super::lanes::Hand;
use super::scribe::{CAUSELESS, STORED_ELSEWHERE, UNOPENED};
use super::standing::Standing;
use super::step::{Action, Step};
use super::tally::Tally;

/// What a run over one lane would come to.
pub(super) struct Rehearsal {
    desk: Desk,
    tally: Arc<Tally>,
    standing: Standing,
    /// The steps that are done, or would be.
    done: HashMap<(Tenant, TicketId), HashSet<CommandId>>,
}

impl Hand for Rehearsal {
    /// Counts the step as bad when it would not be done.
    async fn take(&mut self, step: Step) -> Result<(), DeskError> {
        let fault =
            if self.standing.holds(&step).await? { None } else { self.fault(&step).await? };
        match fault {
            Some(fault) => self.tally.bad(&BadRow { line: step.line, faults: vec![fault] }),
            None => {
                let ticket = (step.tenant, step.ticket);
                self.done.entry(ticket).or_default().insert(step.command_id);
            }
        }
        Ok(())
    }
}

impl Rehearsal {
    pub(super) fn new(desk: &Desk, tally: &Arc<Tally>) -> Self {
        let standing = Standing::new(desk.clone(), Arc::clone(tally));
        let (desk, tally) = (desk.clone(), Arc::clone(tally));
        Self { desk, tally, standing, done: HashMap::new() }
    }

    async fn fault(&self, step: &Step) -> Result<Option<Fault>, DeskError> {
        if let Some(fault) = self.standing.fault(step).await? {
            return Ok(Some(fault));
        }
        if let Some(fault) = self.lacks(step) {
            return Ok(Some(fault));
        }
        let partition = Stream::ticket(step.ticket).partition(&step.tenant);
        let stored =
            self.desk.ports().log.event_of_command(&step.tenant, partition, step.command_id).await;
        // Not on the step's own ticket, or the step would be done.
        Ok(stored?.map(|_| Fault::new("command_id", STORED_ELSEWHERE)))
    }

    /// What a step builds on that no step before it has done.
    fn lacks(&self, step: &Step) -> Option<Fault> {
        let done = self.done.get(&(step.tenant.clone(), step.ticket));
        let is_done = |cause: &CommandId| done.is_some_and(|done| done.contains(cause));
        match &step.action {
            Action::Change(_) if done.is_none() => Some(Fault::new("row", UNOPENED)),
            Action::Replay(event) if !event.causes.iter().all(is_done) => {
                Some(Fault::new("deps", CAUSELESS))
            }
            _ => None,
        }
    }
}
