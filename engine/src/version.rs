//! Version tokens: the heads of a causally closed set of changes as one opaque string.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::graph::{ChangeGraph, HEAD_BYTES, NodeIndex, UnknownHead, head_name};

/// Most heads of one version; a region joins more by an empty change.
pub const VERSION_HEADS_MAX: usize = 64;

/// The heads of a set of changes, sorted, 16 bytes of each hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Vec<[u8; HEAD_BYTES]>);

/// A text that is no version token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version that Docket issued")]
pub struct VersionError;

impl Version {
    /// The version whose heads are these changes.
    #[must_use]
    pub fn of(graph: &ChangeGraph, heads: &[NodeIndex]) -> Self {
        let mut names: Vec<_> =
            heads.iter().map(|&head| head_name(&graph.nodes()[head].hash)).collect();
        names.sort_unstable();
        Self(names)
    }

    /// The version of one change: its causes and itself.
    #[must_use]
    pub fn of_change(hash: &docket_schemas::ChangeHash) -> Self {
        Self(vec![head_name(hash)])
    }

    /// The changes that are its heads.
    ///
    /// # Errors
    /// When one is no change of this ticket, or one had seen another: never issued for it.
    pub fn heads(&self, graph: &ChangeGraph) -> Result<Vec<NodeIndex>, UnknownHead> {
        let heads = self
            .0
            .iter()
            .map(|name| graph.index_of(name).ok_or(UnknownHead))
            .collect::<Result<Vec<_>, _>>()?;
        if graph.minimal(&heads).len() == heads.len() { Ok(heads) } else { Err(UnknownHead) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_flattened()))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        // Longer texts cannot be versions; refusing them first keeps the work bounded.
        if text.len() > VERSION_HEADS_MAX * HEAD_BYTES * 2 {
            return Err(VersionError);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| VersionError)?;
        let (heads, rest) = bytes.as_chunks::<HEAD_BYTES>();
        let sorted = heads.windows(2).all(|pair| pair[0] < pair[1]);
        if heads.is_empty() || !rest.is_empty() || heads.len() > VERSION_HEADS_MAX || !sorted {
            return Err(VersionError);
        }
        Ok(Self(heads.to_vec()))
    }
}
