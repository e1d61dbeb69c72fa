//! Joint writes at the desk: a saga's units, and messages to merged tickets.

use std::sync::Arc;

use docket_schemas::{Event, PersonId, Role};

use super::answer::Answer;
use super::appender::{Reply, Work};
use super::{Desk, DeskError, PREPARE_TRIES_MAX, same_request};
use crate::command::{Forward, Intent, JointWrite, Refusal, SagaUnit};
use crate::ports::log::Placed;
use crate::seal::DataKey;

/// What became of a joint write.
#[derive(Debug)]
pub enum Joined {
    /// Durable: a place for each row, in their order.
    Done(Vec<Placed>),
    /// Its command was stored before: its event.
    Stored(Box<Event>),
}

impl Desk {
    /// Does a write over several tickets, with the rows beside it, as one unit; once, however often it is asked.
    ///
    /// # Errors
    /// [`DeskError::Refused`] when it is not to be; [`DeskError::Fenced`] when a stream beside the tickets has gone on, or
    /// may have lost what its row was made on; else see [`DeskError`].
    pub async fn join(&self, write: Arc<dyn JointWrite>) -> Result<Joined, DeskError> {
        for _ in 0..PREPARE_TRIES_MAX {
            let epoch = self.shared.epoch();
            match self.submit(Work::Joint(Arc::clone(&write)), epoch).await? {
                Reply::Done(done) => return Ok(Joined::Done(done.placed)),
                Reply::Duplicate(stored) => return Ok(Joined::Stored(stored)),
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Failed(error) => return Err(error),
                Reply::Fenced => return Err(DeskError::Fenced),
                Reply::Again => {}
            }
        }
        Err(DeskError::Overloaded)
    }

    /// Writes a saga's row with the commands beside it as one unit.
    ///
    /// # Errors
    /// As [`Self::join`]; [`DeskError::Refused`] as the unit itself concludes.
    pub async fn step(&self, unit: SagaUnit) -> Result<Joined, DeskError> {
        let mut unit = unit;
        for _ in 0..PREPARE_TRIES_MAX {
            let epoch = self.shared.epoch();
            for intent in &mut unit.intents {
                self.renew_keys(intent).await?;
            }
            match self.submit(Work::Joint(Arc::new(unit.clone())), epoch).await? {
                Reply::Done(done) => return Ok(Joined::Done(done.placed)),
                Reply::Duplicate(stored) => return Ok(Joined::Stored(stored)),
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Failed(error) => return Err(error),
                Reply::Fenced => return Err(DeskError::Fenced),
                Reply::Again => {}
            }
        }
        Err(DeskError::Overloaded)
    }

    /// Sends what is said to a merged ticket to the one that shows its messages. None where it is merged no longer, or
    /// into another one meanwhile: the command is to be decided anew.
    pub(super) async fn forward(&self, intent: &Intent) -> Result<Option<Answer>, DeskError> {
        let epoch = self.shared.epoch();
        let tenant = &intent.caller.tenant;
        let path = self.path_to_showing(tenant, intent.ticket).await?;
        let Some(target) = path.last().copied() else { return Err(Refusal::NotFound.into()) };
        let requester = self
            .glance(tenant, target, |ticket| ticket.facts().map(|facts| facts.requester))
            .await?
            .flatten()
            .ok_or(Refusal::NotFound)?;
        let requester_key = self.key_of(intent, requester).await?;
        let author =
            intent.caller.principal.person().filter(|_| intent.caller.role == Role::Customer);
        let text_key = match author {
            Some(author) if author != requester => self.key_of(intent, author).await?,
            _ => requester_key.clone(),
        };
        let intent = Intent { text_key, requester_key, ..intent.clone() };
        let (mac, caller) = (intent.request_mac, intent.caller.clone());
        let Some(forward) = Forward::new(intent, path) else { return Ok(None) };
        match self.submit(Work::Joint(Arc::new(forward)), epoch).await? {
            Reply::Done(done) => Answer::of_commit(*done).map(Some),
            Reply::Duplicate(stored) => {
                same_request(&stored, mac.as_ref())?;
                self.replayed(&stored, &caller).await.map(Some)
            }
            Reply::Refused(Refusal::Elsewhere) | Reply::Again => Ok(None),
            Reply::Refused(refusal) => Err(refusal.into()),
            Reply::Failed(error) => Err(error),
            Reply::Fenced => Err(DeskError::Fenced),
        }
    }

    async fn key_of(
        &self,
        intent: &Intent,
        person: PersonId,
    ) -> Result<Option<Arc<DataKey>>, DeskError> {
        let found = self.ports().keyring.person_by_id(&intent.caller.tenant, person).await?;
        Ok(found.and_then(|person| person.key.clone()))
    }
}
