//! Export: a tenant's events as NDJSON, or the two digests by which logs are compared.

mod digest;

use std::io::Write;
use std::time::Duration;

use docket_engine::cursor::{Cursor, Positions};
use docket_engine::desk::{Desk, DeskError};
use docket_engine::ports::log::READ_EVENTS_MAX;
use docket_schemas::{Event, Tenant};

use crate::present::Names;
use crate::present::event::{ChangeBytes, present};
pub use digest::{Digests, digests};

/// How often a follower looks for new events.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// What happens when the end of the log is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// The export is over.
    Stop,
    /// It waits for more.
    Follow,
}

/// What is exported.
#[derive(Debug, Clone)]
pub struct Export {
    /// Whose events.
    pub tenant: Tenant,
    /// From where on.
    pub after: Positions,
    /// With the bytes of Automerge changes or without.
    pub changes: ChangeBytes,
    /// Until when.
    pub at_end: AtEnd,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log or the key store failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The output cannot be written.
    #[error("cannot write the export")]
    Output(#[from] std::io::Error),
}

/// Writes each event as one line of JSON, its text opened and persons by the ids that callers use.
///
/// # Errors
/// See [`ExportError`].
pub async fn export(
    desk: &Desk,
    what: &Export,
    out: &mut (impl Write + Send),
) -> Result<(), ExportError> {
    let names = Names { desk, tenant: &what.tenant };
    let mut cursor = Cursor { incarnation: desk.incarnation(), positions: what.after };
    loop {
        let page = page(desk, &what.tenant, &cursor.positions).await?;
        for event in &page {
            cursor.positions.advance(event.partition, event.position);
            let view = present(names, event, Some(&cursor), what.changes).await?;
            serde_json::to_writer(&mut *out, &view).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
        if page.is_empty() {
            out.flush()?;
            match what.at_end {
                AtEnd::Stop => return Ok(()),
                AtEnd::Follow => tokio::time::sleep(FOLLOW_EVERY).await,
            }
        }
    }
}

/// The next events of a tenant.
async fn page(desk: &Desk, tenant: &Tenant, after: &Positions) -> Result<Vec<Event>, DeskError> {
    Ok(desk.ports().log.tenant_events(tenant, after, READ_EVENTS_MAX).await?.events)
}
