//! The demo: a small made-up help desk, loaded once, whatever how often it is asked for.

mod cast;
mod stories;

use docket_engine::command::{Caller, Intent, Opening};
use docket_engine::desk::{Answer, Desk, DeskError};
use docket_engine::version::Version;
use docket_schemas::{
    Opened, OpeningText, PersonText, Status, Stream, Tenant, TicketId, Timestamp, derivation,
};

pub use cast::{ADMIN, AGENT, AUDITOR, CUSTOMER};
use cast::{Person, person_of};
use stories::{Step, Story, stories};

/// Time between two tickets of the demo, in microseconds: one hour and a quarter.
const BETWEEN_TICKETS_MICROS: i64 = 4_500 * 1_000_000;
/// Time between two steps of one ticket, in microseconds: four minutes.
const BETWEEN_STEPS_MICROS: i64 = 240 * 1_000_000;

/// Loads the demo into a tenant; what is there already stays as it is.
///
/// # Errors
/// When the log or the key store fails.
pub async fn load(desk: &Desk, tenant: &Tenant) -> Result<usize, DeskError> {
    let now = desk.ports().clock.now();
    let stories = stories();
    for (index, story) in stories.iter().enumerate() {
        let age = i64::try_from(stories.len() - index).unwrap_or(0) * BETWEEN_TICKETS_MICROS;
        let mut teller = Teller { desk, tenant, number: index, at: now.plus_micros(-age) };
        teller.tell(story).await?;
    }
    Ok(stories.len())
}

struct Teller<'a> {
    desk: &'a Desk,
    tenant: &'a Tenant,
    number: usize,
    at: Timestamp,
}

impl Teller<'_> {
    async fn tell(&mut self, story: &Story) -> Result<(), DeskError> {
        let opened = self.open(story).await?;
        let ticket = opened.ticket.id;
        // Versions as each was shown, so that a step can be made on an older one.
        let mut shown = vec![opened.ticket.version];
        for (index, step) in story.steps.iter().enumerate() {
            self.at = self.at.plus_micros(BETWEEN_STEPS_MICROS);
            let answer = self.step(ticket, index, step, &shown).await?;
            shown.push(answer.ticket.version);
        }
        Ok(())
    }

    async fn caller(&self, person: &Person) -> Result<Caller, DeskError> {
        let known = self.desk.ports().keyring.person(self.tenant, person.id).await?;
        Ok(Caller {
            tenant: self.tenant.clone(),
            role: person.role,
            principal: docket_schemas::Principal::Person(known.id),
            device: "demo".into(),
        })
    }

    async fn open(&self, story: &Story) -> Result<Answer, DeskError> {
        let requester = person_of(&story.requester);
        let caller = self.caller(requester).await?;
        let known = self.desk.ports().keyring.person(self.tenant, requester.id).await?;
        let Some(key) = known.key.clone() else { return Err(DeskError::Stopping) };
        let name = format!("demo:{}", self.number);
        let command_id =
            derivation::command_of_key(self.tenant, caller.role, &caller.principal, None, &name, 0);
        let opening = Opening {
            caller,
            command_id,
            request_mac: None,
            occurred_at: self.at,
            opened: Opened {
                requester_id: known.id,
                kind: None,
                status: Status::New,
                priority: story.priority,
                ticket_type: Some(story.ticket_type),
                tags: story.tags.clone(),
                group_id: Some(story.group.clone()),
                assignee_id: None,
                custom_fields: docket_schemas::CustomFields::new(),
                channel: story.channel,
                external_id: None,
                follow_up_of: None,
                source_row: None,
            },
            text: OpeningText {
                subject: story.subject.clone(),
                body: story.body.clone(),
                requester: Some(PersonText {
                    name: Some(requester.name.to_owned()),
                    email: Some(requester.email.to_owned()),
                }),
            },
            key,
            causation_id: None,
        };
        self.desk.open(opening).await
    }

    async fn step(
        &self,
        ticket: TicketId,
        index: usize,
        step: &Step,
        shown: &[Version],
    ) -> Result<Answer, DeskError> {
        let person = person_of(&step.by);
        let caller = self.caller(person).await?;
        let keyring = &self.desk.ports().keyring;
        let requester = self
            .desk
            .glance(self.tenant, ticket, |ticket| ticket.facts().map(|facts| facts.requester))
            .await?
            .flatten();
        let requester_key = match requester {
            Some(id) => keyring.person_by_id(self.tenant, id).await?.and_then(|p| p.key.clone()),
            None => None,
        };
        let name = format!("demo:{}:{index}", self.number);
        let stream = Some(Stream::ticket(ticket));
        let command_id = derivation::command_of_key(
            self.tenant,
            caller.role,
            &caller.principal,
            stream,
            &name,
            0,
        );
        let known = keyring.person(self.tenant, person.id).await?;
        let command = step.act.command(known.id);
        let intent = Intent {
            observed: step.having_seen.map(|version| shown[version.min(shown.len() - 1)].clone()),
            text_key: requester_key.clone(),
            requester_key,
            ..Intent::new(caller, ticket, command_id, self.at, command)
        };
        self.desk.execute(intent).await
    }
}
