//! The help desk: one log and key store, as many nodes as a test wants, and builders of what callers ask.

use std::sync::Arc;

use docket_schemas::{
    Channel, CommandId, CustomFields, Event, Opened, OpeningText, PersonId, Principal, Priority,
    Role, Status, Stream, Tenant, TicketId, Timestamp, derivation,
};

use super::ports::{CountedIds, NotedWitness, SetClock, WatchedBus};
use crate::command::{Caller, Command, FieldChange, Intent, NewMessage, Opening, Visibility};
use crate::desk::{Desk, Ports, Started, start};
use crate::keyring::{Keyring, Person};
use crate::memory::{MemoryKeyStore, MemoryLog};
use crate::ports::clock::Clock as _;
use crate::ports::ids::Ids as _;
use crate::ports::log::{EventLog, StreamRead};
use crate::seal::DataKey;
use crate::ticket::Resolved;

/// When every office opens: 2026-11-18T11:33:20Z.
const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

/// One installation in memory.
pub struct Office {
    /// The truth, as nodes reach it.
    pub log: Arc<dyn EventLog>,
    /// Moved by hand.
    pub clock: Arc<SetClock>,
    /// Persons and keys.
    pub keyring: Arc<Keyring>,
    /// What any node remembers of the log.
    pub witness: Arc<NotedWitness>,
    /// Wakes readers.
    pub bus: Arc<WatchedBus>,
    /// The tenant of every builder.
    pub tenant: Tenant,
    /// Ids and nonces.
    pub ids: Arc<CountedIds>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Office({})", self.tenant)
    }
}

impl Office {
    /// An office over an empty log in memory.
    pub async fn new() -> Self {
        Self::over(Arc::new(MemoryLog::new())).await
    }

    /// An office over a log of the test's own.
    ///
    /// # Panics
    /// Never: nothing here can fail in memory.
    pub async fn over(log: Arc<dyn EventLog>) -> Self {
        let ids = Arc::new(CountedIds::seeded(7));
        let store = Arc::new(MemoryKeyStore::new());
        let keyring = Keyring::open(store, &[9; 32], ids.clone()).await;
        Self {
            log,
            clock: Arc::new(SetClock::at(NOON)),
            keyring: Arc::new(keyring.expect("a new key store opens")),
            witness: Arc::default(),
            bus: Arc::default(),
            tenant: "acme".parse().expect("a valid name"),
            ids,
        }
    }

    /// Another node, in region `eu`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn node(&self) -> Started {
        start(self.ports(), "eu").await.expect("the node starts")
    }

    /// Another node's desk.
    pub async fn desk(&self) -> Desk {
        self.node().await.desk
    }

    /// The desk of a node that reaches the log by other connections.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn desk_over(&self, log: Arc<dyn EventLog>) -> Desk {
        let ports = Ports { log, ..self.ports() };
        start(ports, "eu").await.expect("the node starts").desk
    }

    /// What a node of this office stands on.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports {
            log: Arc::clone(&self.log),
            keyring: Arc::clone(&self.keyring),
            bus: self.bus.clone(),
            witness: self.witness.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            on_append: Box::new(|_, _| {}),
        }
    }

    /// The person with this outside id.
    ///
    /// # Panics
    /// Never: the key store is in memory.
    pub async fn person(&self, name: &str) -> Arc<Person> {
        self.keyring.person(&self.tenant, name).await.expect("the key store is in memory")
    }

    /// Somebody at a desk of their own.
    pub async fn caller(&self, role: Role, name: &str) -> Caller {
        let principal = Principal::Person(self.person(name).await.id);
        Caller { tenant: self.tenant.clone(), role, principal, device: "web".into() }
    }

    /// A command without an idempotency key.
    #[must_use]
    pub fn command(&self) -> CommandId {
        CommandId::new(self.ids.time_ordered())
    }

    /// The command of an idempotency key.
    #[must_use]
    pub fn command_of_key(&self, caller: &Caller, ticket: TicketId, key: &str) -> CommandId {
        let stream = Some(Stream::ticket(ticket));
        derivation::command_of_key(&self.tenant, caller.role, &caller.principal, stream, key, 0)
    }

    /// A ticket of the customer `cus_1`, opened by themself.
    pub async fn opening(&self) -> Opening {
        let requester = self.person("cus_1").await;
        Opening {
            caller: self.caller(Role::Customer, "cus_1").await,
            command_id: self.command(),
            request_mac: Some([1; 32]),
            occurred_at: self.clock.now(),
            opened: Opened {
                requester_id: requester.id,
                kind: None,
                status: Status::New,
                priority: Priority::Normal,
                ticket_type: None,
                tags: Vec::new(),
                group_id: None,
                assignee_id: None,
                custom_fields: CustomFields::new(),
                channel: Channel::Api,
                external_id: None,
                follow_up_of: None,
                source_row: None,
            },
            text: OpeningText {
                subject: "Printer on fire".to_owned(),
                body: "It smokes.".to_owned(),
                requester: None,
            },
            key: self.requester_key().await,
            causation_id: None,
        }
    }

    async fn requester_key(&self) -> Arc<DataKey> {
        self.person("cus_1").await.key.clone().expect("nobody was erased")
    }

    /// What `caller` asks of a ticket, on the current state.
    pub async fn intent(&self, caller: &Caller, ticket: TicketId, command: Command) -> Intent {
        let key = self.requester_key().await;
        let now = self.clock.now();
        Intent {
            request_mac: Some([2; 32]),
            text_key: Some(Arc::clone(&key)),
            requester_key: Some(key),
            ..Intent::new(caller.clone(), ticket, self.command(), now, command)
        }
    }

    /// A ticket's events, oldest first.
    ///
    /// # Panics
    /// When the log does not answer.
    pub async fn events(&self, ticket: TicketId) -> Vec<Event> {
        let stream = Stream::ticket(ticket);
        let read = StreamRead { tenant: self.tenant.clone(), stream, after: 0 };
        self.log.stream_events(&[read]).await.expect("the log answers")
    }
}

impl Command {
    /// Writes a status.
    #[must_use]
    pub fn status(status: Status) -> Self {
        Self::fields(FieldChange { status: Some(status), ..FieldChange::default() })
    }

    /// Writes a priority.
    #[must_use]
    pub fn priority(priority: Priority) -> Self {
        Self::fields(FieldChange { priority: Some(priority), ..FieldChange::default() })
    }

    /// Hands the ticket to a person, or lets it go.
    #[must_use]
    pub fn assign(assignee: Option<PersonId>) -> Self {
        Self::fields(FieldChange { assignee: Some(assignee), ..FieldChange::default() })
    }

    /// Adds and removes tags.
    #[must_use]
    pub fn tags(add: &[&str], remove: &[&str]) -> Self {
        let owned = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect();
        let (add_tags, remove_tags) = (owned(add), owned(remove));
        Self::fields(FieldChange { add_tags, remove_tags, ..FieldChange::default() })
    }

    /// Writes fields.
    #[must_use]
    pub fn fields(change: FieldChange) -> Self {
        Self::Change(Box::new(change))
    }

    /// Says something that the customer sees.
    #[must_use]
    pub fn reply(body: &str) -> Self {
        Self::reply_as(body, None)
    }

    /// Says something that the customer sees, with a status.
    #[must_use]
    pub fn reply_as(body: &str, status: Option<Status>) -> Self {
        Self::AddMessage(NewMessage {
            body: body.to_owned(),
            visibility: Visibility::Public,
            status,
        })
    }

    /// Writes a note for staff.
    #[must_use]
    pub fn note(body: &str) -> Self {
        let (body, visibility) = (body.to_owned(), Visibility::Internal);
        Self::AddMessage(NewMessage { body, visibility, status: None })
    }
}

/// Everything in a ticket as it is shown, as one text to compare.
#[must_use]
pub fn digest(ticket: &Resolved) -> String {
    format!("{ticket:#?}")
}
