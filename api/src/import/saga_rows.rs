//! Sagas of another log: each is written whole, in one unit where it fits, and one that had not ended is parked at its
//! end. Whatever it was about to do belonged to the log that it came from; one of whose rows nothing is new is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_engine::command::{
    AuthorError, Authoring, Caller, JointRows, JointTickets, JointWrite, PlainRow,
};
use docket_engine::desk::{Desk, DeskError, Joined};
use docket_engine::ports::log::{APPEND_BATCH_ROWS_MAX, Expected, StreamRead};
use docket_sagas::{Row, State};
use docket_schemas::saga::payload::{Parked, SagaPayload};
use docket_schemas::{
    CommandId, Principal, Role, SagaEvent, SagaId, Stream, Tenant, TicketId, Timestamp, derivation,
};

use super::step::{Author, Who};
use super::tally::Tally;

/// Why an imported saga is parked.
const IMPORTED: &str = "it was imported before it had ended";

/// How often a saga is written anew when somebody writes to it meanwhile.
const WRITE_TRIES_MAX: u32 = 8;

/// One row of a saga, as another log had it.
#[derive(Debug, Clone)]
pub(super) struct SagaStep {
    pub(super) tenant: Tenant,
    pub(super) stream: Stream,
    pub(super) command_id: CommandId,
    pub(super) author: Author,
    pub(super) occurred_at: Timestamp,
    pub(super) correlation_id: Option<CommandId>,
    pub(super) causation_id: Option<CommandId>,
    pub(super) payload: SagaPayload,
}

/// The sagas of a file, until the tickets that they are about are written.
#[derive(Debug, Default)]
pub(super) struct SagaRows(BTreeMap<Stream, Vec<SagaStep>>);

impl SagaRows {
    pub(super) fn push(&mut self, step: SagaStep) {
        self.0.entry(step.stream).or_default().push(step);
    }

    /// Writes what the log does not hold yet.
    pub(super) async fn write(self, desk: &Desk, tally: &Tally) -> Result<(), DeskError> {
        for (stream, steps) in self.0 {
            let all = steps.len();
            let written = write_one(desk, stream, &steps).await?;
            (0..written.min(all)).for_each(|_| tally.written());
            (written..all).for_each(|_| tally.already_there());
        }
        Ok(())
    }
}

/// How many of the rows were not there.
async fn write_one(desk: &Desk, stream: Stream, steps: &[SagaStep]) -> Result<usize, DeskError> {
    let Some(first) = steps.first() else { return Ok(0) };
    let tenant = first.tenant.clone();
    for _ in 0..WRITE_TRIES_MAX {
        let read = StreamRead { tenant: tenant.clone(), stream, after: 0 };
        let stored = desk.ports().log.stream_events(&[read]).await?;
        let is_new =
            |step: &&SagaStep| stored.iter().all(|event| event.command_id != step.command_id);
        let mut rows = Vec::new();
        for step in steps.iter().filter(is_new) {
            rows.push(row(desk, step).await?);
        }
        let new = rows.len();
        let mut state = State::new(tenant.clone(), SagaId::new(stream.id));
        state.fold(&stored).map_err(|error| DeskError::Damaged(Arc::new(error)))?;
        let parts = parts(state, stream, rows, desk.ports().clock.now());
        let last = stored.last().map_or(0, |event| event.position);
        match append(desk, &tenant, parts, last).await {
            Err(DeskError::Fenced) => {}
            outcome => return outcome.map(|()| new),
        }
    }
    Err(DeskError::Overloaded)
}

/// Rows as they are appended together. Each part leaves the saga parked or ended, so that nobody carries it on between two.
pub(super) fn parts(
    mut state: State,
    stream: Stream,
    rows: Vec<PlainRow>,
    now: Timestamp,
) -> Vec<Vec<PlainRow>> {
    let mut rows = rows.into_iter().peekable();
    let mut parts = Vec::new();
    while rows.peek().is_some() {
        // The row that parks it has to fit in.
        let mut part: Vec<PlainRow> = rows.by_ref().take(APPEND_BATCH_ROWS_MAX - 1).collect();
        part.iter().for_each(|row| evolve(&mut state, row));
        // Two rows that park it one after the other would be the same command.
        let own = rows.next_if(|row| matches!(row.payload, SagaPayload::Parked(_)));
        let last = own.or_else(|| parked(&state, stream, now));
        last.iter().for_each(|row| evolve(&mut state, row));
        part.extend(last);
        parts.push(part);
    }
    parts
}

pub(super) async fn append(
    desk: &Desk,
    tenant: &Tenant,
    parts: Vec<Vec<PlainRow>>,
    last: u64,
) -> Result<(), DeskError> {
    let mut last = last;
    for mut part in parts {
        for (index, row) in part.iter_mut().enumerate() {
            row.expected = if index == 0 { Expected::Last(last) } else { Expected::Chained };
        }
        let rows = Rows { tenant: tenant.clone(), rows: part };
        match desk.join(Arc::new(rows)).await? {
            Joined::Done(placed) => last = placed.last().map_or(last, |placed| placed.position),
            Joined::Stored(_) => return Err(DeskError::Fenced),
        }
    }
    Ok(())
}

fn evolve(state: &mut State, row: &PlainRow) {
    let by = (&row.caller.principal, row.caller.role, &*row.caller.device);
    let (payload, command_id, began) = (&row.payload, row.command_id, row.occurred_at);
    state.evolve(Row { payload, command_id, by, began, at: began, position: state.position });
}

pub(super) async fn row(desk: &Desk, step: &SagaStep) -> Result<PlainRow, DeskError> {
    let principal = match &step.author.who {
        Who::Docket(name) => Principal::Docket(Arc::clone(name)),
        Who::Person(id) => {
            Principal::Person(desk.ports().keyring.person(&step.tenant, id).await?.id)
        }
    };
    let (role, device) = (step.author.role, Arc::clone(&step.author.device));
    Ok(PlainRow {
        caller: Caller { tenant: step.tenant.clone(), role, principal, device },
        stream: step.stream,
        expected: Expected::Chained,
        command_id: step.command_id,
        request_mac: None,
        payload: step.payload.clone(),
        slots: Vec::new(),
        occurred_at: step.occurred_at,
        correlation_id: step.correlation_id,
        causation_id: step.causation_id,
    })
}

/// The row that parks a saga which somebody would carry on.
fn parked(state: &State, stream: Stream, now: Timestamp) -> Option<PlainRow> {
    if state.ended.is_some() || state.parked.is_some() {
        return None;
    }
    let (start, tenant) = (state.begun.as_ref()?.command_id, state.tenant.clone());
    let principal = Principal::Docket("import".into());
    let parked = Parked { step: None, direction: None, reason: IMPORTED.to_owned() };
    Some(PlainRow {
        caller: Caller { tenant, role: Role::Bot, principal, device: "".into() },
        stream,
        expected: Expected::Chained,
        command_id: derivation::saga_row(start, state.rows + 1, SagaEvent::Parked),
        request_mac: None,
        payload: SagaPayload::Parked(parked),
        slots: Vec::new(),
        occurred_at: now,
        correlation_id: Some(start),
        causation_id: None,
    })
}

/// Rows of one stream that are written as they are.
struct Rows {
    tenant: Tenant,
    rows: Vec<PlainRow>,
}

impl JointWrite for Rows {
    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn tickets(&self) -> Vec<TicketId> {
        Vec::new()
    }

    fn known_by(&self) -> Option<(TicketId, CommandId)> {
        None
    }

    fn rows_max(&self) -> usize {
        self.rows.len()
    }

    fn author(
        &self,
        _: &mut JointTickets<'_>,
        with: Authoring<'_>,
    ) -> Result<JointRows, AuthorError> {
        let rows = self.rows.iter().map(|row| row.clone().authored(with.incarnation));
        Ok(rows.collect::<Vec<_>>().into())
    }
}
