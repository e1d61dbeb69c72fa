//! The two slots of tables: a version lives in one of them.

use docket_projections::store::StoreError;

use crate::failure::damaged;

/// One set of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// `ticket_a` and its like.
    A,
    /// `ticket_b` and its like.
    B,
}

impl Slot {
    pub(crate) fn parse(name: &str) -> Result<Self, StoreError> {
        match name {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            other => Err(damaged(format_args!("slot `{other}`"))),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// A statement on this slot's tables: `{slot}` in a text of ours becomes `a` or `b`.
    pub(crate) fn sql(self, template: &str) -> sqlx::AssertSqlSafe<String> {
        sqlx::AssertSqlSafe(template.replace("{slot}", self.name()))
    }
}
