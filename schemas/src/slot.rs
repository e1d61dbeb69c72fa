//! Slots: what only one may hold, decided in the same transaction as the event that asks for it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::TicketId;

/// The name of something exclusive within a tenant, such as `claim/<ticket>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotKey(Arc<str>);

impl SlotKey {
    /// Who holds a ticket.
    #[must_use]
    pub fn claim(ticket: TicketId) -> Self {
        Self(format!("claim/{ticket}").into())
    }

    /// Which way a ticket merges: held by a source from the request until it is unmerged, by a target while a merge or
    /// an unmerge is under way.
    #[must_use]
    pub fn merge(ticket: TicketId) -> Self {
        Self(format!("merge/{ticket}").into())
    }

    /// A key as it was stored.
    #[must_use]
    pub fn stored(key: &str) -> Self {
        Self(key.into())
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One step on a slot. A unit's steps apply together or not at all, in the order of the rows and of each row's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotOp {
    /// Hold a free slot; a held one refuses the unit and names its holder.
    Take(SlotKey),
    /// Let a held slot go; a free one refuses the unit.
    Release(SlotKey),
}

impl SlotOp {
    /// The slot that this step is about.
    #[must_use]
    pub const fn key(&self) -> &SlotKey {
        match self {
            Self::Take(key) | Self::Release(key) => key,
        }
    }
}
