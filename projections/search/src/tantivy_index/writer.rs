//! The one writer of an index: takes documents, and makes them durable together with how far they bring it.

use std::path::PathBuf;

use docket_engine::cursor::{Cursor, Positions};
use tantivy::query::AllQuery;
use tantivy::{IndexWriter, TantivyError, Term};

use super::directory::{Opened, Payload, anew, failed, look, open};
use super::documents::{message_document, ticket_document};
use super::merging::EvenSegments;
use super::schema::Fields;
use crate::document::{Extent, TicketWrite};
use crate::port::{IndexError, Writes};

/// Memory of documents that are not on the disk yet, in bytes.
pub const WRITER_MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// Threads that take documents in. One: a commit is one segment, and questions have the other cores.
const WRITER_THREADS: usize = 1;
/// Tries to clean up files that a question still reads.
const COLLECT_TRIES_MAX: u32 = 3;

/// The writer with what it has taken since the last commit.
pub(super) struct Writer {
    directory: PathBuf,
    opened: Opened,
    writer: Option<IndexWriter>,
    /// How far the index is once everything taken is committed; none for an empty one.
    taken: Option<Cursor>,
    dirty: bool,
}

impl Writer {
    /// Opens the index in a directory.
    pub(super) fn open(directory: PathBuf) -> Result<Self, IndexError> {
        let opened = open(&directory)?;
        let mut writer =
            Self { directory, taken: opened.cursor.clone(), opened, writer: None, dirty: false };
        writer.writer()?;
        Ok(writer)
    }

    /// Opens the index in a directory as it is; whoever writes it goes on. The first write takes the directory, and fails
    /// while another process has it.
    pub(super) fn look(directory: PathBuf) -> Result<Self, IndexError> {
        let opened = look(&directory)?;
        Ok(Self { directory, taken: opened.cursor.clone(), opened, writer: None, dirty: false })
    }

    /// The index that it writes.
    pub(super) const fn opened(&self) -> &Opened {
        &self.opened
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, IndexError> {
        if self.writer.is_none() {
            let writer: IndexWriter = self
                .opened
                .index
                .writer_with_num_threads(WRITER_THREADS, WRITER_MEMORY_BYTES)
                .map_err(|error| self.unusable(error))?;
            writer.set_merge_policy(Box::new(EvenSegments::new()));
            self.writer = Some(writer);
        }
        Ok(self.writer.as_mut().expect("it was made above"))
    }

    fn unusable(&self, error: TantivyError) -> IndexError {
        match error {
            TantivyError::LockFailure(..) => IndexError::Failed(
                format!("another process uses the index in {}", self.directory.display()).into(),
            ),
            error => failed(error),
        }
    }

    /// Takes a batch. After an error everything since the last commit is forgotten.
    pub(super) fn write(&mut self, writes: &Writes) -> Result<(), IndexError> {
        let fields = self.opened.fields;
        let writer = self.writer()?;
        for write in &writes.tickets {
            if let Err(error) = take(fields, writer, write) {
                self.forget()?;
                return Err(failed(error));
            }
        }
        for place in &writes.forgotten {
            writer.delete_term(Term::from_field_u64(fields.ticket, place.number()));
        }
        let mut positions = self.taken.as_ref().map_or(Positions::START, |taken| taken.positions);
        for (partition, position) in writes.upto.iter() {
            positions.advance(partition, position);
        }
        self.taken = Some(Cursor { incarnation: writes.incarnation.clone(), positions });
        self.dirty = true;
        Ok(())
    }

    /// Makes everything taken durable; answers how far that is, and whether there was anything.
    pub(super) fn commit(&mut self) -> Result<(Option<Cursor>, bool), IndexError> {
        let Some(taken) = self.taken.clone().filter(|_| self.dirty) else {
            return Ok((self.taken.clone(), false));
        };
        let payload = Payload::of(&taken).to_text();
        if let Err(error) = self.make_durable(&payload) {
            self.forget()?;
            return Err(error);
        }
        self.dirty = false;
        Ok((Some(taken), true))
    }

    /// A rehearsal may have it fail before or after, or lose what was indexed.
    fn make_durable(&mut self, payload: &str) -> Result<(), IndexError> {
        if fault("index.before")? {
            self.writer()?.delete_query(Box::new(AllQuery)).map_err(failed)?;
        }
        let mut prepared = self.writer()?.prepare_commit().map_err(failed)?;
        prepared.set_payload(payload);
        prepared.commit().map_err(failed)?;
        fault("index.after").map(drop)
    }

    /// Goes back to the last commit.
    fn forget(&mut self) -> Result<(), IndexError> {
        self.writer = None;
        self.opened = open(&self.directory)?;
        self.taken = self.opened.cursor.clone();
        self.dirty = false;
        self.writer()?;
        Ok(())
    }

    /// Begins an empty index.
    pub(super) fn clear(&mut self) -> Result<(), IndexError> {
        self.writer = None;
        self.opened = anew(&self.directory)?;
        self.taken = None;
        self.dirty = false;
        self.writer()?;
        Ok(())
    }

    /// Writes every segment anew from which something was deleted.
    pub(super) fn merge_deleted(&mut self) -> Result<(), IndexError> {
        let metas = self.opened.index.searchable_segment_metas().map_err(failed)?;
        let holed: Vec<_> =
            metas.iter().filter(|meta| meta.has_deletes()).map(|meta| meta.id()).collect();
        if !holed.is_empty() {
            self.writer()?.merge(&holed).wait().map_err(failed)?;
        }
        Ok(())
    }

    /// Removes files that no commit and no question needs any more.
    pub(super) fn collect_garbage(&mut self) -> Result<(), IndexError> {
        for _ in 0..COLLECT_TRIES_MAX {
            let collected = self.writer()?.garbage_collect_files().wait().map_err(failed)?;
            if collected.failed_to_delete_files.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

fn take(fields: Fields, writer: &IndexWriter, write: &TicketWrite) -> tantivy::Result<()> {
    let place = write.ticket.place.number();
    match write.extent {
        Extent::New => {}
        Extent::Further => {
            writer.delete_term(Term::from_field_u64(fields.head, place));
        }
        Extent::Whole => {
            writer.delete_term(Term::from_field_u64(fields.ticket, place));
        }
    }
    writer.add_document(ticket_document(fields, &write.ticket))?;
    for message in &write.messages {
        writer.add_document(message_document(fields, &write.ticket, message))?;
    }
    Ok(())
}

/// Whether what is written is to be wrong.
fn fault(point: &'static str) -> Result<bool, IndexError> {
    docket_engine::faults::damages_at(point).map_err(|fault| IndexError::Failed(fault.into()))
}
