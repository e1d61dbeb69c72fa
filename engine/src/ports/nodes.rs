//! Nodes: who is at work on one log, and how far each one's own index has come.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::log::LogError;
use crate::cursor::Positions;

/// How often a node says that it lives.
pub const NODE_REPORT_EVERY: Duration = Duration::from_secs(1);

/// A node that has said nothing for so long is not waited for.
pub const NODE_GONE_AFTER: Duration = Duration::from_secs(10);

/// A node that has said nothing for so long is forgotten.
pub const NODE_FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A node as it last spoke of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNode {
    /// Which.
    pub id: Uuid,
    /// What its search index has reached.
    pub index: Positions,
}

/// The nodes of one log, by the clock of the database that they share.
#[async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// Says that a node lives, and how far its index has come.
    async fn report(&self, node: Uuid, index: &Positions) -> Result<(), LogError>;

    /// The nodes that have reported within this time, by id.
    async fn seen(&self, within: Duration) -> Result<Vec<SeenNode>, LogError>;

    /// Says that a node has ended.
    async fn leave(&self, node: Uuid) -> Result<(), LogError>;
}
