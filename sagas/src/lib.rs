//! Owns: saga definitions and the coordinator that carries work over several steps, or undoes it.
//! Imports: docket-schemas, docket-engine.
//! Never: sockets, disks, clocks; state of its own: a saga is an event stream.

mod definition;
pub use definition::{
    Act, Definition, OnTimeout, RETRY_PAUSE_MAX, Retry, SHOWN_WITHIN, STEPS_MAX, Step,
};
mod act;
pub use act::{Awaited, Local, Plan, Progress, Remote, Report, Scene, StepError};
mod registry;
pub use registry::Registry;
mod operated;
pub use operated::Operated;
mod state;
pub use state::{Attempt, Begun, Cause, ParkedAt, Row, State, StepState, Track};
mod next;
mod weight;
pub use next::{Action, UnderWay, has_passed_pivot, next};
mod four;
pub use four::{FOUR, FOUR_STEPS, four};
mod bulk;
pub use bulk::{BULK, BULK_TICKETS_MAX, BulkRequest, Job, TicketResult, bulk_update};
mod merge;
pub use merge::{MERGE, MergeRequest, UNMERGE, merge_tickets, start_of, unmerge_tickets};
mod summary;
pub use summary::{standing, summary};
mod coordinator;
pub use coordinator::{
    Coordinating, Coordinator, CoordinatorPorts, LiveLimits, Noted, Operation, Operator,
    SAGAS_ACTING_MAX, SAGAS_LIVE_BYTES_MAX, SAGAS_LIVE_MAX, SagaError, Shown, Start, StartedSaga,
};
#[cfg(test)]
mod tests;
