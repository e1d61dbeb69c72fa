//! What operators did about a saga, as its rows tell it.

use docket_schemas::saga::payload::SagaPayload;
use docket_schemas::{Principal, SagaEvent, Timestamp};

use crate::state::Row;

/// One act of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operated {
    /// Which: `saga.resumed`, `saga.skipped`, `saga.cancelled`, `saga.stopped` or `saga.undo_requested`.
    pub event: SagaEvent,
    /// Who did it.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

impl Operated {
    /// The act that a row tells of, if it tells of one.
    pub(crate) fn of(row: Row<'_>) -> Option<Self> {
        let reason = match row.payload {
            SagaPayload::Resumed(of) => of.reason.clone(),
            SagaPayload::Skipped(of) => Some(of.reason.clone()),
            SagaPayload::Cancelled(of)
            | SagaPayload::Stopped(of)
            | SagaPayload::UndoRequested(of) => of.reason.clone(),
            _ => return None,
        };
        Some(Self { event: row.payload.event_type(), by: row.by.0.clone(), at: row.at, reason })
    }
}
