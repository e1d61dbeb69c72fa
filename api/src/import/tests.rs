//! Imports of small files into installations of their own.

mod events;
mod incidents;
mod merges;
mod sagas;
mod sheets;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use docket_engine::ticket::Resolved;
use docket_schemas::{Event, PersonId, Stream, Tenant, TicketId};
use parking_lot::Mutex;

use super::*;
use crate::testing::TempDir;
use crate::wire::{self, Installation, Opened};

/// An installation on SQLite with a file to import.
struct Office {
    folder: TempDir,
    started: Opened,
}

/// What an import said of rows.
#[derive(Default)]
struct Heard(Mutex<String>);

impl Progress for Heard {
    fn say(&self, lines: &str) {
        writeln!(self.0.lock(), "{lines}").unwrap();
    }

    fn reached(&self, _: u64, _: u64, _: u64) {}

    fn finish(&self) {}
}

impl Office {
    async fn open() -> Self {
        let folder = TempDir::new();
        let installation = Installation {
            data: folder.path().join("data"),
            database_url: None,
            keys_url: None,
            master_key: None,
            index: None,
            region: "local".to_owned(),
            nats: None,
        };
        let started = wire::open(&installation, "import", Box::new(|_, _| {})).await.unwrap();
        Self { folder, started }
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn import(&self, format: Format, text: &str) -> Import {
        let (file, tenant) = (self.file(text), tenant());
        Import { file, format, columns: Vec::new(), tenant, bad_rows: BadRows::Skip }
    }

    /// The same import, refused where a row is bad.
    fn strict(&self, format: Format, text: &str) -> Import {
        Import { bad_rows: BadRows::Refuse, ..self.import(format, text) }
    }

    /// How many events the log holds.
    async fn event_count(&self) -> usize {
        let log = &self.started.desk.ports().log;
        let start = docket_engine::cursor::Positions::START;
        log.tenant_events(&tenant(), &start, 1_000).await.unwrap().events.len()
    }

    /// Imports and answers what came of it, with all that was said of rows.
    async fn run(&self, import: Import) -> (Result<Summary, ImportError>, String) {
        let heard = Arc::new(Heard::default());
        let outcome = match check(import, &*heard) {
            Ok(checked) => checked.write(&self.started.desk, heard.clone()).await,
            Err(error) => Err(error),
        };
        let said = heard.0.lock().clone();
        (outcome, said)
    }

    async fn ticket(&self, external_id: &str) -> Resolved {
        let log = &self.started.desk.ports().log;
        let found = log.tickets_by_external_id(&tenant(), external_id, 2).await.unwrap();
        assert_eq!(found.len(), 1, "tickets of {external_id}");
        self.by_id(found[0]).await
    }

    async fn by_id(&self, id: TicketId) -> Resolved {
        let tenant = tenant();
        let look = self.started.desk.look(&tenant, id, docket_engine::ticket::Ticket::resolve);
        look.await.unwrap().unwrap().unwrap()
    }

    async fn events(&self, ticket: TicketId) -> Vec<Event> {
        let read = docket_engine::ports::log::StreamRead {
            tenant: tenant(),
            stream: Stream::ticket(ticket),
            after: 0,
        };
        self.started.desk.ports().log.stream_events(&[read]).await.unwrap()
    }

    async fn person(&self, outside_id: &str) -> PersonId {
        self.started.desk.ports().keyring.person(&tenant(), outside_id).await.unwrap().id
    }
}

fn tenant() -> Tenant {
    "default".parse().unwrap()
}

/// What an import did, in the order of the closing line.
#[track_caller]
fn done(outcome: Result<Summary, ImportError>, expected: [u64; 4]) {
    let Summary { tickets, written, already_there, bad, .. } = outcome.unwrap();
    assert_eq!([tickets, written, already_there, bad], expected);
}
