//! Importing: a file becomes tickets and events, each written once however often the import runs.
//!
//! A reader turns rows into steps, in file order and without asking the log; lanes do the steps, one ticket always on
//! the same lane. Every step's command id derives from the file, so a run that was cut off is simply started again.

mod admission;
mod bad_row;
mod cells;
mod exported;
mod incident_log;
mod lanes;
mod lines;
mod mapping;
mod progress;
mod records;
mod rehearsal;
mod saga_rows;
mod scribe;
mod sheet;
mod standing;
mod step;
mod tally;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use docket_engine::desk::{Desk, DeskError};
use docket_schemas::Tenant;

pub use mapping::{ColumnMapping, Field, MappingError};
pub use progress::{Progress, StandardError};
pub use tally::Summary;

use bad_row::BadRow;
use exported::Exported;
use incident_log::IncidentLog;
use lanes::Lanes;
use lines::Lines;
use rehearsal::Rehearsal;
use saga_rows::{SagaRows, SagaStep};
use scribe::Scribe;
use sheet::Sheet;
use step::Step;
use tally::Tally;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An incident event log of ServiceNow: a row per update
    ServicenowCsv,
    /// A ticket a row, its columns named by --map
    Csv,
    /// What `docket export` prints: an event a line
    Ndjson,
}

/// What bad rows do to an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRows {
    /// They are reported and left out.
    Skip,
    /// The whole file is checked first, and nothing is written when there is one.
    Refuse,
}

/// What is to be imported, and how.
#[derive(Debug, Clone)]
pub struct Import {
    /// The file.
    pub file: PathBuf,
    /// What it holds.
    pub format: Format,
    /// Which column holds which field; for [`Format::Csv`] alone.
    pub columns: Vec<ColumnMapping>,
    /// Whose the tickets become, whatever tenant an export names.
    pub tenant: Tenant,
    /// What bad rows do.
    pub bad_rows: BadRows,
}

/// Why an import ends early. What it has written stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file's first line is not that of its format.
    #[error("{}: {what}", path.display())]
    Header {
        /// Which file.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// Bad rows, where none may be.
    #[error("the file has {0} bad rows, so nothing was written")]
    Refused(u64),
    /// A write was refused that its row alone did not forbid.
    #[error("{0} rows could not be written")]
    Unwritten(u64),
    /// The log took no more.
    #[error("the import stopped, and the same command goes on from here")]
    Desk(#[from] DeskError),
}

/// Reads steps from a file.
trait Steps: Send {
    /// What the next row asks for; none at the end of the file.
    fn next(&mut self) -> std::io::Result<Option<Row>>;

    /// How many bytes of the file have been read.
    fn bytes_read(&self) -> u64;
}

/// What one row asks for.
enum Row {
    /// Nothing: it changes nothing that is kept.
    Idle,
    /// A write.
    Step(Box<Step>),
    /// A row of a saga.
    Saga(Box<SagaStep>),
    /// It cannot be used.
    Bad(BadRow),
    /// It can be used but for what this says; its step follows.
    Noted(BadRow),
}

/// A file that is there, has the header of its format, and no bad row where none may be.
#[derive(Debug, Clone)]
pub struct Checked(Import);

/// Checks a file before anything is written.
///
/// # Errors
/// When it cannot be read, has another header, or a bad row and [`BadRows::Refuse`].
pub fn check(import: Import, progress: &dyn Progress) -> Result<Checked, ImportError> {
    let mut steps = import.open()?;
    if import.bad_rows == BadRows::Skip {
        return Ok(Checked(import));
    }
    let mut bad: u64 = 0;
    while let Some(row) = steps.next().map_err(|source| import.unreadable(source))? {
        if let Row::Bad(row) = row {
            progress.say(&row.to_string());
            bad += 1;
        }
    }
    if bad == 0 { Ok(Checked(import)) } else { Err(ImportError::Refused(bad)) }
}

impl Checked {
    /// Writes what the log does not hold yet. Rows that cannot be used are told and counted; with [`BadRows::Refuse`]
    /// nothing is written when the log would refuse one.
    ///
    /// # Errors
    /// When the file or the log fails; with [`BadRows::Refuse`] also when the log refuses a row.
    pub async fn write(
        &self,
        desk: &Desk,
        progress: Arc<dyn Progress>,
    ) -> Result<Summary, ImportError> {
        if self.0.bad_rows == BadRows::Refuse {
            self.rehearse(desk, Arc::clone(&progress)).await?;
        }
        let tally = Arc::new(Tally::new(progress));
        let lanes = Lanes::start(|| Scribe::new(desk, &tally));
        let mut sagas = SagaRows::default();
        let read = self.feed(&lanes, &mut sagas, &tally).await;
        let written = lanes.finish().await;
        if written.is_ok() && read.is_ok() {
            sagas.write(desk, &tally).await?;
        }
        tally.finish();
        written?;
        read?;
        let summary = tally.summary();
        match self.0.bad_rows {
            BadRows::Refuse if summary.bad > 0 => Err(ImportError::Unwritten(summary.bad)),
            _ => Ok(summary),
        }
    }

    /// Asks the log beforehand which rows it would refuse: only it knows what earlier runs have written.
    async fn rehearse(&self, desk: &Desk, progress: Arc<dyn Progress>) -> Result<(), ImportError> {
        let tally = Arc::new(Tally::new(progress));
        let lanes = Lanes::start(|| Rehearsal::new(desk, &tally));
        let mut steps = self.0.open()?;
        while let Some(row) = steps.next().map_err(|source| self.0.unreadable(source))? {
            if let Row::Step(step) = row
                && lanes.give(step).await.is_err()
            {
                break;
            }
        }
        lanes.finish().await?;
        match tally.summary().bad {
            0 => Ok(()),
            bad => Err(ImportError::Refused(bad)),
        }
    }

    async fn feed(
        &self,
        lanes: &Lanes,
        sagas: &mut SagaRows,
        tally: &Tally,
    ) -> Result<(), ImportError> {
        let mut steps = self.0.open()?;
        let size = std::fs::metadata(&self.0.file).map_or(0, |file| file.len());
        while let Some(row) = steps.next().map_err(|source| self.0.unreadable(source))? {
            match row {
                Row::Idle => tally.idle(),
                Row::Bad(row) => tally.bad(&row),
                Row::Noted(row) => tally.say(&row),
                // After the tickets that they are about.
                Row::Saga(step) => sagas.push(*step),
                // A lane that has failed takes nothing more, and says why when it is joined.
                Row::Step(step) => {
                    if lanes.give(step).await.is_err() {
                        return Ok(());
                    }
                }
            }
            tally.reached(steps.bytes_read(), size);
        }
        Ok(())
    }
}

impl Import {
    fn open(&self) -> Result<Box<dyn Steps>, ImportError> {
        let file = File::open(&self.file).map_err(|source| self.unreadable(source))?;
        let lines = Lines::new(file);
        let header = |what: String| ImportError::Header { path: self.file.clone(), what };
        Ok(match self.format {
            Format::ServicenowCsv => {
                let log = IncidentLog::open(lines, self.tenant.clone());
                Box::new(log.map_err(|source| self.unreadable(source))?.map_err(header)?)
            }
            Format::Csv => {
                let sheet = Sheet::open(lines, &self.columns, self.tenant.clone());
                Box::new(sheet.map_err(|source| self.unreadable(source))?.map_err(header)?)
            }
            Format::Ndjson => Box::new(Exported::new(lines, self.tenant.clone())),
        })
    }

    fn unreadable(&self, source: std::io::Error) -> ImportError {
        ImportError::Read { path: self.file.clone(), source }
    }
}
