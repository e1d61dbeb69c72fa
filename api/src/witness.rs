//! The witness file: how far the log had come, in the data directory, where a restored database does not reach.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use docket_engine::ports::witness::{Witness, Witnessed};
use docket_schemas::{EventId, Partition, Position};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Room for one partition's record; a record never grows beyond it, so the file is rewritten in place.
const RECORD_BYTES: usize = 192;

/// Several witnesses as one: each remembers what it can.
pub struct Witnesses(pub Vec<std::sync::Arc<dyn Witness>>);

#[async_trait::async_trait]
impl Witness for Witnesses {
    fn record(&self, reached: &[Witnessed]) {
        for witness in &self.0 {
            witness.record(reached);
        }
    }

    async fn recall(&self) -> Result<Vec<Witnessed>, String> {
        let mut seen = Vec::new();
        for witness in &self.0 {
            seen.extend(witness.recall().await?);
        }
        Ok(seen)
    }
}

/// What stands in the file for each partition: its last position and the event there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Record {
    partition: Partition,
    position: Position,
    event_id: EventId,
    incarnation: u32,
}

/// One process' witness, beside those of others. Written after each commit and before its acknowledgement; not
/// synced: it guards against restores, not against power loss, which may only make it older.
#[derive(Debug)]
pub struct WitnessFile {
    directory: PathBuf,
    file: Mutex<File>,
}

impl WitnessFile {
    /// The witness `name` in `directory`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(directory: &Path, name: &str) -> std::io::Result<Self> {
        let safe: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
            .collect();
        let path = directory.join(format!("{PREFIX}{safe}{SUFFIX}"));
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        Ok(Self { directory: directory.to_owned(), file: Mutex::new(file) })
    }
}

const PREFIX: &str = "witness-";
const SUFFIX: &str = ".json";

#[async_trait::async_trait]
impl Witness for WitnessFile {
    fn record(&self, reached: &[Witnessed]) {
        let file = self.file.lock();
        for seen in reached {
            let record = Record {
                partition: seen.partition,
                position: seen.position,
                event_id: seen.event_id,
                incarnation: seen.incarnation,
            };
            let mut line = serde_json::to_vec(&record).unwrap_or_default();
            line.resize(RECORD_BYTES - 1, b' ');
            line.push(b'\n');
            let offset = seen.partition.index() * RECORD_BYTES;
            if let Err(error) = file.write_all_at(&line, offset as u64) {
                tracing::warn!(%error, "witness.record.failed");
            }
        }
    }

    async fn recall(&self) -> Result<Vec<Witnessed>, String> {
        let mut seen = Vec::new();
        let failed =
            |error: std::io::Error| format!("cannot read {}: {error}", self.directory.display());
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(failed)?;
            let lines = bytes.split(|byte| *byte == b'\n' || *byte == 0);
            let records = lines.filter_map(|line| serde_json::from_slice::<Record>(line).ok());
            seen.extend(records.map(|record| Witnessed {
                partition: record.partition,
                position: record.position,
                event_id: record.event_id,
                incarnation: record.incarnation,
            }));
        }
        Ok(seen)
    }
}
