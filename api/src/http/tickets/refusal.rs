//! Refusals and failures of the desk as problems.

use std::time::Duration;

use docket_engine::command::Refusal;
use docket_engine::desk::DeskError;
use docket_schemas::PersonId;

use super::answer::current;
use super::enter::Entered;
use crate::app::App;
use crate::present::Names;
use crate::problem::{Code, FieldError, Problem};

/// When to come back after the log did not answer.
pub(super) const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// What is said of a read or write that needs a row which cannot be read.
const DAMAGED: &str =
    "the log holds a row of this that cannot be read; the log of this node says which";

/// A failure that needs nothing looked up.
pub(in crate::http) fn problem(error: DeskError) -> Problem {
    match error {
        DeskError::Refused(refusal) => refused(&refusal),
        DeskError::KeyReused => Problem::new(Code::IdempotencyKeyReused),
        DeskError::Overloaded | DeskError::Contended => Problem::overloaded(),
        DeskError::Stopping => Problem::new(Code::Unavailable)
            .detail("this node is stopping")
            .retry_after(UNAVAILABLE_RETRY_AFTER),
        DeskError::Unavailable(_) | DeskError::Keys(_) | DeskError::Fenced => {
            tracing::error!(error = &error as &dyn std::error::Error, "http.request.unavailable");
            Problem::new(Code::Unavailable)
                .detail("the outcome is unknown: repeat the request with the same Idempotency-Key")
                .retry_after(UNAVAILABLE_RETRY_AFTER)
        }
        DeskError::Damaged(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, "http.request.damaged");
            Problem::new(Code::Internal).detail(DAMAGED)
        }
    }
}

/// A role that may see this and not do it.
pub(super) fn forbidden(what: &str) -> Problem {
    Problem::new(Code::Forbidden).detail(format!("this role may not {what}"))
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::NotFound => Problem::not_found(),
        Refusal::Forbidden { what } => forbidden(what),
        Refusal::Closed => Problem::new(Code::Closed),
        Refusal::Stale => Problem::new(Code::Stale),
        Refusal::AlreadyClaimed { .. } => Problem::new(Code::AlreadyClaimed),
        Refusal::NotClaimed => Problem::new(Code::NotClaimed),
        Refusal::VersionUnknown => Problem::new(Code::VersionUnknown),
        Refusal::PreconditionFailed { .. } => Problem::new(Code::PreconditionFailed),
        Refusal::TooManyForks => Problem::new(Code::TooManyForks),
        Refusal::NotMergeable { reason } => Problem::new(Code::NotMergeable).detail(*reason),
        // The desk sends messages on by itself.
        Refusal::Elsewhere => Problem::new(Code::NotMergeable).detail(refusal.to_string()),
        Refusal::Unreadable => Problem::new(Code::Internal).detail(DAMAGED),
        Refusal::Invalid { field, message, limit } => {
            let error = match limit {
                Some(limit) => FieldError::beyond(*field, message.clone(), *limit),
                None => FieldError::new(*field, message.clone()),
            };
            Problem::new(Code::Invalid).error(error)
        }
    }
}

/// A failure with what helps the caller go on: the holder, or the ticket as it is now.
pub(super) async fn explained(app: &App, entered: &Entered, error: DeskError) -> Problem {
    match &error {
        DeskError::Refused(Refusal::AlreadyClaimed { holder }) => {
            claimed(app, entered, *holder).await
        }
        DeskError::Refused(Refusal::Stale | Refusal::PreconditionFailed { .. }) => {
            match current(app, entered).await {
                Ok(ticket) => problem(error).member("current", serde_json::json!(ticket)),
                Err(failed) => failed,
            }
        }
        _ => problem(error),
    }
}

async fn claimed(app: &App, entered: &Entered, holder: PersonId) -> Problem {
    let names = Names { desk: &app.desk, tenant: &entered.caller.tenant };
    match names.person(holder).await {
        Ok(holder) => Problem::new(Code::AlreadyClaimed).member("holder", holder),
        Err(error) => problem(error),
    }
}
