//! A saga's vocabulary: how it may end, and what kind of failure a step may have.

pub mod payload;

use serde::{Deserialize, Serialize};

use crate::ticket::UnknownName;

/// How a saga ended.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every step was done.
    Done,
    /// A step failed for good, and what was done before it was undone.
    Undone,
    /// Somebody cancelled it, and what was done was undone.
    Cancelled,
}

impl Outcome {
    /// As it stands in events and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for Outcome {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::Done, Self::Undone, Self::Cancelled];
        all.into_iter().find(|outcome| outcome.as_str() == name).ok_or(UnknownName)
    }
}

/// Which way a step goes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It is done.
    Run,
    /// It is undone.
    Undo,
}

impl Direction {
    /// As it stands in events and in the keys of steps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Undo => "undo",
        }
    }
}

/// What kind of failure a step had.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// It will not go otherwise next time: what was done is undone at once.
    Business,
    /// It may go next time.
    Transient,
}
