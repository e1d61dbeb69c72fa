//! Lanes: on which actor a write goes, so that every actor's changes are a chain.

use docket_schemas::{ActorId, ChangeHash};

use crate::actor::{LANES_PER_WRITER_MAX, Writer};
use crate::genesis::GENESIS_MAX_OP;
use crate::graph::{ChangeGraph, NodeIndex, Past};

/// Where a change goes and what it is made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The writer's lane.
    pub actor: ActorId,
    /// The lane's last sequence number plus 1.
    pub seq: u64,
    /// The minimal heads of what its author had seen and the lane's own past; empty stands for the genesis.
    pub deps: Vec<NodeIndex>,
    /// All that it has seen.
    pub past: Past,
}

/// A writer has knowingly diverged from itself more than [`LANES_PER_WRITER_MAX`] times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyForks;

impl Placement {
    /// The hashes of the causes, sorted.
    #[must_use]
    pub fn dep_hashes(&self, graph: &ChangeGraph, genesis: ChangeHash) -> Vec<ChangeHash> {
        if self.deps.is_empty() {
            return vec![genesis];
        }
        let mut hashes: Vec<_> = self.deps.iter().map(|&dep| graph.nodes()[dep].hash).collect();
        hashes.sort_unstable();
        hashes
    }

    /// The highest op counter among the causes.
    #[must_use]
    pub fn deps_max_op(&self, graph: &ChangeGraph) -> u64 {
        self.deps.iter().map(|&dep| graph.nodes()[dep].max_op).max().unwrap_or(GENESIS_MAX_OP)
    }
}

/// Places a write of `writer` that had seen the set with heads `observed`: on the first lane whose last change has
/// seen nothing of others that is not in that set, or else on a new one.
///
/// # Errors
/// When a new lane would be the 33rd.
pub fn place(
    graph: &ChangeGraph,
    writer: &Writer,
    observed: &[NodeIndex],
) -> Result<Placement, TooManyForks> {
    let seen = graph.past_of(observed);
    for lane in 0..LANES_PER_WRITER_MAX {
        let actor = writer.actor(lane);
        let Some(last) = graph.last_of(&actor) else {
            return Ok(Placement { actor, seq: 1, deps: graph.minimal(observed), past: seen });
        };
        let foreign = graph.actors_beyond(graph.past(last), &seen).any(|actor| !writer.owns(actor));
        if foreign {
            continue;
        }
        let mut causes = observed.to_vec();
        causes.push(last);
        let mut past = seen;
        past.join(graph.past(last));
        let seq = graph.nodes()[last].seq + 1;
        return Ok(Placement { actor, seq, deps: graph.minimal(&causes), past });
    }
    Err(TooManyForks)
}
