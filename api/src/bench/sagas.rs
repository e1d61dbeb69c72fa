//! Four-step local sagas, and the same four writes without a saga.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use docket_engine::command::{Caller, Command, FieldChange, Intent, Opening};
use docket_engine::desk::{Desk, WAITING_WRITES_MAX};
use docket_engine::ports::sagas::Standing;
use docket_engine::tail::Tail;
use docket_sagas::{Coordinator, FOUR, FOUR_STEPS, Start};
use docket_schemas::{
    Channel, CommandId, CustomFields, Opened, OpeningText, Principal, Priority, Role, Status,
    TicketId,
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::in_scratch::in_scratch;
use super::requests::TENANT;
use crate::clock;
use crate::sagas::{NothingDerived, begin};
use crate::wire::scratch::Scratch;
use crate::wire::{self, Installation, WireError};

/// How long the node is given to take what it leads.
const LEADS_WITHIN: Duration = Duration::from_secs(10);

/// Tickets that are opened at the same time: of more some might be told to come back.
const OPENED_AT_ONCE: usize = WAITING_WRITES_MAX / 4;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long, with sagas and without.
    pub duration: Duration,
    /// Sagas that are under way at once.
    pub at_once: usize,
    /// Tickets that they are about.
    pub tickets: usize,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct SagasReport {
    /// `sagas`.
    pub bench: &'static str,
    /// What was measured on.
    pub backend: String,
    /// Processors of the machine.
    pub processors: usize,
    /// Sagas under way at once.
    pub at_once: usize,
    /// Tickets that they were about.
    pub tickets: usize,
    /// How long each of both was measured.
    pub seconds: f64,
    /// Sagas that ended done.
    pub sagas: u64,
    /// Of them, in a second.
    pub sagas_per_second: f64,
    /// The same four writes without a saga, in a second.
    pub fours_per_second: f64,
    /// The first by the second.
    pub ratio: f64,
    /// Sagas that did not end done.
    pub errors: u64,
}

impl SagasReport {
    /// As a table.
    #[must_use]
    pub fn table(&self) -> String {
        format!(
            "backend              {}\nprocessors           {}\nat once              {}\ntickets              {}\n\
             sagas/s              {:.0}\nfour writes/s        {:.0}\nratio                {:.2}\nerrors               {}\n",
            self.backend,
            self.processors,
            self.at_once,
            self.tickets,
            self.sagas_per_second,
            self.fours_per_second,
            self.ratio,
            self.errors
        )
    }
}

/// Measures in a scratch installation like `installation`.
///
/// # Errors
/// When something fails.
pub async fn run(
    installation: &Installation,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<SagasReport, WireError> {
    let measuring = async |scratch: &Scratch| measure(scratch, plan, &progress).await;
    let (backend, report) = in_scratch(installation, "sagas", measuring).await?;
    Ok(SagasReport { backend, ..report })
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<SagasReport, WireError> {
    let node = wire::open(&scratch.installation, "bench", Box::new(|_, _| {})).await?;
    let ports = node.desk.ports();
    let tail = Tail::follow(Arc::clone(&ports.log), &*ports.bus).await?;
    let (coordinator, coordinating) =
        begin(&node, tail, NothingDerived, node.desk.ports().ids.time_ordered()).await?;
    leads(&coordinator).await?;
    progress("opening tickets");
    let tickets = Arc::new(open_tickets(&node.desk, plan.tickets).await?);
    let caller = caller(&node.desk).await?;
    let doing = Doing { desk: node.desk.clone(), coordinator, caller, tickets };

    progress("warming up");
    doing.drive(What::Sagas, plan.at_once, Duration::from_secs(2)).await;
    doing.drive(What::Writes, plan.at_once, Duration::from_secs(2)).await;
    progress("four writes without a saga");
    let writes = doing.drive(What::Writes, plan.at_once, plan.duration).await;
    progress("sagas of four steps");
    let sagas = doing.drive(What::Sagas, plan.at_once, plan.duration).await;
    coordinating.end().await;
    drop(doing);
    let per_second = |done: &Done| done.count as f64 / done.seconds;
    Ok(SagasReport {
        bench: "sagas",
        backend: String::new(),
        processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        at_once: plan.at_once,
        tickets: plan.tickets,
        seconds: sagas.seconds,
        sagas: sagas.count,
        sagas_per_second: per_second(&sagas),
        fours_per_second: per_second(&writes),
        ratio: per_second(&sagas) / per_second(&writes),
        errors: sagas.errors + writes.errors,
    })
}

/// Waits until the node leads every partition.
pub(crate) async fn leads(coordinator: &Coordinator) -> Result<(), WireError> {
    let all = async {
        while !docket_schemas::Partition::all().all(|partition| coordinator.leads(partition)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    Ok(tokio::time::timeout(LEADS_WITHIN, all).await?)
}

pub(crate) async fn caller(desk: &Desk) -> Result<Caller, WireError> {
    let tenant = TENANT.parse()?;
    let person = desk.ports().keyring.person(&tenant, "bench").await?;
    let principal = Principal::Person(person.id);
    Ok(Caller { tenant, role: Role::Agent, principal, device: "bench".into() })
}

/// Opens tickets.
pub(crate) async fn open_tickets(desk: &Desk, count: usize) -> Result<Vec<TicketId>, WireError> {
    let caller = caller(desk).await?;
    let person = desk.ports().keyring.person(&caller.tenant, "bench").await?;
    let key = person.key.clone().ok_or("the requester has no key")?;
    let opening = stream::iter(0..count).map(|_| {
        let desk = desk.clone();
        let open = Opening {
            caller: caller.clone(),
            command_id: CommandId::new(desk.ports().ids.time_ordered()),
            request_mac: None,
            occurred_at: desk.ports().clock.now(),
            opened: opened(person.id),
            text: OpeningText {
                subject: "measured".to_owned(),
                body: "a ticket to measure with".to_owned(),
                requester: None,
            },
            key: Arc::clone(&key),
            causation_id: None,
        };
        tokio::spawn(async move { desk.open(open).await.map(|answer| answer.ticket.id) })
    });
    let mut opening = opening.buffer_unordered(OPENED_AT_ONCE);
    let mut tickets = Vec::with_capacity(count);
    while let Some(opened) = opening.next().await {
        tickets.push(opened??);
    }
    Ok(tickets)
}

fn opened(requester_id: docket_schemas::PersonId) -> Opened {
    Opened {
        requester_id,
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
    }
}

/// What is driven.
#[derive(Debug, Clone, Copy)]
enum What {
    Sagas,
    Writes,
}

#[derive(Debug)]
struct Done {
    count: u64,
    errors: u64,
    seconds: f64,
}

#[derive(Clone)]
struct Doing {
    desk: Desk,
    coordinator: Coordinator,
    caller: Caller,
    tickets: Arc<Vec<TicketId>>,
}

impl Doing {
    /// Keeps `at_once` going until the time is over.
    async fn drive(&self, what: What, at_once: usize, duration: Duration) -> Done {
        let (next, errors) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let done = Arc::new(AtomicU64::new(0));
        let began = clock::monotonic();
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            let (doing, next) = (self.clone(), Arc::clone(&next));
            let (done, errors) = (Arc::clone(&done), Arc::clone(&errors));
            workers.spawn(async move {
                while clock::monotonic().duration_since(began) < duration {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let index = usize::try_from(number).unwrap_or(0) % doing.tickets.len();
                    let well = match what {
                        What::Sagas => doing.saga(doing.tickets[index]).await,
                        What::Writes => doing.four_writes(doing.tickets[index]).await,
                    };
                    let count = if well { &done } else { &errors };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while workers.join_next().await.is_some() {}
        let seconds = clock::monotonic().duration_since(began).as_secs_f64();
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Done { count: load(&done), errors: load(&errors), seconds }
    }

    async fn saga(&self, ticket: TicketId) -> bool {
        let ports = self.desk.ports();
        let start = Start {
            caller: self.caller.clone(),
            command_id: CommandId::new(ports.ids.time_ordered()),
            request_mac: None,
            definition: FOUR.to_owned(),
            subject: ticket.to_string(),
            input: json!({"ticket": ticket}),
            occurred_at: ports.clock.now(),
        };
        match self.coordinator.start(start).await {
            Ok(started) => {
                matches!(self.coordinator.settled(&started).await, Ok(Standing::Done))
            }
            Err(_) => false,
        }
    }

    async fn four_writes(&self, ticket: TicketId) -> bool {
        for tag in FOUR_STEPS {
            let ports = self.desk.ports();
            let (command_id, now) = (CommandId::new(ports.ids.time_ordered()), ports.clock.now());
            let change = FieldChange { add_tags: vec![tag.to_owned()], ..FieldChange::default() };
            let command = Command::Change(Box::new(change));
            let intent = Intent::new(self.caller.clone(), ticket, command_id, now, command);
            if self.desk.execute(intent).await.is_err() {
                return false;
            }
        }
        true
    }
}
