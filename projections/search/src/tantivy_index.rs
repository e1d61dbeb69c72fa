//! The search index on Tantivy, in a directory of one node.

mod answer;
mod coded;
mod directory;
mod documents;
mod evaluate;
mod facts;
mod heads;
mod matched;
mod merging;
mod ordinals;
mod pass;
mod pen;
mod relevance;
mod schema;
mod shard;
mod standing;
mod statistics;
#[cfg(test)]
mod tests;
mod text_query;
mod ticket_set;
mod tokenizer;
mod top;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::{Cursor, Positions};
use parking_lot::{Mutex, RwLock};
use tantivy::{Executor, IndexReader, ReloadPolicy};
use tokio::sync::Semaphore;

use crate::document::TicketWrite;
use crate::port::{Digest, Found, IndexError, Question, SearchIndex, Standing, Writes};
use directory::failed;
use heads::HeadTables;
use pen::Pen;
use schema::Fields;
pub use writer::WRITER_MEMORY_BYTES;
use writer::Writer;

/// Questions that are answered at once; each may use every core.
const QUESTIONS_AT_ONCE_MAX: usize = 4;
/// Questions that wait for their turn; beyond it callers are told to come back.
const QUESTIONS_WAITING_MAX: usize = 256;

/// How often an index is looked at again that another process has committed to meanwhile.
const LOOKS_MAX: usize = 20;

/// A search index in a directory.
#[derive(Clone)]
pub struct TantivyIndex {
    shared: Arc<Shared>,
    pen: Pen,
}

struct Shared {
    writer: Mutex<Writer>,
    readable: RwLock<Readable>,
    executor: Executor,
    heads: HeadTables,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// What questions are answered from.
#[derive(Clone)]
struct Readable {
    reader: IndexReader,
    fields: Fields,
    cursor: Option<Cursor>,
    /// See [`Writer::reopened`].
    reopened: u32,
}

impl Readable {
    fn of(writer: &Writer) -> Result<Self, IndexError> {
        let opened = writer.opened();
        let reader = opened.index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = reader.try_into().map_err(failed)?;
        let (cursor, reopened) = (opened.cursor.clone(), writer.reopened());
        Ok(Self { reader, fields: opened.fields, cursor, reopened })
    }

    /// Goes on to the writer's last commit.
    fn show(&mut self, writer: &Writer) -> Result<(), IndexError> {
        if self.reopened == writer.reopened() {
            self.reader.reload().map_err(failed)?;
            self.cursor.clone_from(&writer.opened().cursor);
        } else {
            *self = Self::of(writer)?;
        }
        Ok(())
    }

    fn positions(&self) -> Positions {
        self.cursor.as_ref().map_or(Positions::START, |cursor| cursor.positions)
    }
}

impl std::fmt::Debug for TantivyIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TantivyIndex")
    }
}

impl TantivyIndex {
    /// Opens the index in a directory, or begins one; what is damaged or of another format is begun anew. `threads`
    /// answer large questions. Blocks while files are checked.
    ///
    /// # Errors
    /// When the directory cannot be written, or another process has it open.
    pub fn open(directory: &Path, threads: usize) -> Result<Self, IndexError> {
        let directory = directory.to_path_buf();
        let (pen, writer) = Pen::begin(move || Writer::open(directory))?;
        let readable = Readable::of(&writer)?;
        Self::with((pen, writer), readable, threads)
    }

    /// Opens the index in a directory as it is, also while another process writes it: for those who compare it with the
    /// log. Nothing is made or mended, and a write fails while the other process is there.
    ///
    /// # Errors
    /// When there is no index that can be used.
    pub fn look(directory: &Path) -> Result<Self, IndexError> {
        for _ in 0..LOOKS_MAX {
            let directory = directory.to_path_buf();
            let (pen, writer) = Pen::begin(move || Writer::look(directory))?;
            let readable = Readable::of(&writer)?;
            // Else what is read may be of a commit that came in between, and say more than the place.
            if writer.opened().is_newest()? {
                return Self::with((pen, writer), readable, 1);
            }
        }
        Err(IndexError::Failed("another process commits too often to look at it".into()))
    }

    fn with(
        (pen, writer): (Pen, Writer),
        readable: Readable,
        threads: usize,
    ) -> Result<Self, IndexError> {
        let executor = if threads > 1 {
            Executor::multi_thread(threads, "docket-search-").map_err(failed)?
        } else {
            Executor::single_thread()
        };
        let heads = HeadTables::default();
        heads.keep(&readable.reader.searcher()).map_err(failed)?;
        let shared = Shared {
            writer: Mutex::new(writer),
            readable: RwLock::new(readable),
            executor,
            heads,
            turns: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE_MAX)),
            waiting: Arc::new(Semaphore::new(QUESTIONS_WAITING_MAX)),
        };
        Ok(Self { shared: Arc::new(shared), pen })
    }

    /// Looks at something that takes a while, off the threads that serve connections.
    async fn block<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<R, IndexError> + Send + 'static,
    ) -> Result<R, IndexError> {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(done) => done,
            // Tantivy panics on files whose content contradicts itself.
            Err(error) => Err(IndexError::Damaged(error.to_string())),
        }
    }
}

impl Shared {
    /// Does something with the writer. Tantivy panics on files whose content contradicts itself: all that was taken since the
    /// last commit is lost then, for how much of it the writer has is not known.
    fn writing<R>(
        &self,
        work: impl FnOnce(&Self, &mut Writer) -> Result<R, IndexError>,
    ) -> Result<R, IndexError> {
        let mut writer = self.writer.lock();
        let worked = catch_unwind(AssertUnwindSafe(|| work(self, &mut writer)));
        worked.unwrap_or_else(|_| {
            writer.forget();
            Err(IndexError::Damaged("it contradicts itself".to_owned()))
        })
    }

    fn commit(&self, writer: &mut Writer) -> Result<Positions, IndexError> {
        let committed = writer.commit();
        // Also where it failed: how far the index is, is what the disk says.
        self.show(writer)?;
        committed?;
        Ok(self.readable.read().positions())
    }

    /// Has questions answered from what the disk holds.
    fn show(&self, writer: &mut Writer) -> Result<(), IndexError> {
        writer.recover()?;
        if writer.is_unshown() {
            let mut readable = self.readable.write();
            readable.show(writer)?;
            self.heads.keep(&readable.reader.searcher()).map_err(failed)?;
            writer.shown();
        }
        Ok(())
    }
}

#[async_trait]
impl SearchIndex for TantivyIndex {
    async fn search(&self, question: Question) -> Result<Found, IndexError> {
        let Ok(waiting) = Arc::clone(&self.shared.waiting).try_acquire_owned() else {
            return Err(IndexError::Overloaded);
        };
        let turn = Arc::clone(&self.shared.turns).acquire_owned().await;
        self.block(move |shared| {
            // Until it is answered, also where nobody waits for the answer any more.
            let _held = (waiting, turn);
            let (searcher, fields, positions) = {
                let readable = shared.readable.read();
                (readable.reader.searcher(), readable.fields, readable.positions())
            };
            let (executor, heads) = (&shared.executor, &shared.heads);
            answer::answer((&searcher, executor, heads), fields, &question, positions)
                .map_err(failed)
        })
        .await
    }

    async fn write(&self, writes: Writes) -> Result<(), IndexError> {
        let work = move |shared: &Shared, writer: &mut Writer| {
            let written = writer.write(&writes);
            if written.is_err() {
                shared.show(writer)?;
            }
            written
        };
        self.pen.write(&self.shared, move |shared| shared.writing(work)).await
    }

    async fn commit(&self) -> Result<Positions, IndexError> {
        self.pen.write(&self.shared, |shared| shared.writing(Shared::commit)).await
    }

    fn standing(&self) -> Option<Cursor> {
        self.shared.readable.read().cursor.clone()
    }

    async fn standings(&self) -> Result<(Positions, Vec<Standing>), IndexError> {
        self.block(|shared| {
            let (searcher, positions) = {
                let readable = shared.readable.read();
                (readable.reader.searcher(), readable.positions())
            };
            Ok((positions, standing::standings(&searcher).map_err(failed)?))
        })
        .await
    }

    fn digest(&self, write: &TicketWrite) -> Digest {
        standing::digest(write)
    }

    async fn clear(&self) -> Result<(), IndexError> {
        let work = |shared: &Shared, writer: &mut Writer| {
            writer.clear()?;
            shared.show(writer)
        };
        self.pen.write(&self.shared, move |shared| shared.writing(work)).await
    }

    async fn purge(&self) -> Result<(), IndexError> {
        let work = |shared: &Shared, writer: &mut Writer| {
            shared.commit(writer)?;
            writer.merge_deleted()?;
            shared.readable.read().reader.reload().map_err(failed)?;
            writer.collect_garbage()
        };
        self.pen.write(&self.shared, move |shared| shared.writing(work)).await
    }
}
