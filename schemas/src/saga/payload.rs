//! Event payloads of sagas, version 1: what was started, what each step came to, what operators did.
//!
//! The first row of a saga carries its start, the last its end, whatever their types are: a saga of four local steps is
//! four rows. No event holds anything personal, nor the position or hash of another.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Direction, Failure, Outcome};
use crate::payload::shape;
use crate::{PayloadError, Timestamp, canonical};

macro_rules! saga_events {
    ($($(#[$doc:meta])* $name:ident($data:ty) = $text:literal,)*) => {
        /// The type of a saga's event, as it stands in the log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SagaEvent {
            $($(#[$doc])* $name,)*
        }

        impl SagaEvent {
            /// Every type.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// As it stands in the log and in answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The type with this name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|event| event.as_str() == name)
            }
        }

        /// Any payload of a saga's event, of the newest version.
        #[derive(Debug, Clone, PartialEq)]
        pub enum SagaPayload {
            $($(#[$doc])* $name($data),)*
        }

        impl SagaPayload {
            /// Reads a payload that has already been brought to the newest version.
            ///
            /// # Errors
            /// When the JSON does not have the type's shape.
            pub fn read(event_type: SagaEvent, data: &str) -> Result<Self, PayloadError> {
                Ok(match event_type {
                    $(SagaEvent::$name => Self::$name(shape(event_type.as_str(), data)?),)*
                })
            }

            /// The payload's event type.
            #[must_use]
            pub const fn event_type(&self) -> SagaEvent {
                match self {
                    $(Self::$name(_) => SagaEvent::$name,)*
                }
            }

            /// Canonical JSON, as it is stored and committed to.
            #[must_use]
            pub fn to_json(&self) -> String {
                match self {
                    $(Self::$name(data) => canonical::json(data),)*
                }
            }
        }

        /// The JSON Schema of each payload, under the name that it is exported as.
        pub(crate) fn json_schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$((concat!($text, ".1.json"), schemars::schema_for!($data)),)*]
        }
    };
}

saga_events! {
    /// `saga.started`: it began, and no step was done with it.
    Started(Started) = "saga.started",
    /// `saga.step_started`: a step that leaves the log is about to be tried.
    StepStarted(StepStarted) = "saga.step_started",
    /// `saga.step_progressed`: a part of a step is done, more is to come.
    StepProgressed(StepProgressed) = "saga.step_progressed",
    /// `saga.step_succeeded`: a step is done; its effect stands in the same unit.
    StepSucceeded(StepSucceeded) = "saga.step_succeeded",
    /// `saga.step_failed`: a try of a step failed.
    StepFailed(StepFailed) = "saga.step_failed",
    /// `saga.undo_started`: an undo that leaves the log is about to be tried.
    UndoStarted(StepStarted) = "saga.undo_started",
    /// `saga.undo_progressed`: a part of an undo is done, more is to come.
    UndoProgressed(StepProgressed) = "saga.undo_progressed",
    /// `saga.step_undone`: a step is undone.
    StepUndone(StepSucceeded) = "saga.step_undone",
    /// `saga.undo_failed`: a try of an undo failed.
    UndoFailed(StepFailed) = "saga.undo_failed",
    /// `saga.parked`: it waits for an operator.
    Parked(Parked) = "saga.parked",
    /// `saga.resumed`: an operator has it try again.
    Resumed(Resumed) = "saga.resumed",
    /// `saga.skipped`: an operator has it go on without a step, or without its undo.
    Skipped(Skipped) = "saga.skipped",
    /// `saga.cancelled`: somebody has it undo what was done.
    Cancelled(Cancelled) = "saga.cancelled",
    /// `saga.stopped`: somebody has it end here, and keep what was done.
    Stopped(Cancelled) = "saga.stopped",
    /// `saga.undo_requested`: somebody has it undone after it was done.
    UndoRequested(Cancelled) = "saga.undo_requested",
    /// `saga.finished`: it ended, and nothing else was done with that.
    Finished(Finished) = "saga.finished",
    /// `saga.definition_paused`: no saga of a definition goes on.
    DefinitionPaused(DefinitionPaused) = "saga.definition_paused",
    /// `saga.definition_resumed`: they go on.
    DefinitionResumed(DefinitionResumed) = "saga.definition_resumed",
}

/// `saga.started`, and what the first row of a saga carries whatever its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Started {
    /// Which definition.
    pub definition: String,
    /// The definition's version, which the saga keeps.
    pub version: u16,
    /// What it is about, for whoever looks at it: such as a ticket's id.
    pub subject: String,
    /// What its steps go by.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
}

/// `saga.step_started`, `saga.undo_started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepStarted {
    /// The saga's start, where this is its first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Started>,
    /// Which step.
    pub step: String,
}

/// `saga.step_progressed`, `saga.undo_progressed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepProgressed {
    /// The saga's start, where this is its first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Started>,
    /// Which step.
    pub step: String,
    /// What the part came to.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
}

/// `saga.step_succeeded`, `saga.step_undone`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepSucceeded {
    /// The saga's start, where this is its first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Started>,
    /// Which step.
    pub step: String,
    /// What it came to.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// The saga's end, where this is its last row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Outcome>,
}

/// `saga.step_failed`, `saga.undo_failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepFailed {
    /// The saga's start, where this is its first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Started>,
    /// Which step.
    pub step: String,
    /// Whether another try may help.
    pub failure: Failure,
    /// What went wrong, without anything personal.
    pub error: String,
    /// When it is tried again; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// The saga's end, where this is its last row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Outcome>,
}

/// `saga.parked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Parked {
    /// The step that it stands at; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which way the step was to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Why it cannot go on by itself.
    pub reason: String,
}

/// `saga.resumed`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Resumed {
    /// Why, where somebody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `saga.skipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Skipped {
    /// The step that it goes on without.
    pub step: String,
    /// Which way the step was to go.
    pub direction: Direction,
    /// Why, as the operator says it.
    pub reason: String,
}

/// `saga.cancelled`, `saga.stopped`, `saga.undo_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cancelled {
    /// Why, where somebody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The saga's end, where this is its last row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Outcome>,
}

/// `saga.finished`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
}

/// `saga.definition_paused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DefinitionPaused {
    /// Which, whatever its version.
    pub definition: String,
    /// Why, where somebody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `saga.definition_resumed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DefinitionResumed {
    /// Which, whatever its version.
    pub definition: String,
    /// Why, where somebody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SagaPayload {
    /// The saga's start, where this row carries it.
    #[must_use]
    pub const fn start(&self) -> Option<&Started> {
        match self {
            Self::Started(start) => Some(start),
            Self::StepStarted(row) => row.start.as_ref(),
            Self::StepProgressed(row) => row.start.as_ref(),
            Self::StepSucceeded(row) => row.start.as_ref(),
            Self::StepFailed(row) => row.start.as_ref(),
            _ => None,
        }
    }

    /// The saga's end, where this row carries it.
    #[must_use]
    pub const fn end(&self) -> Option<Outcome> {
        match self {
            Self::Finished(row) => Some(row.outcome),
            Self::StepSucceeded(row) | Self::StepUndone(row) => row.end,
            Self::StepFailed(row) => row.end,
            Self::Cancelled(row) | Self::Stopped(row) => row.end,
            _ => None,
        }
    }

    /// Has the row carry the saga's start, if it is of a type that may.
    pub fn carry_start(&mut self, started: Started) {
        match self {
            Self::StepStarted(row) => row.start = Some(started),
            Self::StepProgressed(row) => row.start = Some(started),
            Self::StepSucceeded(row) => row.start = Some(started),
            Self::StepFailed(row) => row.start = Some(started),
            _ => {}
        }
    }

    /// Has the row carry the saga's end, if it is of a type that may.
    pub fn carry_end(&mut self, outcome: Outcome) {
        match self {
            Self::StepSucceeded(row) | Self::StepUndone(row) => row.end = Some(outcome),
            Self::StepFailed(row) => row.end = Some(outcome),
            Self::Cancelled(row) | Self::Stopped(row) => row.end = Some(outcome),
            _ => {}
        }
    }
}
