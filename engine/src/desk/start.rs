//! Starting: the region takes its incarnation, compares the log with its witnesses, and begins to append.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use async_trait::async_trait;
use docket_schemas::{Incarnation, IncarnationError};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::appender::run;
use super::cache::Cache;
use super::cursors::Comparisons;
use super::past::PastTurns;
use super::{Desk, Ports, Shared, WAITING_WRITES_MAX};
use crate::ports::log::LogError;
use crate::tail::{Beside, Written};

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
    check_key_store(&ports).await?;
    let (incarnation, restored) = incarnation(&ports, region).await?;
    let erasure_epoch = AtomicU64::new(ports.log.erasure_epoch().await?);
    let shared = Arc::new(Shared {
        ports,
        cache: Cache::new(),
        incarnation: RwLock::new(incarnation),
        erasure_epoch,
        reconnected: AtomicBool::new(false),
        written: Written::default(),
        past_turns: PastTurns::default(),
        comparisons: Comparisons::default(),
    });
    let (submit, jobs) = mpsc::channel(WAITING_WRITES_MAX / 2);
    let appender = tokio::spawn(run(Arc::clone(&shared), jobs));
    Ok(Started { desk: Desk { shared, submit }, appender, restored })
}

async fn check_key_store(ports: &Ports) -> Result<(), StartError> {
    let found = ports.keyring.store_id();
    let named = ports.log.name_key_store(found).await?;
    if named == found { Ok(()) } else { Err(StartError::OtherKeyStore { named, found }) }
}

/// Compares the log with its witnesses again, after it was out of reach: it may be another than before.
pub(super) async fn compare_again(shared: &Shared) -> Result<(), StartError> {
    check_key_store(&shared.ports).await?;
    let before = shared.incarnation.read().clone();
    let (newest, restored) = incarnation(&shared.ports, before.region()).await?;
    if restored {
        tracing::warn!(incarnation = %newest, "log.restored.found");
    }
    // Also where the incarnation stays: what another node wrote and lost may be in memory here.
    shared.go_on_as(newest);
    Ok(())
}

#[async_trait]
impl Beside for Shared {
    fn written(&self) -> &Written {
        &self.written
    }

    async fn compare(&self) -> Result<(), LogError> {
        compare_again(self).await.map_err(|error| match error {
            StartError::Log(error) => error,
            error => LogError::Unavailable(Box::new(error)),
        })
    }
}

/// The newest incarnation, or the next where a witness is ahead of the log: it was restored from a backup, and its
/// old dots and positions must not be issued twice. The next one's number is beyond what log and witnesses know of,
/// so that a backup restored twice does not begin the same incarnation twice.
async fn incarnation(ports: &Ports, region: &str) -> Result<(Incarnation, bool), StartError> {
    let newest = ports.log.incarnations().await?.pop().map(|start| start.incarnation);
    if let Some(newest) = &newest
        && newest.region() != region
    {
        let (found, asked) = (newest.region().to_owned(), region.to_owned());
        return Err(StartError::OtherRegion { found, asked });
    }
    let known = newest.as_ref().map_or(0, Incarnation::number);
    let lost = lost_incarnation(ports, known).await?;
    let next = match (&newest, lost) {
        (Some(newest), None) => return Ok((newest.clone(), false)),
        (None, None) => 1,
        (_, Some(lost)) => lost.max(known) + 1,
    };
    let next = Incarnation::new(region, next)?;
    let begun = ports.log.begin_incarnation(newest.as_ref(), &next).await?;
    Ok((begun, lost.is_some()))
}

/// The newest incarnation of which a witness has seen events that the log does not have, and that no later
/// incarnation than `known` has accounted for.
async fn lost_incarnation(ports: &Ports, known: u32) -> Result<Option<u32>, StartError> {
    let mut lost = None;
    for seen in ports.witness.recall().await.map_err(StartError::Witness)? {
        if seen.incarnation < known {
            continue;
        }
        let there = ports.log.event_id_at(seen.partition, seen.position).await?;
        if there != Some(seen.event_id) {
            lost = lost.max(Some(seen.incarnation));
        }
    }
    Ok(lost)
}
