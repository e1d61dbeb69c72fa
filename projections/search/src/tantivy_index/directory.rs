//! The directory of an index: opened where it is one of ours and whole, else begun anew.

use std::fs;
use std::path::Path;

use docket_engine::cursor::Cursor;
use serde::{Deserialize, Serialize};
use tantivy::directory::error::LockError;
use tantivy::directory::{Directory as _, INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::{Index, IndexSettings};

use super::schema::{Fields, schema};
use super::tokenizer::register;
use crate::port::IndexError;
use crate::text::ANALYSIS_VERSION;

/// Changes with every change of the schema or of what its fields hold.
const FORMAT_VERSION: u32 = 4;

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    format: u32,
    analysis: u32,
    /// How far of the log it came.
    cursor: String,
}

impl Payload {
    /// The payload of a commit that came to `cursor`.
    pub(super) fn of(cursor: &Cursor) -> Self {
        let cursor = cursor.to_string();
        Self { format: FORMAT_VERSION, analysis: ANALYSIS_VERSION, cursor }
    }

    /// As Tantivy keeps it.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An index that can be read and written.
pub(super) struct Opened {
    pub(super) index: Index,
    pub(super) fields: Fields,
    /// How far its last commit came; none for a new one.
    pub(super) cursor: Option<Cursor>,
}

impl Opened {
    /// Whether nobody has committed anything since it was opened.
    pub(super) fn is_newest(&self) -> Result<bool, IndexError> {
        let now = committed(&self.index).map_err(IndexError::Damaged)?;
        Ok(now == self.cursor)
    }
}

/// Opens the index in a directory. One that is damaged or of another format is thrown away with a line in the log.
///
/// # Errors
/// When the directory cannot be made or written.
pub(super) fn open(directory: &Path) -> Result<Opened, IndexError> {
    fs::create_dir_all(directory).map_err(failed)?;
    if directory.join("meta.json").exists() {
        match standing(directory, Checked::Whole) {
            Ok(opened) => return Ok(opened),
            Err(reason) => {
                let directory = directory.display();
                tracing::warn!(%directory, %reason, "search.index.rebuilt: what it held cannot be used");
            }
        }
    }
    anew(directory)
}

/// Throws away what a directory holds and begins an empty index, unless somebody writes it: what looks damaged may be
/// another process's commit, or the index of another release that still serves.
pub(super) fn anew(directory: &Path) -> Result<Opened, IndexError> {
    let place = MmapDirectory::open(directory).map_err(failed)?;
    let _taken = place.acquire_lock(&INDEX_WRITER_LOCK).map_err(|error| match error {
        LockError::LockBusy => in_use(directory),
        error @ LockError::IoError(_) => failed(error),
    })?;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_ours(&path) {
            fs::remove_file(path).map_err(failed)?;
        }
    }
    let (schema, fields) = schema();
    let index = Index::create(place, schema, IndexSettings::default()).map_err(failed)?;
    register(index.tokenizers());
    Ok(Opened { index, fields, cursor: None })
}

/// Files that an index makes; whatever else lies in the directory stays, and so do the locks.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    let segment = stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = matches!(&*name, "meta.json" | ".managed.json") || name.starts_with(".tmp");
    path.is_file() && (segment || named)
}

/// How much of an index is looked at when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    /// Every file, byte by byte.
    Whole,
    /// What its parts say of themselves: another process may write it meanwhile.
    Heads,
}

/// Opens the index in a directory as it is, without making or mending anything.
///
/// # Errors
/// [`IndexError::Damaged`] when there is none that can be used.
pub(super) fn look(directory: &Path) -> Result<Opened, IndexError> {
    standing(directory, Checked::Heads).map_err(IndexError::Damaged)
}

fn standing(directory: &Path, checked: Checked) -> Result<Opened, String> {
    let text = |error: tantivy::TantivyError| error.to_string();
    let index = Index::open_in_dir(directory).map_err(text)?;
    let (schema, fields) = schema();
    if index.schema() != schema {
        return Err("it has another schema".to_owned());
    }
    if checked == Checked::Whole {
        let damaged = index.validate_checksum().map_err(text)?;
        if let Some(file) = damaged.into_iter().next() {
            return Err(format!("{} is damaged", file.display()));
        }
    }
    register(index.tokenizers());
    let cursor = committed(&index)?;
    Ok(Opened { index, fields, cursor })
}

/// How far the last commit of an index came; none for a new one.
fn committed(index: &Index) -> Result<Option<Cursor>, String> {
    let metas = index.load_metas().map_err(|error| error.to_string())?;
    let Some(payload) = metas.payload else { return Ok(None) };
    let payload: Payload =
        serde_json::from_str(&payload).map_err(|_| "its commit is not ours".to_owned())?;
    if (payload.format, payload.analysis) != (FORMAT_VERSION, ANALYSIS_VERSION) {
        return Err("it was written by another version".to_owned());
    }
    payload.cursor.parse().map(Some).map_err(|_| "its commit names no place".to_owned())
}

/// Somebody else writes the index in a directory.
pub(super) fn in_use(directory: &Path) -> IndexError {
    let directory = directory.display();
    IndexError::Failed(format!("another process uses the index in {directory}").into())
}

/// A failure of the disk or of Tantivy, to be tried again.
pub(super) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> IndexError {
    IndexError::Failed(Box::new(error))
}
