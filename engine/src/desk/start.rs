//! Starting: the region takes its incarnation, compares the log with its witnesses, and begins to append.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use docket_schemas::{Incarnation, IncarnationError};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::appender::run;
use super::cache::Cache;
use super::{Desk, Ports, Shared, WAITING_WRITES_MAX};
use crate::ports::log::LogError;

/// Why a node cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The region's name cannot be one.
    #[error(transparent)]
    Region(#[from] IncarnationError),
    /// The log belongs to another region.
    #[error("this log belongs to region `{found}`, not `{asked}`: name that one with --region")]
    OtherRegion {
        /// The log's.
        found: String,
        /// The one asked for.
        asked: String,
    },
    /// The log was sealed with keys that are not here.
    #[error(
        "this log was sealed with key store {named}, but {found} is here: give the right one with --keys or --data"
    )]
    OtherKeyStore {
        /// The log's.
        named: Uuid,
        /// The one at hand.
        found: Uuid,
    },
    /// A witness cannot be read.
    #[error("{0}")]
    Witness(String),
}

/// A desk at work.
#[derive(Debug)]
pub struct Started {
    /// Where writes and reads go.
    pub desk: Desk,
    /// Ends when every desk is dropped and what waited is written.
    pub appender: JoinHandle<()>,
    /// Whether the log was found restored from a backup, so that a new incarnation began.
    pub restored: bool,
}

/// Begins the work of a node in `region`.
///
/// # Errors
/// See [`StartError`].
pub async fn start(ports: Ports, region: &str) -> Result<Started, StartError> {
    let found = ports.keyring.store_id();
    let named = ports.log.name_key_store(found).await?;
    if named != found {
        return Err(StartError::OtherKeyStore { named, found });
    }
    let (incarnation, restored) = incarnation(&ports, region).await?;
    let erasure_epoch = AtomicU64::new(ports.log.erasure_epoch().await?);
    let shared = Arc::new(Shared {
        ports,
        cache: Cache::new(),
        incarnation: RwLock::new(incarnation),
        erasure_epoch,
    });
    let (submit, jobs) = mpsc::channel(WAITING_WRITES_MAX);
    let appender = tokio::spawn(run(Arc::clone(&shared), jobs));
    Ok(Started { desk: Desk { shared, submit }, appender, restored })
}

/// The newest incarnation, or the next where a witness is ahead of the log: it was restored from a backup, and its
/// old dots and positions must not be issued twice.
async fn incarnation(ports: &Ports, region: &str) -> Result<(Incarnation, bool), StartError> {
    let first = Incarnation::new(region, 1)?;
    let newest = ports.log.incarnations().await?.pop().map(|start| start.incarnation);
    if let Some(newest) = &newest
        && newest.region() != region
    {
        let (found, asked) = (newest.region().to_owned(), region.to_owned());
        return Err(StartError::OtherRegion { found, asked });
    }
    let restored = is_behind_witness(ports).await?;
    match newest {
        Some(newest) if !restored => Ok((newest, false)),
        Some(newest) => {
            let next = Incarnation::new(region, newest.number() + 1)?;
            Ok((ports.log.begin_incarnation(Some(&newest), &next).await?, true))
        }
        None if restored => {
            let next = Incarnation::new(region, 2)?;
            Ok((ports.log.begin_incarnation(None, &next).await?, true))
        }
        None => Ok((ports.log.begin_incarnation(None, &first).await?, false)),
    }
}

async fn is_behind_witness(ports: &Ports) -> Result<bool, StartError> {
    for seen in ports.witness.recall().map_err(StartError::Witness)? {
        let there = ports.log.event_id_at(seen.partition, seen.position).await?;
        if there != Some(seen.event_id) {
            return Ok(true);
        }
    }
    Ok(false)
}
