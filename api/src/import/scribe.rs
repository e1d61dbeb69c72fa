//! A scribe: does the steps of one lane at the desk, but for those that an earlier run has done.

use std::sync::Arc;

use docket_engine::command::{
    Caller, Command, FieldChange, Intent, Opening, Refusal, Replayed, Source,
};
use docket_engine::desk::{Answer, Desk, DeskError};
use docket_engine::graph::{ChangeGraph, head_name};
use docket_engine::keyring::{Keyring, Person};
use docket_engine::version::Version;
use docket_schemas::{CommandId, Opened, PersonId, Principal, Role, Tenant, Timestamp};

use super::bad_row::{BadRow, Fault};
use super::lanes::Hand;
use super::standing::Standing;
use super::step::{Action, Author, ForeignEvent, NewTicket, NewValues, Step, Who};
use super::tally::Tally;

pub(super) const UNOPENED: &str = "belongs to a ticket that could not be opened";
pub(super) const CAUSELESS: &str = "names a change that is not here: its line was bad";
pub(super) const STORED_ELSEWHERE: &str = "is stored here for another request";

/// What is done with the steps of one lane.
pub(super) struct Scribe {
    desk: Desk,
    tally: Arc<Tally>,
    standing: Standing,
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
            DeskError::KeyReused => Self::Bad(Fault::new("command_id", STORED_ELSEWHERE)),
            failed => Self::Failed(failed),
        }
    }
}

fn bad<T>(field: &str, what: &str) -> Result<T, Undone> {
    Err(Undone::Bad(Fault::new(field, what)))
}

impl Hand for Scribe {
    /// Does a step, unless it is done; counts what came of it.
    async fn take(&mut self, step: Step) -> Result<(), DeskError> {
        if self.standing.holds(&step).await? {
            self.tally.already_there();
            return Ok(());
        }
        match self.write(&step).await {
            Ok(answer) if answer.replayed => self.tally.already_there(),
            Ok(_) => self.tally.written(),
            Err(Undone::Bad(fault)) => {
                self.tally.bad(&BadRow { line: step.line, faults: vec![fault] });
            }
            Err(Undone::Failed(error)) => return Err(error),
        }
        Ok(())
    }
}

impl Scribe {
    pub(super) fn new(desk: &Desk, tally: &Arc<Tally>) -> Self {
        let standing = Standing::new(desk.clone(), Arc::clone(tally));
        Self { desk: desk.clone(), tally: Arc::clone(tally), standing }
    }

    async fn write(&self, step: &Step) -> Result<Answer, Undone> {
        if let Some(fault) = self.standing.fault(step).await? {
            return Err(Undone::Bad(fault));
        }
        let answer = match &step.action {
            Action::Open(new) => self.open(step, new).await?,
            Action::Change(values) => self.change(step, values).await?,
            Action::Replay(event) => self.replay(step, event).await?,
        };
        if answer.replayed && !self.is_here(step).await? {
            return bad("command_id", STORED_ELSEWHERE);
        }
        Ok(answer)
    }

    /// Whether the step's own ticket holds its command: another one may.
    async fn is_here(&self, step: &Step) -> Result<bool, DeskError> {
        let command = step.command_id;
        let here = self
            .desk
            .look(&step.tenant, step.ticket, |ticket| ticket.graph.of_command(command).is_some());
        Ok(here.await?.unwrap_or(false))
    }

    async fn open(&self, step: &Step, new: &NewTicket) -> Result<Answer, Undone> {
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

    async fn change(&self, step: &Step, values: &NewValues) -> Result<Answer, Undone> {
        let assignee = match &values.assignee {
            Some(Some(assignee)) => Some(Some(self.person(&step.tenant, assignee).await?.id)),
            Some(None) => Some(None),
            None => None,
        };
        let fields = FieldChange { assignee, ..values.fields.clone() };
        let intent = self.intent(step, Command::Change(Box::new(fields))).await?;
        match self.desk.execute(intent).await {
            Err(DeskError::Refused(Refusal::NotFound)) => bad("row", UNOPENED),
            answer => Ok(answer?),
        }
    }

    async fn replay(&self, step: &Step, event: &ForeignEvent) -> Result<Answer, Undone> {
        let seen = self.desk.glance(&step.tenant, step.ticket, |ticket| {
            let requester = ticket.facts().map(|facts| facts.requester);
            requester.zip(version_of(&ticket.graph, &event.causes))
        });
        let Some((requester, version)) = seen.await?.flatten() else {
            return bad("deps", CAUSELESS);
        };
        let mut persons = Vec::with_capacity(event.persons.len());
        for person in &event.persons {
            persons.push(self.person(&step.tenant, person).await?.id);
        }
        let author = self.author(step).await?;
        let key = self.text_key(step, requester, author.as_deref()).await?;
        // A person who was erased here stays erased.
        let text = event.text.clone().filter(|_| key.is_some());
        let payload = event.payload_with(&persons);
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
        let caller = self.caller(&step.tenant, &step.author).await?;
        let now = self.desk.ports().clock.now();
        Ok(Intent {
            occurred_at: self.occurred_at(step),
            source: Source::Import,
            ..Intent::new(caller, step.ticket, step.command_id, now, command)
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

/// The version that these commands' changes make here; none where one is missing.
fn version_of(graph: &ChangeGraph, commands: &[CommandId]) -> Option<Version> {
    let index = |command: &CommandId| {
        graph.of_command(*command).and_then(|node| graph.index_of(&head_name(&node.hash)))
    };
    let heads = commands.iter().map(index).collect::<Option<Vec<_>>>()?;
    Some(Version::of(graph, &graph.minimal(&heads)))
}
