//! A scribe: does the steps of one lane at the desk, and knows which an earlier run has done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use docket_engine::command::{
    Caller, Command, FieldChange, Intent, Opening, Refusal, Replayed, Source,
};
use docket_engine::desk::{Answer, Desk, DeskError};
use docket_engine::graph::{ChangeGraph, head_name};
use docket_engine::keyring::{Keyring, Person};
use docket_engine::ticket::Ticket;
use docket_engine::version::Version;
use docket_schemas::{CommandId, Opened, PersonId, Principal, Role, Tenant, TicketId, Timestamp};

use super::bad_row::{BadRow, Fault};
use super::step::{Action, Author, ForeignEvent, NewTicket, NewValues, Step, Uniqueness, Who};
use super::tally::Tally;

/// Most tickets of one external id that are looked at.
const SAME_EXTERNAL_ID_MAX: usize = 16;

/// What is done with the steps of one lane.
pub(super) struct Scribe {
    desk: Desk,
    tally: Arc<Tally>,
    /// By ticket: what the log held when its first step came, and no step has asked for yet.
    stored: HashMap<(Tenant, TicketId), HashSet<CommandId>>,
}

/// Why a step is not done.
enum Undone {
    /// The row's fault: the others go on.
    Bad(Fault),
    /// The log's or key store's fault.
    Failed(DeskError),
}

impl From<DeskError> for Undone {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Refused(Refusal::Invalid { field, message, .. }) => {
                Self::Bad(Fault::new(field, message))
            }
            DeskError::Refused(refusal) => Self::Bad(Fault::new("row", refusal.to_string())),
            DeskError::KeyReused => {
                Self::Bad(Fault::new("command_id", "is stored here for another request"))
            }
            failed => Self::Failed(failed),
        }
    }
}

fn bad<T>(field: &str, what: &str) -> Result<T, Undone> {
    Err(Undone::Bad(Fault::new(field, what)))
}

impl Scribe {
    pub(super) fn new(desk: Desk, tally: Arc<Tally>) -> Self {
        Self { desk, tally, stored: HashMap::new() }
    }

    /// Does a step, unless it is done; counts what came of it.
    ///
    /// # Errors
    /// When the log or the key store fails.
    pub(super) async fn write(&mut self, step: Step) -> Result<(), DeskError> {
        let line = step.line;
        if self.stored(&step).await?.remove(&step.command_id) {
            self.tally.already_there();
            return Ok(());
        }
        let answer = match &step.action {
            Action::Open(new) => self.open(&step, new).await,
            Action::Change(values) => self.change(&step, values).await,
            Action::Replay(event) => self.replay(&step, event).await,
        };
        match answer {
            Ok(answer) if answer.replayed => self.tally.already_there(),
            Ok(_) => self.tally.written(),
            Err(Undone::Bad(fault)) => self.tally.bad(&BadRow { line, faults: vec![fault] }),
            Err(Undone::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    /// The commands that earlier runs have written on the step's ticket, less those that this run has met again.
    async fn stored(&mut self, step: &Step) -> Result<&mut HashSet<CommandId>, DeskError> {
        let name = (step.tenant.clone(), step.ticket);
        if !self.stored.contains_key(&name) {
            let commands = self.desk.look(&step.tenant, step.ticket, |ticket| {
                ticket.graph.nodes().iter().map(|node| node.command_id).collect()
            });
            let commands = commands.await?.unwrap_or_default();
            self.stored.insert(name.clone(), commands);
            self.tally.ticket();
        }
        Ok(self.stored.entry(name).or_default())
    }

    async fn open(&self, step: &Step, new: &NewTicket) -> Result<Answer, Undone> {
        if new.external_id_is == Uniqueness::Unique
            && let Some(external_id) = &new.opened.external_id
        {
            self.check_unique(&step.tenant, external_id).await?;
        }
        let requester = self.person(&step.tenant, &new.requester).await?;
        let assignee = match &new.assignee {
            Some(assignee) => Some(self.person(&step.tenant, assignee).await?.id),
            None => None,
        };
        let Some(key) = requester.key.clone() else { return bad("requester", "has been erased") };
        let opening = Opening {
            caller: self.caller(&step.tenant, &step.author).await?,
            command_id: step.command_id,
            request_mac: None,
            occurred_at: self.occurred_at(step),
            opened: Opened {
                requester_id: requester.id,
                assignee_id: assignee,
                ..new.opened.clone()
            },
            text: new.text.clone(),
            key,
            causation_id: step.causation_id,
        };
        Ok(self.desk.open(opening).await?)
    }

    /// An incident whose first row was bad in an earlier run has its ticket from another row: it keeps that one.
    async fn check_unique(&self, tenant: &Tenant, external_id: &str) -> Result<(), Undone> {
        let log = &self.desk.ports().log;
        let found = log.tickets_by_external_id(tenant, external_id, SAME_EXTERNAL_ID_MAX).await;
        for ticket in found.map_err(DeskError::from)? {
            let ours = self.desk.glance(tenant, ticket, |ticket| opened_by_import(ticket)).await?;
            if ours == Some(true) {
                return bad(
                    "number",
                    "has a ticket that an earlier import opened from another row",
                );
            }
        }
        Ok(())
    }

    async fn change(&self, step: &Step, values: &NewValues) -> Result<Answer, Undone> {
        if self.holds_later_rows(step).await? {
            return bad("row", "comes too late: later rows of the incident are imported already");
        }
        let assignee = match &values.assignee {
            Some(Some(assignee)) => Some(Some(self.person(&step.tenant, assignee).await?.id)),
            Some(None) => Some(None),
            None => None,
        };
        let fields = FieldChange { assignee, ..values.fields.clone() };
        let intent = self.intent(step, Command::Change(Box::new(fields))).await?;
        match self.desk.execute(intent).await {
            Err(DeskError::Refused(Refusal::NotFound)) => {
                bad("row", "belongs to a ticket that could not be opened")
            }
            answer => Ok(answer?),
        }
    }

    /// Whether an earlier run has written rows of this ticket that this run has not met yet.
    async fn holds_later_rows(&self, step: &Step) -> Result<bool, DeskError> {
        let Some(rest) = self.stored.get(&(step.tenant.clone(), step.ticket)) else {
            return Ok(false);
        };
        if rest.is_empty() {
            return Ok(false);
        }
        let imported = self.desk.glance(&step.tenant, step.ticket, |ticket| {
            let nodes = ticket.graph.nodes().iter();
            nodes
                .filter(|node| is_import(&node.principal))
                .any(|node| rest.contains(&node.command_id))
        });
        Ok(imported.await?.unwrap_or(false))
    }

    async fn replay(&self, step: &Step, event: &ForeignEvent) -> Result<Answer, Undone> {
        let seen = self.desk.glance(&step.tenant, step.ticket, |ticket| {
            let requester = ticket.facts().map(|facts| facts.requester);
            requester.zip(version_of(&ticket.graph, &event.causes))
        });
        let Some((requester, version)) = seen.await?.flatten() else {
            return bad("deps", "names a change that is not here: its line was bad");
        };
        let person = match &event.person {
            Some(person) => self.person(&step.tenant, person).await?.id,
            None => super::step::nobody(),
        };
        let author = self.author(step).await?;
        let key = self.text_key(step, requester, author.as_deref()).await?;
        // A person who was erased here stays erased.
        let text = event.text.clone().filter(|_| key.is_some());
        let payload = event.payload_with(person);
        let replayed = Replayed::new(payload, text, event.observed, step.causation_id);
        let intent = self.intent(step, Command::Replay(Box::new(replayed))).await?;
        Ok(self.desk.execute(Intent { observed: Some(version), text_key: key, ..intent }).await?)
    }

    /// The requester's key; the author's, when a customer other than the requester wrote.
    async fn text_key(
        &self,
        step: &Step,
        requester: PersonId,
        author: Option<&Person>,
    ) -> Result<Option<Arc<docket_engine::seal::DataKey>>, DeskError> {
        match author {
            Some(author) if step.author.role == Role::Customer && author.id != requester => {
                Ok(author.key.clone())
            }
            _ => {
                let person = self.keyring().person_by_id(&step.tenant, requester).await?;
                Ok(person.and_then(|person| person.key.clone()))
            }
        }
    }

    async fn intent(&self, step: &Step, command: Command) -> Result<Intent, DeskError> {
        Ok(Intent {
            caller: self.caller(&step.tenant, &step.author).await?,
            ticket: step.ticket,
            command_id: step.command_id,
            request_mac: None,
            observed: None,
            precondition: None,
            occurred_at: self.occurred_at(step),
            now: self.desk.ports().clock.now(),
            source: Source::Import,
            text_key: None,
            requester_key: None,
            command,
        })
    }

    fn occurred_at(&self, step: &Step) -> Timestamp {
        step.occurred_at.unwrap_or_else(|| self.desk.ports().clock.now())
    }

    async fn caller(&self, tenant: &Tenant, author: &Author) -> Result<Caller, DeskError> {
        let principal = match &author.who {
            Who::Docket(name) => Principal::Docket(Arc::clone(name)),
            Who::Person(id) => Principal::Person(self.person(tenant, id).await?.id),
        };
        let (role, device) = (author.role, Arc::clone(&author.device));
        Ok(Caller { tenant: tenant.clone(), role, principal, device })
    }

    async fn author(&self, step: &Step) -> Result<Option<Arc<Person>>, DeskError> {
        match &step.author.who {
            Who::Docket(_) => Ok(None),
            Who::Person(id) => self.person(&step.tenant, id).await.map(Some),
        }
    }

    async fn person(&self, tenant: &Tenant, outside_id: &str) -> Result<Arc<Person>, DeskError> {
        Ok(self.keyring().person(tenant, outside_id).await?)
    }

    fn keyring(&self) -> &Keyring {
        &self.desk.ports().keyring
    }
}

fn is_import(principal: &Principal) -> bool {
    matches!((&Author::import().who, principal), (Who::Docket(own), Principal::Docket(name)) if own == name)
}

fn opened_by_import(ticket: &Ticket) -> bool {
    ticket.graph.nodes().first().is_some_and(|node| is_import(&node.principal))
}

/// The version that these commands' changes make here; none where one is missing.
fn version_of(graph: &ChangeGraph, commands: &[CommandId]) -> Option<Version> {
    let index = |command: &CommandId| {
        graph.of_command(*command).and_then(|node| graph.index_of(&head_name(&node.hash)))
    };
    let heads = commands.iter().map(index).collect::<Option<Vec<_>>>()?;
    Some(Version::of(graph, &graph.minimal(&heads)))
}
