//! Joint writes: one unit over several tickets, and rows of other streams beside it, authored when it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use docket_schemas::{CommandId, Incarnation, Tenant, TicketId};

use super::author::AuthorError;
use super::{Authoring, Refusal};
use crate::ports::log::Row;
use crate::ticket::{Resolved, Ticket};

/// A write over several tickets of one tenant. The appender authors it on the tickets as the log then has them, as often
/// as another write comes between; so it decides anew each time and keeps nothing. It seals nothing either: its keys
/// could be destroyed before it is sent.
pub trait JointWrite: Send + Sync + 'static {
    /// Whose tickets.
    fn tenant(&self) -> &Tenant;

    /// Every ticket that it looks at or writes to.
    fn tickets(&self) -> Vec<TicketId>;

    /// The command by which a retry is known, and the ticket that holds its row; none where no ticket does.
    fn known_by(&self) -> Option<(TicketId, CommandId)>;

    /// Most rows that it makes, those of other streams among them; at most `APPEND_BATCH_ROWS_MAX`.
    fn rows_max(&self) -> usize;

    /// Whether it could be done in smaller units. The more tickets a unit has, the likelier it is that somebody else has
    /// written to one of them when it comes to the log; such a one is given up on, with
    /// [`DeskError::Contended`](crate::desk::DeskError::Contended), where others are tried again and again.
    fn is_divisible(&self) -> bool {
        false
    }

    /// Whether it goes on without tickets that cannot be read: each of them then answers [`Refusal::Unreadable`].
    fn goes_without(&self) -> bool {
        false
    }

    /// Decides, authors its rows on the tickets, and answers them in the order in which they take their places.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] refuses the whole unit.
    fn author(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<JointRows, AuthorError>;
}

/// What a joint write comes to.
#[derive(Debug)]
pub struct JointRows {
    /// One unit, in the order in which its rows take their places.
    pub rows: Vec<Row>,
    /// What its caller is answered, where that is a ticket.
    pub answer: Option<Box<Prepared>>,
}

impl From<Vec<Row>> for JointRows {
    fn from(rows: Vec<Row>) -> Self {
        Self { rows, answer: None }
    }
}

/// An answer before its rows are durable.
#[derive(Debug)]
pub struct Prepared {
    /// The ticket to show, as it will be.
    pub ticket: Resolved,
    /// The message that was made.
    pub said: Option<Said>,
    /// The closed ticket that a follow-up was opened for.
    pub follow_up_of: Option<TicketId>,
    /// The row whose place is the answer's.
    pub row: usize,
}

/// A message that a write made: where it stands, and by which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The ticket in whose stream it stands.
    pub ticket: TicketId,
    /// The command of its event.
    pub command: CommandId,
}

/// The tickets that a joint write asked for.
#[derive(Debug)]
pub struct JointTickets<'a> {
    tickets: BTreeMap<TicketId, &'a mut Ticket>,
    unreadable: BTreeSet<TicketId>,
    current: bool,
}

impl<'a> JointTickets<'a> {
    pub(crate) const fn new(
        tickets: BTreeMap<TicketId, &'a mut Ticket>,
        unreadable: BTreeSet<TicketId>,
        current: bool,
    ) -> Self {
        Self { tickets, unreadable, current }
    }

    /// Whether they are as the log has them now, without rows that may still not be written: then a refusal stands.
    #[must_use]
    pub const fn are_current(&self) -> bool {
        self.current
    }

    /// A ticket that there is.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where there is none, or where the write had not asked for it; [`Refusal::Unreadable`] where
    /// its rows cannot be read.
    pub fn get(&mut self, id: TicketId) -> Result<&mut Ticket, Refusal> {
        if self.unreadable.contains(&id) {
            return Err(Refusal::Unreadable);
        }
        let ticket = self.tickets.get_mut(&id).filter(|ticket| ticket.facts().is_some());
        ticket.map(|ticket| &mut **ticket).ok_or(Refusal::NotFound)
    }
}

/// Authors rows of other streams, such as a saga's, under the incarnation that then is.
pub type OtherRows = Arc<dyn Fn(&Incarnation) -> Vec<Row> + Send + Sync>;

/// A joint write with rows of other streams in the same unit. Each states its stream's expected last position: a stream
/// that has gone on fails the write instead of handing it back ([`crate::desk::DeskError::Fenced`]).
pub struct Beside<W> {
    /// What is written to tickets.
    pub write: W,
    /// Most rows that `rows` makes.
    pub rows_max: usize,
    /// The other rows, which come first.
    pub rows: OtherRows,
}

impl<W: JointWrite> JointWrite for Beside<W> {
    fn tenant(&self) -> &Tenant {
        self.write.tenant()
    }

    fn tickets(&self) -> Vec<TicketId> {
        self.write.tickets()
    }

    fn known_by(&self) -> Option<(TicketId, CommandId)> {
        self.write.known_by()
    }

    fn rows_max(&self) -> usize {
        self.write.rows_max() + self.rows_max
    }

    fn author(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<JointRows, AuthorError> {
        let mut rows = (self.rows)(with.incarnation);
        let before = rows.len();
        let mut written = self.write.author(tickets, with)?;
        rows.append(&mut written.rows);
        if let Some(answer) = &mut written.answer {
            answer.row += before;
        }
        Ok(JointRows { rows, ..written })
    }
}
