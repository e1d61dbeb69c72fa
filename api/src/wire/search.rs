//! The wiring of the search index: a directory of the node's own.

use std::path::PathBuf;
use std::sync::Arc;

use docket_projections::told;
use docket_search::home::IndexHome;

use super::{Installation, WireError};

/// Threads that answer large questions, beside those that serve connections.
const QUESTION_THREADS_MAX: usize = 8;

impl Installation {
    /// Where the nodes of this installation keep their indexes, each in a directory named by its process.
    #[must_use]
    pub fn indexes(&self) -> PathBuf {
        self.index.clone().unwrap_or_else(|| self.data.join("index"))
    }
}

/// Opens the index of a process, named by the address at which it listens; blocks no thread while its files are checked.
///
/// # Errors
/// Naming what was wrong.
pub async fn search_index(
    installation: &Installation,
    process: &str,
) -> Result<Arc<IndexHome>, WireError> {
    let name: String =
        process.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let directory = installation.indexes().join(name);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(QUESTION_THREADS_MAX);
    let place = directory.display().to_string();
    let opened = tokio::task::spawn_blocking(move || IndexHome::open(&directory, threads)).await?;
    let home = opened
        .map_err(|error| format!("cannot use the search index at {place}: {}", told(&error)))?;
    Ok(Arc::new(home))
}
