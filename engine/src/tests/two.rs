//! Two customers with a ticket each, to be merged: what tests of merged tickets share.

use docket_schemas::{MessageId, Role, TicketId};

use crate::command::{Caller, Command, Refusal};
use crate::desk::{Answer, Desk, DeskError};
use crate::testing::{Office, digest};
use crate::ticket::{Resolved, Ticket};

/// Two customers with a ticket each, an agent, and two nodes.
pub(super) struct Two {
    pub(super) office: Office,
    pub(super) desk: Desk,
    pub(super) other: Desk,
    pub(super) source: TicketId,
    pub(super) target: TicketId,
    pub(super) cus_1: Caller,
    pub(super) cus_2: Caller,
    pub(super) agent: Caller,
    pub(super) admin: Caller,
}

impl Two {
    pub(super) async fn opened() -> Self {
        let office = Office::new().await;
        let (desk, other) = (office.desk().await, office.desk().await);
        let target = open(&office, &desk, "cus_1").await;
        let source = open(&office, &desk, "cus_2").await;
        Self {
            cus_1: office.caller(Role::Customer, "cus_1").await,
            cus_2: office.caller(Role::Customer, "cus_2").await,
            agent: office.caller(Role::Agent, "ann").await,
            admin: office.caller(Role::Admin, "root").await,
            office,
            desk,
            other,
            source,
            target,
        }
    }

    pub(super) async fn tries(
        &self,
        caller: &Caller,
        id: TicketId,
        what: Command,
    ) -> Result<Answer, DeskError> {
        self.office.clock.advance(1_000);
        self.desk.execute(self.office.intent(caller, id, what).await).await
    }

    pub(super) async fn does(&self, caller: &Caller, id: TicketId, what: Command) -> Answer {
        self.tries(caller, id, what).await.unwrap()
    }

    pub(super) async fn shows(&self, id: TicketId) -> Resolved {
        let looks = |ticket: &mut Ticket| ticket.resolve().unwrap();
        let shown = self.desk.look(&self.office.tenant, id, looks).await.unwrap().unwrap();
        let elsewhere = self.other.look(&self.office.tenant, id, looks).await.unwrap().unwrap();
        assert_eq!(digest(&shown), digest(&elsewhere), "both nodes show the same");
        shown
    }

    pub(super) async fn messages(&self, id: TicketId) -> Vec<MessageId> {
        let shown = self.desk.shown_messages(&self.office.tenant, id).await.unwrap().unwrap();
        let all = self.shows(id).await;
        let public = shown.iter().filter(|message| message.public).count();
        assert_eq!(
            (all.message_count, all.public_message_count),
            (shown.len() as u64, public as u64)
        );
        shown.into_iter().map(|message| message.id).collect()
    }

    pub(super) async fn merge(&self) {
        self.merges(self.source, self.target).await.unwrap();
    }

    pub(super) async fn merges(&self, source: TicketId, into: TicketId) -> Result<(), DeskError> {
        self.office.clock.advance(1_000);
        self.office.merge(&self.desk, &self.agent, source, into).await
    }

    pub(super) async fn unmerges(&self, source: TicketId, into: TicketId) -> Result<(), DeskError> {
        self.office.clock.advance(1_000);
        self.office.unmerge(&self.other, &self.agent, source, into).await
    }
}

pub(super) async fn open(office: &Office, desk: &Desk, customer: &str) -> TicketId {
    office.clock.advance(1_000);
    let person = office.person(customer).await;
    let mut opening = office.opening().await;
    opening.caller = office.caller(Role::Customer, customer).await;
    opening.opened.requester_id = person.id;
    opening.key = person.key.clone().unwrap();
    desk.open(opening).await.unwrap().ticket.id
}

#[track_caller]
pub(super) fn refusal<T: std::fmt::Debug>(result: Result<T, DeskError>) -> Refusal {
    match result {
        Err(DeskError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
pub(super) fn not_mergeable<T: std::fmt::Debug>(result: Result<T, DeskError>, reason: &str) {
    match refusal(result) {
        Refusal::NotMergeable { reason: found } => assert_eq!(found, reason),
        other => panic!("{other:?}"),
    }
}
