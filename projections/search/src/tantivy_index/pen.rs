//! The pen: the one thread that writes an index, at a lower priority than those who serve callers.
//!
//! What is written to the index is visible a second later anyway; a message waits for the log alone. Tantivy's own threads
//! begin on this one and have its priority.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::directory::failed;
use crate::port::IndexError;

/// Writes that wait for the one before them. Whoever feeds the index waits for each.
const WAITING_MAX: usize = 8;

/// How far below other threads' its priority is (`nice`): where all processors are busy it gets a tenth of one's turn.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Hands work to the thread; it ends with the last of these.
#[derive(Clone)]
pub(super) struct Pen {
    jobs: mpsc::Sender<Job>,
}

impl Pen {
    /// Begins a thread in which `open` makes what is to be written.
    pub(super) fn begin<T: Send + 'static>(
        open: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
    ) -> Result<(Self, T), IndexError> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING_MAX);
        let (opened, opening) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("docket-index".to_owned());
        let writing = move || {
            yield_to_others();
            let _ = opened.send(open());
            while let Some(job) = waiting.blocking_recv() {
                job();
            }
        };
        thread.spawn(writing).map_err(failed)?;
        let opened = opening.recv().map_err(failed)?;
        Ok((Self { jobs }, opened?))
    }

    /// Does something in the thread; it must not panic.
    pub(super) async fn write<R: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        work: impl FnOnce(&Shared) -> Result<R, IndexError> + Send + 'static,
    ) -> Result<R, IndexError> {
        let (done, answer) = oneshot::channel();
        let shared = Arc::clone(shared);
        let job = move || {
            let worked = work(&shared);
            // Before the answer: whoever then closes the index and opens it again finds nobody in it.
            drop(shared);
            let _ = done.send(worked);
        };
        let gone = || IndexError::Failed("the index is closed".into());
        self.jobs.send(Box::new(job)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Elsewhere than on Linux a priority is the whole process's.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "search.index.priority_kept");
    }
}
