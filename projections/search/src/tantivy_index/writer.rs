//! The one writer of an index: takes documents, and makes them durable together with how far they bring it.

use std::path::PathBuf;

use docket_engine::cursor::{Cursor, Positions};
use tantivy::query::AllQuery;
use tantivy::{IndexWriter, TantivyError, Term};

use super::directory::{Opened, Payload, anew, failed, in_use, look, open};
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
    /// What was taken since the last commit is lost, and the index has to be opened again.
    lost: bool,
    /// The disk holds what no question is answered from yet.
    unshown: bool,
    /// How often the index was opened again.
    reopened: u32,
}

impl Writer {
    /// Opens the index in a directory.
    pub(super) fn open(directory: PathBuf) -> Result<Self, IndexError> {
        let opened = open(&directory)?;
        let mut writer = Self::of(directory, opened);
        writer.writer()?;
        Ok(writer)
    }

    /// Opens the index in a directory as it is; whoever writes it goes on. The first write takes the directory, and fails
    /// while another process has it.
    pub(super) fn look(directory: PathBuf) -> Result<Self, IndexError> {
        let opened = look(&directory)?;
        Ok(Self::of(directory, opened))
    }

    fn of(directory: PathBuf, opened: Opened) -> Self {
        let (taken, writer) = (opened.cursor.clone(), None);
        Self {
            directory,
            opened,
            writer,
            taken,
            dirty: false,
            lost: false,
            unshown: false,
            reopened: 0,
        }
    }

    /// The index that it writes.
    pub(super) const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// How often the index was opened again: what was read from the one before says nothing of it.
    pub(super) const fn reopened(&self) -> u32 {
        self.reopened
    }

    /// Whether the disk holds what no question is answered from yet.
    pub(super) const fn is_unshown(&self) -> bool {
        self.unshown
    }

    /// Questions are answered from what the disk holds.
    pub(super) const fn shown(&mut self) {
        self.unshown = false;
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, IndexError> {
        if self.lost {
            let opened = open(&self.directory)?;
            self.reopen(opened);
        }
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

    fn reopen(&mut self, opened: Opened) {
        self.taken.clone_from(&opened.cursor);
        self.opened = opened;
        self.reopened = self.reopened.wrapping_add(1);
        (self.lost, self.unshown) = (false, true);
    }

    fn unusable(&self, error: TantivyError) -> IndexError {
        match error {
            TantivyError::LockFailure(..) => in_use(&self.directory),
            error => failed(error),
        }
    }

    /// Takes a batch. After an error everything since the last commit is forgotten.
    pub(super) fn write(&mut self, writes: &Writes) -> Result<(), IndexError> {
        if self.lost {
            return Err(IndexError::Failed("it is being set back to its last commit".into()));
        }
        let fields = self.opened.fields;
        let writer = self.writer()?;
        for write in &writes.tickets {
            if let Err(error) = take(fields, writer, write) {
                self.forget();
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

    /// Makes everything taken durable, if there is anything. After an error everything since the last commit is forgotten,
    /// and the last commit may well be this one.
    pub(super) fn commit(&mut self) -> Result<(), IndexError> {
        let Some(taken) = self.taken.clone().filter(|_| self.dirty) else { return Ok(()) };
        let payload = Payload::of(&taken).to_text();
        if let Err(error) = self.make_durable(&payload) {
            self.forget();
            return Err(error);
        }
        self.opened.cursor = Some(taken);
        (self.dirty, self.unshown) = (false, true);
        Ok(())
    }

    /// Opens the index again if what was taken is lost: what the disk then holds is its last commit.
    pub(super) fn recover(&mut self) -> Result<(), IndexError> {
        if self.lost { self.writer().map(drop) } else { Ok(()) }
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

    /// Goes back to the last commit, which is opened by whoever comes next.
    pub(super) fn forget(&mut self) {
        (self.writer, self.taken) = (None, None);
        (self.dirty, self.lost) = (false, true);
    }

    /// Begins an empty index.
    pub(super) fn clear(&mut self) -> Result<(), IndexError> {
        self.forget();
        let opened = anew(&self.directory)?;
        self.reopen(opened);
        self.writer().map(drop)
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
