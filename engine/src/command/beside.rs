//! A saga's unit: one row of the saga, made once it is known what became of the commands beside it.

use std::sync::Arc;

use docket_schemas::{
    CommandId, Draft, Incarnation, Mac, Observed, SCHEMA_VERSION, SagaPayload, SlotOp, Stream,
    Tenant, TicketId, Timestamp, derivation,
};

use super::author::AuthorError;
use super::joint::{JointRows, JointTickets, JointWrite};
use super::{Authoring, Caller, Intent, Refusal, decide};
use crate::policy::POLICY_VERSION;
use crate::ports::log::{Expected, Row};

/// Most commands of one unit.
pub const SAGA_COMMANDS_MAX: usize = 100;

/// Most rows that one of them makes: a message, its status, a follow-up, joined heads.
const ROWS_PER_COMMAND_MAX: usize = 4;

/// A row that depends on no document.
#[derive(Debug, Clone)]
pub struct PlainRow {
    /// Who writes it.
    pub caller: Caller,
    /// Where it stands.
    pub stream: Stream,
    /// What the writer knows of the stream, which fences it.
    pub expected: Expected,
    /// The intent's own name.
    pub command_id: CommandId,
    /// Over the request that asked for it.
    pub request_mac: Option<Mac>,
    /// The fact.
    pub payload: SagaPayload,
    /// What it takes and releases.
    pub slots: Vec<SlotOp>,
    /// When it began to happen.
    pub occurred_at: Timestamp,
    /// What it belongs to.
    pub correlation_id: Option<CommandId>,
    /// What caused it.
    pub causation_id: Option<CommandId>,
}

impl PlainRow {
    /// As the log takes it.
    #[must_use]
    pub fn authored(self, incarnation: &Incarnation) -> Row {
        let draft = Draft {
            tenant: self.caller.tenant,
            stream: self.stream,
            event_id: derivation::event_of(self.command_id, incarnation),
            command_id: self.command_id,
            request_mac: self.request_mac,
            event_type: self.payload.event_type().into(),
            schema: SCHEMA_VERSION,
            data: self.payload.to_json(),
            sealed: None,
            change: None,
            public: false,
            principal: self.caller.principal,
            role: self.caller.role,
            device: self.caller.device.as_ref().to_owned(),
            policy: POLICY_VERSION,
            observed: Observed::Assumed,
            slots: self.slots,
            external_id: None,
            occurred_at: self.occurred_at,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
        };
        Row { draft: Arc::new(draft), expected: self.expected }
    }
}

/// Says what the row is, once each command is decided; an error refuses them all. May be asked again.
pub type Conclude = dyn Fn(&[Result<(), Refusal>]) -> Result<PlainRow, Refusal> + Send + Sync;

/// Commands, each on a ticket of its own, or a write over several tickets, with the saga's row, which comes first.
#[derive(Clone)]
pub struct SagaUnit {
    /// Whose.
    pub tenant: Tenant,
    /// At most [`SAGA_COMMANDS_MAX`], no two on one ticket.
    pub intents: Vec<Arc<Intent>>,
    /// A write over other tickets than those.
    pub write: Option<Arc<dyn JointWrite>>,
    /// The row beside them.
    pub conclude: Arc<Conclude>,
    /// Whether fewer of the commands would do for now: each is a result of its own.
    pub divisible: bool,
}

impl SagaUnit {
    /// A row by itself.
    #[must_use]
    pub fn alone(row: PlainRow) -> Self {
        let tenant = row.caller.tenant.clone();
        let conclude = Arc::new(move |_: &[_]| Ok(row.clone()));
        Self { tenant, intents: Vec::new(), write: None, conclude, divisible: false }
    }
}

impl std::fmt::Debug for SagaUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SagaUnit({} commands)", self.intents.len())
    }
}

impl JointWrite for SagaUnit {
    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn tickets(&self) -> Vec<TicketId> {
        let own = self.intents.iter().map(|intent| intent.ticket);
        own.chain(self.write.iter().flat_map(|write| write.tickets())).collect()
    }

    fn known_by(&self) -> Option<(TicketId, CommandId)> {
        let own = self.intents.first().map(|intent| (intent.ticket, intent.command_id));
        own.or_else(|| self.write.as_ref()?.known_by())
    }

    fn rows_max(&self) -> usize {
        let write = self.write.as_ref().map_or(0, |write| write.rows_max());
        1 + self.intents.len() * ROWS_PER_COMMAND_MAX + write
    }

    fn is_divisible(&self) -> bool {
        self.divisible && self.intents.len() > 1
    }

    fn goes_without(&self) -> bool {
        self.divisible
    }

    fn author(
        &self,
        tickets: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<JointRows, AuthorError> {
        let mut rows = Vec::with_capacity(1 + self.intents.len());
        let mut verdicts = Vec::with_capacity(self.intents.len());
        for intent in &self.intents {
            let ticket = tickets.get(intent.ticket);
            let before = ticket.as_ref().map_or(0, |ticket| ticket.graph.nodes().len());
            let decided = ticket.map_err(AuthorError::from).and_then(|t| decide(t, intent, with));
            let after = tickets.get(intent.ticket).map_or(0, |ticket| ticket.graph.nodes().len());
            match decided {
                // Without a row the log compares nothing: what is to be done may stand there unseen.
                Ok(decided) if decided.rows.is_empty() && !tickets.are_current() => {
                    return Err(AuthorError::Stale);
                }
                Ok(decided) => {
                    rows.extend(decided.rows);
                    verdicts.push(Ok(()));
                }
                Err(AuthorError::Fold(error)) if self.goes_without() && before == after => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(ticket.id = %intent.ticket, error, "ticket.damaged");
                    verdicts.push(Err(Refusal::Unreadable));
                }
                // Until then any refusal sends the whole back, to be decided on what the log last said.
                Err(AuthorError::Refused(refusal)) if tickets.are_current() && before == after => {
                    verdicts.push(Err(refusal));
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(write) = &self.write {
            rows.extend(write.author(tickets, with)?.rows);
        }
        let row = (self.conclude)(&verdicts)?;
        rows.insert(0, row.authored(with.incarnation));
        Ok(rows.into())
    }
}
