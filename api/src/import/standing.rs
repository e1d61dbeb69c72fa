//! What the log held of a file's tickets when this run first met them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use docket_engine::desk::{Desk, DeskError};
use docket_engine::ticket::Ticket;
use docket_schemas::{CommandId, Principal, Tenant, TicketId};

use super::bad_row::Fault;
use super::step::{Action, Author, NewTicket, Step, Uniqueness, Who};
use super::tally::Tally;

/// Most tickets of one external id that are looked at.
const SAME_EXTERNAL_ID_MAX: usize = 16;

/// What stood before this run, as far as the steps of one lane ask for it.
pub(super) struct Standing {
    desk: Desk,
    tally: Arc<Tally>,
    tickets: HashMap<(Tenant, TicketId), HashSet<CommandId>>,
}

impl Standing {
    pub(super) fn new(desk: Desk, tally: Arc<Tally>) -> Self {
        Self { desk, tally, tickets: HashMap::new() }
    }

    /// Whether an earlier run has done a step. Counts its ticket, when this is the first step on it.
    ///
    /// # Errors
    /// When the log fails.
    pub(super) async fn holds(&mut self, step: &Step) -> Result<bool, DeskError> {
        let name = (step.tenant.clone(), step.ticket);
        if !self.tickets.contains_key(&name) {
            let commands = self.desk.look(&step.tenant, step.ticket, |ticket| {
                ticket.graph.nodes().iter().map(|node| node.command_id).collect()
            });
            let commands = commands.await?.unwrap_or_default();
            self.tickets.insert(name.clone(), commands);
            self.tally.ticket();
        }
        Ok(self.tickets.entry(name).or_default().remove(&step.command_id))
    }

    /// Why the log, as it stood, does not take a step that it does not hold.
    ///
    /// # Errors
    /// When the log fails.
    pub(super) async fn fault(&self, step: &Step) -> Result<Option<Fault>, DeskError> {
        match &step.action {
            Action::Open(new) => self.is_taken(&step.tenant, new).await,
            Action::Change(_) => self.comes_late(step).await,
            Action::Replay(_) => Ok(None),
        }
    }

    /// An incident whose first row was bad in an earlier run has its ticket from another row: it keeps that one.
    async fn is_taken(&self, tenant: &Tenant, new: &NewTicket) -> Result<Option<Fault>, DeskError> {
        let (Uniqueness::Unique, Some(external_id)) = (new.external_id_is, &new.opened.external_id)
        else {
            return Ok(None);
        };
        let log = &self.desk.ports().log;
        let found = log.tickets_by_external_id(tenant, external_id, SAME_EXTERNAL_ID_MAX).await;
        for ticket in found.map_err(DeskError::from)? {
            if self.desk.glance(tenant, ticket, |ticket| opened_by_import(ticket)).await?
                == Some(true)
            {
                let what = "has a ticket that an earlier import opened from another row";
                return Ok(Some(Fault::new("number", what)));
            }
        }
        Ok(None)
    }

    /// Whether an earlier run has written rows of this ticket that this run has not met yet.
    async fn comes_late(&self, step: &Step) -> Result<Option<Fault>, DeskError> {
        let rest = self.tickets.get(&(step.tenant.clone(), step.ticket));
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return Ok(None) };
        let imported = self.desk.glance(&step.tenant, step.ticket, |ticket| {
            let nodes = ticket.graph.nodes().iter();
            nodes
                .filter(|node| is_import(&node.principal))
                .any(|node| rest.contains(&node.command_id))
        });
        let late = "comes too late: later rows of the incident are imported already";
        Ok((imported.await? == Some(true)).then(|| Fault::new("row", late)))
    }
}

fn is_import(principal: &Principal) -> bool {
    matches!((&Author::import().who, principal), (Who::Docket(own), Principal::Docket(name)) if own == name)
}

fn opened_by_import(ticket: &Ticket) -> bool {
    ticket.graph.nodes().first().is_some_and(|node| is_import(&node.principal))
}
