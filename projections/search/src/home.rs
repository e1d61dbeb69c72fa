//! The home of a node's index: the one that answers, and while it is rebuilt the next one beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use docket_engine::cursor::{Cursor, Positions};
use parking_lot::RwLock;
use uuid::Uuid;

use crate::document::TicketWrite;
use crate::port::{Digest, Found, IndexError, Question, SearchIndex, Standing, Writes};
use crate::tantivy_index::TantivyIndex;

/// The file that names the directory of the index that answers.
const CURRENT: &str = "current";
/// The file that names the node.
const NODE: &str = "node";
/// The index of a new home.
const FIRST: u32 = 1;

/// A directory with an index in it, which is switched to another in one step.
pub struct IndexHome {
    directory: PathBuf,
    threads: usize,
    current: RwLock<Numbered>,
}

#[derive(Clone)]
struct Numbered {
    number: u32,
    index: Arc<TantivyIndex>,
    /// The one before it, where it can be gone back to.
    previous: Option<u32>,
}

/// An index that does not answer yet.
pub struct Next {
    number: u32,
    /// The index.
    pub index: Arc<TantivyIndex>,
}

impl IndexHome {
    /// Opens the home in a directory, or begins one; `threads` answer large questions. Blocks while files are checked.
    ///
    /// # Errors
    /// When the directory cannot be written, or another process has it open.
    pub fn open(directory: &Path, threads: usize) -> Result<Self, IndexError> {
        fs::create_dir_all(directory).map_err(failed)?;
        let number = answering(directory);
        let index = Arc::new(TantivyIndex::open(&place(directory, number), threads)?);
        // A later number is that of a rebuild that was not ended.
        let previous = numbers(directory)?.into_iter().filter(|other| *other < number).max();
        let current = RwLock::new(Numbered { number, index, previous });
        Ok(Self { directory: directory.to_path_buf(), threads, current })
    }

    /// Opens the home in a directory as it is, also while another process writes it, as [`TantivyIndex::look`] does.
    ///
    /// # Errors
    /// When there is no index that can be used.
    pub fn look(directory: &Path) -> Result<Self, IndexError> {
        let number = answering(directory);
        let index = Arc::new(TantivyIndex::look(&place(directory, number))?);
        let current = RwLock::new(Numbered { number, index, previous: None });
        Ok(Self { directory: directory.to_path_buf(), threads: 1, current })
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The node whose index it is; `new` is its name when it has none yet. A node that comes back after a crash is the same
    /// one, and nobody waits for the one that was killed.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub fn node(&self, new: Uuid) -> Result<Uuid, IndexError> {
        let path = self.directory.join(NODE);
        if let Ok(text) = fs::read_to_string(&path)
            && let Ok(node) = text.trim().parse()
        {
            return Ok(node);
        }
        fs::write(path, new.to_string()).map_err(failed)?;
        Ok(new)
    }

    /// The number of the index that answers.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.current.read().number
    }

    /// Begins an empty index beside the one that answers. Every other one is removed.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub async fn begin(&self) -> Result<Next, IndexError> {
        let number = {
            let mut current = self.current.write();
            current.previous = None;
            current.number
        };
        let (directory, threads) = (self.directory.clone(), self.threads);
        let begun = tokio::task::spawn_blocking(move || {
            remove_others(&directory, number)?;
            let next = number.wrapping_add(1).max(FIRST);
            let index = Arc::new(TantivyIndex::open(&place(&directory, next), threads)?);
            Ok(Next { number: next, index })
        });
        begun.await.map_err(failed)?
    }

    /// Answers from `next` from now on, also after a restart. The one before it is kept.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn switch(&self, next: Next) -> Result<(), IndexError> {
        let mut current = self.current.write();
        self.name(next.number)?;
        let previous = Some(current.number);
        *current = Numbered { number: next.number, index: next.index, previous };
        Ok(())
    }

    /// The index before the last switch; none where there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn previous(&self) -> Result<Option<Next>, IndexError> {
        let Some(number) = self.current.write().previous.take() else { return Ok(None) };
        let (directory, threads) = (place(&self.directory, number), self.threads);
        let opened = tokio::task::spawn_blocking(move || TantivyIndex::open(&directory, threads));
        let index = Arc::new(opened.await.map_err(failed)??);
        Ok(Some(Next { number, index }))
    }

    /// Names the index that answers, in one step.
    fn name(&self, number: u32) -> Result<(), IndexError> {
        let path = self.directory.join(CURRENT);
        let new = self.directory.join(format!("{CURRENT}.new"));
        let written = fs::write(&new, number.to_string()).and_then(|()| {
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, &path)?;
            fs::File::open(&self.directory)?.sync_all()
        });
        written.map_err(failed)
    }

    fn index(&self) -> Arc<TantivyIndex> {
        Arc::clone(&self.current.read().index)
    }
}

/// The number of the index that answers.
fn answering(directory: &Path) -> u32 {
    let named = fs::read_to_string(directory.join(CURRENT));
    named.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(FIRST)
}

fn place(directory: &Path, number: u32) -> PathBuf {
    directory.join(number.to_string())
}

/// The numbers of the indexes that lie there; whatever else does is no concern of a home.
fn numbers(directory: &Path) -> Result<Vec<u32>, IndexError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path.file_name().unwrap_or_default().to_string_lossy().parse::<u32>();
        numbers.extend(number.ok().filter(|_| path.is_dir()));
    }
    Ok(numbers)
}

/// Removes every index but one.
fn remove_others(directory: &Path, kept: u32) -> Result<(), IndexError> {
    for number in numbers(directory)?.into_iter().filter(|number| *number != kept) {
        fs::remove_dir_all(place(directory, number)).map_err(failed)?;
    }
    Ok(())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> IndexError {
    IndexError::Failed(Box::new(error))
}

#[async_trait]
impl SearchIndex for IndexHome {
    async fn search(&self, question: Question) -> Result<Found, IndexError> {
        self.index().search(question).await
    }

    async fn write(&self, writes: Writes) -> Result<(), IndexError> {
        self.index().write(writes).await
    }

    async fn commit(&self) -> Result<Positions, IndexError> {
        self.index().commit().await
    }

    fn standing(&self) -> Option<Cursor> {
        self.index().standing()
    }

    async fn standings(&self) -> Result<(Positions, Vec<Standing>), IndexError> {
        self.index().standings().await
    }

    fn digest(&self, write: &TicketWrite) -> Digest {
        self.index().digest(write)
    }

    async fn clear(&self) -> Result<(), IndexError> {
        self.index().clear().await
    }

    async fn purge(&self) -> Result<(), IndexError> {
        self.index().purge().await
    }
}
