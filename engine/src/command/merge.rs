//! Merging: each step and each undo of the saga that merges or unmerges two tickets is one unit over both.

use docket_schemas::{
    CommandId, Mac, MergeAttached, MergeBegun, MergeDetached, MergeEnded, MergeGoal, Merged,
    Observed, SlotKey, SlotOp, Tenant, TicketId, TicketPayload, Timestamp, Unmerged, derivation,
};
use uuid::Uuid;

use super::author::{AuthorError, Step, author, joined_heads};
use super::decide::{check_precondition, relation};
use super::joint::{JointRows, JointTickets, JointWrite};
use super::merge_checks::{check_leaves, check_lets_go, check_merges, check_takes};
use super::{Authoring, Caller, Precondition, Refusal};
use crate::policy::{Action, Verdict, may};
use crate::ports::log::Row;
use crate::ticket::{Baggage, Ticket};

/// Most tickets that one shows besides itself, those that its sources show among them: a reader of its messages looks at
/// each.
pub const MERGED_SOURCES_MAX: u64 = 500;

/// The part of a merging command that stands on the target.
const TARGET_ORDINAL: u32 = 4;

/// Most rows: one and joined heads on both tickets.
const ROWS_MAX: usize = 4;

/// Whether an attach may still be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody wants it: refused where the target has been closed since.
    Wanted,
    /// It undoes a detach: the target takes its source back as it is.
    Undo,
}

/// One step, or one undo, on the way of a merge or an unmerge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeMove {
    /// Marks both tickets and takes their slots: the unit that starts the saga, and refuses what cannot be merged.
    Begin(MergeGoal),
    /// The source goes into the target. Undone by [`Self::Detach`].
    Attach(Urgency),
    /// The source comes out of it. Undone by [`Self::Attach`].
    Detach,
    /// Takes the marks away and lets go of the slots, but for the one of a source that stays merged: the unit that ends
    /// the saga, whatever came of it. Undoes [`Self::Begin`] too.
    End,
}

/// A unit of a saga that merges or unmerges. Put it beside the saga's own row with [`super::Beside`].
#[derive(Debug, Clone)]
pub struct MergeWrite {
    /// Who started the saga.
    pub caller: Caller,
    /// The ticket that goes into the other, or comes out of it.
    pub source: TicketId,
    /// The other.
    pub into: TicketId,
    /// The saga.
    pub saga_id: Uuid,
    /// The step's own command, the same on every try: a row on the source carries it, one on the target a part of it.
    pub command_id: CommandId,
    /// Over the request, for [`MergeMove::Begin`].
    pub request_mac: Option<Mac>,
    /// What `If-Match` asks of the source, for [`MergeMove::Begin`].
    pub precondition: Option<Precondition>,
    /// What it belongs to.
    pub correlation_id: Option<CommandId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What is done.
    pub step: MergeMove,
}

impl MergeWrite {
    fn begin(
        &self,
        tickets: &mut JointTickets<'_>,
        goal: MergeGoal,
        with: Authoring<'_>,
    ) -> Result<Vec<Row>, AuthorError> {
        let source = tickets.get(self.source)?;
        self.admit(source)?;
        check_precondition(source, self.caller.role, self.precondition.as_ref())?;
        if self.source == self.into {
            return Err(
                Refusal::NotMergeable { reason: "a ticket is not merged into itself" }.into()
            );
        }
        match goal {
            MergeGoal::Merge => {
                let brings = check_merges(source)?;
                check_takes(tickets.get(self.into)?, brings)?;
            }
            MergeGoal::Unmerge => {
                check_leaves(source, self.into)?;
                check_lets_go(tickets.get(self.into)?)?;
            }
        }
        let (source, into, saga_id) = (self.source, self.into, self.saga_id);
        let begun = TicketPayload::MergeBegun(MergeBegun { goal, source, into, saga_id });
        // In the order of their slots' keys, which is the order of the ids.
        let mut rows = Vec::with_capacity(ROWS_MAX);
        for id in [source.min(into), source.max(into)] {
            rows.extend(self.write(tickets.get(id)?, begun.clone(), with)?);
        }
        Ok(rows)
    }

    /// Only who starts a merge is held to the policy; the saga's later units do what was allowed.
    fn admit(&self, source: &mut Ticket) -> Result<(), AuthorError> {
        let role = self.caller.role;
        let relation = relation(source, self.caller.principal.person())?;
        match may(role, relation, Action::Merge) {
            Verdict::Allow => Ok(()),
            Verdict::Forbid => Err(Refusal::forbidden("merge tickets").into()),
            Verdict::Hide => Err(Refusal::NotFound.into()),
        }
    }

    fn attach(
        &self,
        tickets: &mut JointTickets<'_>,
        urgency: Urgency,
        with: Authoring<'_>,
    ) -> Result<Vec<Row>, AuthorError> {
        self.check_underway(tickets)?;
        let target = tickets.get(self.into)?;
        if urgency == Urgency::Wanted {
            super::merge_checks::check_open(target)?;
        }
        // What was answered while the source was here stays answered when it comes back.
        let answered = match urgency {
            Urgency::Wanted => None,
            Urgency::Undo => target.answered_with(self.source)?,
        };
        let source = tickets.get(self.source)?;
        if source.merges().merged().is_some() {
            return Err(Refusal::NotMergeable { reason: "the ticket is merged already" }.into());
        }
        let mut baggage = source.baggage()?;
        if let Some(merged) = answered
            && source.is_answered_by(merged)?
        {
            baggage.unanswered = None;
        }
        let source_count = source.merges().sources_shown();
        let into = self.into;
        let mut rows = self.write(source, TicketPayload::Merged(Merged { into }), with)?;
        let target = tickets.get(self.into)?;
        target.registers()?;
        let baggage = match urgency {
            Urgency::Wanted => baggage,
            Urgency::Undo => target.takes_back(self.source, baggage),
        };
        let Baggage { tags, followers, messages, unanswered } = target.lacks(baggage)?;
        let attached = MergeAttached {
            source: self.source,
            merged: self.command_id,
            tags,
            followers,
            message_count: messages.0,
            public_message_count: messages.1,
            source_count,
            unanswered,
        };
        rows.extend(self.write(target, TicketPayload::MergeAttached(Box::new(attached)), with)?);
        Ok(rows)
    }

    fn detach(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<Vec<Row>, AuthorError> {
        self.check_underway(tickets)?;
        let source = tickets.get(self.source)?;
        let merged = source.merges().merged().filter(|merged| merged.into == self.into);
        let not_merged = Refusal::NotMergeable { reason: "the ticket is not merged" };
        let Some(merged) = merged else { return Err(not_merged.into()) };
        let into = self.into;
        let mut rows = self.write(source, TicketPayload::Unmerged(Unmerged { into }), with)?;
        let target = tickets.get(self.into)?;
        let (tags, followers) = target.leftovers(self.source, merged.command)?;
        let merged = merged.command;
        let detached = MergeDetached { source: self.source, merged, tags, followers };
        rows.extend(self.write(target, TicketPayload::MergeDetached(Box::new(detached)), with)?);
        Ok(rows)
    }

    fn end(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<Vec<Row>, AuthorError> {
        self.check_underway(tickets)?;
        let ended = TicketPayload::MergeEnded(MergeEnded { saga_id: self.saga_id });
        let mut rows = self.write(tickets.get(self.source)?, ended.clone(), with)?;
        rows.extend(self.write(tickets.get(self.into)?, ended, with)?);
        Ok(rows)
    }

    fn check_underway(&self, tickets: &mut JointTickets<'_>) -> Result<(), Refusal> {
        for id in [self.source, self.into] {
            let underway = tickets.get(id)?.merges().underway();
            if underway.map(|underway| underway.saga_id) != Some(self.saga_id) {
                let reason = "this saga has nothing under way with the ticket";
                return Err(Refusal::NotMergeable { reason });
            }
        }
        Ok(())
    }

    fn write(
        &self,
        ticket: &mut Ticket,
        payload: TicketPayload,
        with: Authoring<'_>,
    ) -> Result<Vec<Row>, AuthorError> {
        let own = ticket.id == self.source;
        let command_id = match own {
            true => self.command_id,
            false => derivation::part_of_command(self.command_id, TARGET_ORDINAL),
        };
        let step = Step {
            caller: &self.caller,
            command_id,
            request_mac: self.request_mac.filter(|_| own),
            slots: merge_slots(ticket, &payload),
            payload,
            text: None,
            public: true,
            observed: Observed::Assumed,
            occurred_at: self.occurred_at,
            correlation_id: self.correlation_id,
            causation_id: (!own).then_some(self.command_id),
        };
        let heads = ticket.graph.heads().to_vec();
        let mut rows = vec![author(ticket, step, &heads, with)?];
        rows.extend(joined_heads(ticket, command_id, self.occurred_at, with)?);
        Ok(rows)
    }
}

/// What an event of a merge does to the ticket's merge slot, as it is held before.
pub(super) fn merge_slots(ticket: &Ticket, payload: &TicketPayload) -> Vec<SlotOp> {
    let merges = ticket.merges();
    let key = SlotKey::merge(ticket.id);
    match payload {
        TicketPayload::MergeBegun(_) if !merges.holds_slot() => vec![SlotOp::Take(key)],
        TicketPayload::MergeEnded(_) if merges.holds_slot() && merges.merged().is_none() => {
            vec![SlotOp::Release(key)]
        }
        _ => Vec::new(),
    }
}

impl JointWrite for MergeWrite {
    fn tenant(&self) -> &Tenant {
        &self.caller.tenant
    }

    fn tickets(&self) -> Vec<TicketId> {
        vec![self.source, self.into]
    }

    fn known_by(&self) -> Option<(TicketId, CommandId)> {
        Some((self.source, self.command_id))
    }

    fn rows_max(&self) -> usize {
        ROWS_MAX
    }

    fn author(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<JointRows, AuthorError> {
        let rows = match self.step {
            MergeMove::Begin(goal) => self.begin(tickets, goal, with),
            MergeMove::Attach(urgency) => self.attach(tickets, urgency, with),
            MergeMove::Detach => self.detach(tickets, with),
            MergeMove::End => self.end(tickets, with),
        };
        rows.map(JointRows::from)
    }
}
