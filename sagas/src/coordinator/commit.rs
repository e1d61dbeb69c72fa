//! Committing: a saga's next row, with what stands beside it, as one unit that its stream's last position fences.

use std::sync::Arc;

use docket_engine::command::{PlainRow, Refusal, SagaUnit};
use docket_engine::desk::{DeskError, Joined};
use docket_engine::ports::log::Expected;
use docket_schemas::saga::payload::{SagaPayload, Started};
use docket_schemas::{Mac, SagaEvent, Stream, Timestamp, derivation};
use parking_lot::Mutex;
use serde_json::Value;

use super::runner::Runner;
use crate::act::Plan;
use crate::next::{Action, UnderWay, next};
use crate::state::Row;

/// A start whose first row is still to be written.
pub(super) struct Pending {
    pub(super) what: Started,
    pub(super) request_mac: Option<Mac>,
}

/// Why nothing was written, as far as is known.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The stream has gone on: look again.
    GoneOn,
    /// What stands beside the row was refused.
    Refused(Refusal),
    /// Others keep writing to the tickets: fewer of them may go.
    Contended,
    /// The log is out of reach; whether it was written is unknown.
    Log(DeskError),
    /// The log holds what cannot be read, or this node ends.
    Over(DeskError),
}

impl From<DeskError> for Trouble {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Fenced => Self::GoneOn,
            DeskError::Contended => Self::Contended,
            DeskError::Refused(refusal) => Self::Refused(refusal),
            DeskError::Unavailable(_) | DeskError::Overloaded | DeskError::Keys(_) => {
                Self::Log(error)
            }
            error => Self::Over(error),
        }
    }
}

type Make = dyn Fn(Value) -> SagaPayload + Send + Sync;

impl Runner {
    /// Writes a row by itself.
    pub(super) async fn write(
        &mut self,
        payload: SagaPayload,
        began: Timestamp,
        under_way: &[UnderWay],
    ) -> Result<(), Trouble> {
        let make = move |_| payload.clone();
        self.write_with(&Plan::nothing(), Arc::new(make), began, under_way).await
    }

    /// Writes a row with what a plan has beside it; `make` makes the row of what the plan came to.
    pub(super) async fn write_with(
        &mut self,
        plan: &Plan,
        make: Arc<Make>,
        began: Timestamp,
        under_way: &[UnderWay],
    ) -> Result<(), Trouble> {
        // A saga begins when it was asked for.
        let began = match (&self.pending, &self.state.begun) {
            (Some(_), Some(begun)) => begun.at,
            _ => began,
        };
        self.write_start_first(&make(Value::Null), began).await?;
        let (template, written) = self.template(&make, began, under_way);
        let report = Arc::clone(&plan.report);
        let noted = Arc::clone(&written);
        let slots = plan.slots.clone();
        let conclude = move |verdicts: &[Result<(), Refusal>]| {
            let mut payload = make(report(verdicts)?);
            template.complete(&mut payload);
            *noted.lock() = Some(payload.clone());
            Ok(PlainRow { payload, slots: slots.clone(), ..template.row.clone() })
        };
        let tenant = self.state.tenant.clone();
        let intents = plan.intents.clone();
        let write = plan.write.clone();
        let divisible = plan.divisible;
        let unit = SagaUnit { tenant, intents, write, conclude: Arc::new(conclude), divisible };
        let placed = match self.shared.ports.desk.step(unit).await? {
            Joined::Done(placed) => placed,
            Joined::Stored(_) => return Err(Trouble::GoneOn),
        };
        let payload = written.lock().take();
        let (Some(payload), Some((own, effects))) = (payload, placed.split_first()) else {
            return Err(Trouble::GoneOn);
        };
        let command_id = self.command(payload.event_type());
        let by = self.caller.clone();
        self.state.evolve(Row {
            payload: &payload,
            command_id,
            by: (&by.principal, by.role, &by.device),
            began,
            at: own.recorded_at,
            position: own.position,
        });
        self.pending = None;
        for placed in effects {
            self.effects.advance(placed.partition, placed.position);
        }
        self.signal.know(own.position);
        self.weigh();
        self.answer_start();
        Ok(())
    }

    /// Some rows cannot carry a start: it then is a row of its own.
    async fn write_start_first(
        &mut self,
        payload: &SagaPayload,
        began: Timestamp,
    ) -> Result<(), Trouble> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let mut carries = payload.clone();
        carries.carry_start(pending.what.clone());
        if carries.start().is_some() {
            return Ok(());
        }
        let start = SagaPayload::Started(pending.what.clone());
        Box::pin(self.write(start, began, &[])).await
    }

    /// The start as a row of its own, where no other row can be written now.
    pub(super) async fn write_start(&mut self) -> Result<(), Trouble> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let start = SagaPayload::Started(pending.what.clone());
        self.write(start, self.now(), &[]).await
    }

    /// The row but for what its plan comes to.
    fn template(
        &self,
        make: &Arc<Make>,
        began: Timestamp,
        under_way: &[UnderWay],
    ) -> (Template, Arc<Mutex<Option<SagaPayload>>>) {
        let mut payload = make(Value::Null);
        let command_id = self.command(payload.event_type());
        let start = self.pending.as_ref().map(|pending| pending.what.clone());
        if let Some(start) = &start {
            payload.carry_start(start.clone());
        }
        // What would be next once this row stands: where that is the end, the row carries it.
        let mut after = self.state.clone();
        after.evolve(Row {
            payload: &payload,
            command_id,
            by: (&self.caller.principal, self.caller.role, &self.caller.device),
            began,
            at: self.now().max(self.state.at),
            position: self.state.position,
        });
        let end = match next(&self.definition, &after, under_way, self.now()).as_slice() {
            [Action::End(outcome)] if after.ended.is_none() => Some(*outcome),
            _ => None,
        };
        let first = self.pending.as_ref();
        let row = PlainRow {
            caller: self.caller.clone(),
            stream: Stream::saga(self.state.id),
            expected: Expected::Last(self.state.position),
            command_id,
            request_mac: first.and_then(|pending| pending.request_mac),
            payload,
            slots: Vec::new(),
            occurred_at: began,
            correlation_id: Some(self.start_command()),
            causation_id: first.is_none().then(|| self.start_command()),
        };
        (Template { row, start, end }, Arc::default())
    }

    fn command(&self, event: SagaEvent) -> docket_schemas::CommandId {
        let start = self.start_command();
        if self.pending.is_some() {
            return start;
        }
        derivation::saga_row(start, self.state.rows + 1, event)
    }
}

#[derive(Clone)]
struct Template {
    row: PlainRow,
    start: Option<Started>,
    end: Option<docket_schemas::saga::Outcome>,
}

impl Template {
    fn complete(&self, payload: &mut SagaPayload) {
        if let Some(start) = &self.start {
            payload.carry_start(start.clone());
        }
        if let Some(end) = self.end {
            payload.carry_end(end);
        }
    }
}
