//! A log in memory that a store is fed from.

use std::sync::Arc;

use docket_engine::command::Command;
use docket_engine::desk::Desk;
use docket_engine::testing::Office;
use docket_schemas::{Partition, Role, Stream, Tenant, TicketId};

use super::sample::active;
use crate::counters::recount;
use crate::feeder::{Appetite, Fed, Feeder};
use crate::folder::TicketKey;
use crate::row::TicketRow;
use crate::source::FromLog;
use crate::store::{Mending, VersionNumber, ViewStore};
use crate::view::TicketsView;
use crate::{PartitionSet, Taken};

/// A help desk with the store of its view.
pub(super) struct World {
    pub(super) office: Office,
    desk: Desk,
    pub(super) store: Arc<dyn ViewStore>,
    /// The version that answers.
    pub(super) version: VersionNumber,
}

impl World {
    pub(super) async fn over(store: Arc<dyn ViewStore>) -> Arc<Self> {
        let office = Office::new().await;
        let desk = office.desk().await;
        let version = active(&*store).await;
        Arc::new(Self { office, desk, store, version })
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.office.tenant
    }

    pub(super) fn key(&self, ticket: TicketId) -> TicketKey {
        (self.tenant().clone(), ticket)
    }

    pub(super) fn home(&self, ticket: TicketId) -> Partition {
        Stream::ticket(ticket).partition(self.tenant())
    }

    pub(super) async fn opens(&self) -> TicketId {
        self.desk.open(self.office.opening().await).await.expect("a ticket").ticket.id
    }

    /// Two tickets of one partition, and as many others as that takes.
    pub(super) async fn opens_neighbours(&self) -> (TicketId, TicketId) {
        let first = self.opens().await;
        loop {
            let other = self.opens().await;
            if self.home(other) == self.home(first) {
                return (first, other);
            }
        }
    }

    pub(super) async fn says(&self, ticket: TicketId) {
        let caller = self.office.caller(Role::Customer, "cus_1").await;
        let intent = self.office.intent(&caller, ticket, Command::reply("It still smokes.")).await;
        let _ = self.desk.execute(intent).await.expect("a message");
    }

    /// A feeder of the active version, as a node's.
    pub(super) fn feeder(&self) -> Feeder {
        let log = &self.office.log;
        let sink = Arc::new(TicketsView::new(Arc::clone(&self.store), self.version, None));
        let source = Arc::new(FromLog(Arc::clone(log)));
        Feeder::new(source, Arc::clone(log), sink, Appetite::FOLLOW)
    }

    /// Feeds the active version up to the log's head.
    pub(super) async fn feed(&self) {
        let mut feeder = self.feeder();
        feeder.own(PartitionSet::ALL).await.expect("checkpoints");
        let heads = self.office.log.heads().await.expect("the log is in memory");
        while feeder.feed(&heads).await.expect("the store answers") != Fed::Nothing {}
    }

    pub(super) async fn row(&self, version: VersionNumber, ticket: TicketId) -> Option<TicketRow> {
        self.store.rows(version, &[self.key(ticket)]).await.expect("an answer").pop()
    }

    /// Takes a ticket's row away behind everybody's back.
    pub(super) async fn loses(&self, version: VersionNumber, ticket: TicketId) {
        self.changes(version, ticket, 0, Vec::new()).await;
    }

    /// Replaces a ticket's row behind everybody's back, and sets the checkpoint back by so much.
    pub(super) async fn changes(
        &self,
        version: VersionNumber,
        ticket: TicketId,
        back: u64,
        rows: Vec<TicketRow>,
    ) {
        let partition = self.home(ticket);
        let standing = self.store.checkpoints(version).await.expect("an answer");
        let checkpoint = standing.get(partition);
        let mending = Mending {
            partition,
            checkpoint,
            upto: checkpoint - back,
            gone: if rows.is_empty() { vec![self.key(ticket)] } else { Vec::new() },
            rows,
            parked: Vec::new(),
            readable: Vec::new(),
        };
        let mended = self.store.mend(version, mending).await.expect("an answer");
        assert_eq!(mended, Taken::Done);
    }

    /// The counters of a partition are what its rows add up to.
    pub(super) async fn adds_up(&self, partition: Partition) {
        let dump = self.store.dump(self.version, partition).await.expect("an answer");
        assert_eq!(dump.counters, recount(&dump.rows));
    }
}
