//! Somebody who writes on tickets, at the desk itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use docket_engine::command::{Caller, Command, FieldChange, Intent, NewMessage, Visibility};
use docket_engine::desk::Desk;
use docket_engine::seal::DataKey;
use docket_schemas::{CommandId, Priority, Status, TicketId};
use tokio::task::JoinSet;

use super::sagas;
use crate::wire::WireError;

/// Tickets that are worked on at once.
const AT_ONCE: u64 = 512;

const QUESTION: &str =
    "Have you turned it off and on again? It helps more often than one would think.";
const ANSWER: &str =
    "I have, twice. The lamp beside the lid blinks now, which it did not do before.";

/// An agent at work.
#[derive(Clone)]
pub(super) struct Writing {
    desk: Desk,
    caller: Caller,
    key: Arc<DataKey>,
}

impl Writing {
    pub(super) async fn new(desk: &Desk) -> Result<Self, WireError> {
        let caller = sagas::caller(desk).await?;
        let person = desk.ports().keyring.person(&caller.tenant, "bench").await?;
        let key = person.key.clone().ok_or("the requester has no key")?;
        Ok(Self { desk: desk.clone(), caller, key })
    }

    /// Six more events on each ticket.
    pub(super) async fn work_on(&self, tickets: Vec<TicketId>) -> Result<(), WireError> {
        let (tickets, next) = (Arc::new(tickets), Arc::new(AtomicU64::new(0)));
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (writing, tickets, next) = (self.clone(), Arc::clone(&tickets), Arc::clone(&next));
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(ticket) = tickets.get(usize::try_from(number)?) else { return Ok(()) };
                    for command in six(number) {
                        writing.write(*ticket, command).await?;
                    }
                }
            });
        }
        while let Some(worked) = workers.join_next().await {
            let worked: Result<(), WireError> = worked?;
            worked?;
        }
        Ok(())
    }

    /// Does one of them, which follows from its number: of ten four are messages, one of them a note.
    pub(super) async fn mixed(&self, ticket: TicketId, number: u64) -> Result<(), WireError> {
        let command = match number % 10 {
            0..=2 => say(QUESTION, Visibility::Public),
            3 => say(ANSWER, Visibility::Internal),
            4 | 5 => prioritized(number / 10),
            6 | 7 => tagged(number / 10),
            8 => moved_to(Status::Pending),
            _ => moved_to(Status::Open),
        };
        self.write(ticket, command).await
    }

    async fn write(&self, ticket: TicketId, command: Command) -> Result<(), WireError> {
        let ports = self.desk.ports();
        let (command_id, now) = (CommandId::new(ports.ids.time_ordered()), ports.clock.now());
        let intent = Intent {
            text_key: Some(Arc::clone(&self.key)),
            requester_key: Some(Arc::clone(&self.key)),
            ..Intent::new(self.caller.clone(), ticket, command_id, now, command)
        };
        self.desk.execute(intent).await?;
        Ok(())
    }
}

/// The life of a ticket after it was opened.
fn six(number: u64) -> [Command; 6] {
    [
        prioritized(number),
        say(QUESTION, Visibility::Public),
        say(ANSWER, Visibility::Public),
        moved_to(Status::Pending),
        tagged(number),
        moved_to(Status::Solved),
    ]
}

fn say(body: &str, visibility: Visibility) -> Command {
    Command::AddMessage(NewMessage { body: body.to_owned(), visibility, status: None })
}

fn change(change: FieldChange) -> Command {
    Command::Change(Box::new(change))
}

fn prioritized(number: u64) -> Command {
    let priority = Priority::ALL[usize::try_from(number % 4).unwrap_or(0)];
    change(FieldChange { priority: Some(priority), ..FieldChange::default() })
}

fn tagged(number: u64) -> Command {
    let add_tags = vec![format!("topic {}", number % 300)];
    change(FieldChange { add_tags, ..FieldChange::default() })
}

fn moved_to(status: Status) -> Command {
    change(FieldChange { status: Some(status), ..FieldChange::default() })
}
