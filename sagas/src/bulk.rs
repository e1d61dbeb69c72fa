//! `bulk-update`: one change to up to ten thousand tickets, a hundred at a time, each with a result of its own; undone
//! where nobody has written since.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use docket_engine::command::{Caller, Command, FieldChange, Intent, Refusal, SAGA_COMMANDS_MAX};
use docket_engine::desk::AsOf;
use docket_engine::ticket::taken_back;
use docket_schemas::saga::Direction;
use docket_schemas::{Changed, CommandId, Mac, Stream, TicketId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::act::{Local, Plan, Progress, Scene, StepError};
use crate::coordinator::Start;
use crate::definition::{Definition, Step};
use crate::state::State;

/// The definition's name.
pub const BULK: &str = "bulk-update";

/// Most tickets of one job.
pub const BULK_TICKETS_MAX: usize = 10_000;

/// What a bulk job's sagas are about, for whoever looks at them.
const SUBJECT: &str = "bulk-update";

/// The step that changes the tickets.
const APPLY: &str = "apply";

/// Changes every ticket that can be changed, and waits until view and index show it. A job that is done may be undone.
#[must_use]
pub fn bulk_update() -> Definition {
    Definition::new(BULK, 1)
        .step(Step::local(APPLY, Apply).undo(TakeBack))
        .step(Step::shown("shown"))
        .undone_when_done()
}

/// A wish to change many tickets.
#[derive(Debug, Clone)]
pub struct BulkRequest {
    /// Who wants it, and as whom every ticket is changed.
    pub caller: Caller,
    /// The request's own name.
    pub command_id: CommandId,
    /// Over the request.
    pub request_mac: Option<Mac>,
    /// Which tickets, each once.
    pub tickets: Vec<TicketId>,
    /// What is written; nothing sealed.
    pub set: Changed,
    /// When it was asked for.
    pub occurred_at: Timestamp,
}

impl BulkRequest {
    /// The saga that does it. The tickets stand in its first row, so that what was asked for is durable as one.
    #[must_use]
    pub fn start(self) -> Start {
        let Self { caller, command_id, request_mac, tickets, set, occurred_at } = self;
        Start {
            caller,
            command_id,
            request_mac,
            definition: BULK.to_owned(),
            subject: SUBJECT.to_owned(),
            input: json!({"tickets": encode(&tickets), "set": set}),
            occurred_at,
        }
    }
}

/// Sixteen bytes a ticket, in base64: 213 KB at most.
fn encode(tickets: &[TicketId]) -> String {
    let bytes: Vec<u8> = tickets.iter().flat_map(|ticket| ticket.uuid().into_bytes()).collect();
    STANDARD_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<TicketId>> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let (ids, []) = bytes.as_chunks::<16>() else { return None };
    Some(ids.iter().map(|id| TicketId::new(Uuid::from_bytes(*id))).collect())
}

/// What a part came to: the tickets that were not changed, by their place in the part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Results {
    /// The tickets of a part that is smaller than [`SAGA_COMMANDS_MAX`] and not the last: others kept writing to more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

impl Results {
    /// How many tickets it was, if there were so many.
    fn len(&self) -> usize {
        self.of.unwrap_or(SAGA_COMMANDS_MAX)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failed {
    at: usize,
    code: String,
    why: String,
}

/// What became of one ticket of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketResult {
    /// Which.
    pub ticket: TicketId,
    /// Why it was not changed: a problem's code, and in words.
    pub failed: Option<(String, String)>,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its tickets.
    pub total: usize,
    /// What became of those that were come to, in their order.
    pub results: Vec<TicketResult>,
}

impl Job {
    /// The job that a saga does; none where the saga is none.
    #[must_use]
    pub fn of(state: &State) -> Option<Self> {
        let begun = state.begun.as_ref().filter(|begun| begun.what.definition == BULK)?;
        let tickets = decode(begun.what.input["tickets"].as_str()?)?;
        let mut results = Vec::new();
        let run = state.step(APPLY).map(|step| &step.run);
        let parts = run.map_or(&[][..], |run| &run.parts);
        let whole = run.filter(|run| run.done_at.is_some()).map(|run| &run.output);
        let mut left = tickets.as_slice();
        for part in parts.iter().chain(whole) {
            let part = Results::deserialize(part).unwrap_or_default();
            let (chunk, rest) = left.split_at(part.len().min(left.len()));
            left = rest;
            let failed = part.failed;
            results.extend(chunk.iter().enumerate().map(|(at, ticket)| {
                TicketResult {
                    ticket: *ticket,
                    failed: failed
                        .iter()
                        .find(|failed| failed.at == at)
                        .map(|failed| (failed.code.clone(), failed.why.clone())),
                }
            }));
        }
        Some(Self { total: tickets.len(), results })
    }

    /// Tickets that were not changed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| result.failed.is_some()).count()
    }
}

/// A job's input, read again.
struct Work {
    tickets: Vec<TicketId>,
    set: Changed,
}

impl Work {
    fn of(scene: &Scene) -> Result<Self, StepError> {
        let tickets = scene.input["tickets"].as_str().and_then(decode);
        let set = Changed::deserialize(&scene.input["set"]).ok();
        let work = tickets.zip(set).map(|(tickets, set)| Self { tickets, set });
        work.ok_or_else(|| StepError::Business("the input is no job's".to_owned()))
    }

    /// The tickets of the next part, and whether it is the last.
    fn next(&self, scene: &Scene) -> (&[TicketId], Progress) {
        let done = scene.parts.iter().map(|part| Results::deserialize(part).unwrap_or_default());
        let from = done.map(|part| part.len()).sum();
        let upto = scene.at_most.saturating_add(from).min(self.tickets.len());
        let part = self.tickets.get(from..upto).unwrap_or_default();
        let is_last = upto == self.tickets.len();
        (part, if is_last { Progress::Whole } else { Progress::Part })
    }
}

/// The command that changes one ticket of a job.
fn command_of(scene: &Scene, ticket: TicketId, direction: Direction) -> CommandId {
    let key = format!("{APPLY}/{}/{ticket}", direction.as_str());
    docket_schemas::derivation::saga_effect(scene.start, &key)
}

fn intent(scene: &Scene, ticket: TicketId, change: FieldChange) -> Intent {
    let command_id = command_of(scene, ticket, scene.direction);
    scene.intent(ticket, command_id, Command::Change(Box::new(change)))
}

/// One unit over the tickets of `places`, which stand in the part where it says; a ticket that refuses is its own result.
fn plan(
    intents: Vec<Intent>,
    places: Vec<usize>,
    (tickets, progress): (&[TicketId], Progress),
) -> Plan {
    let of = Some(tickets.len()).filter(|of| *of < SAGA_COMMANDS_MAX && progress == Progress::Part);
    let whole = Plan::whole(intents, Value::Null);
    let report = move |verdicts: &[Result<(), Refusal>]| {
        let failed = verdicts.iter().zip(&places).filter_map(|(verdict, at)| {
            let refusal = verdict.as_ref().err()?;
            let (code, why) = (code(refusal).to_owned(), refusal.to_string());
            Some(Failed { at: *at, code, why })
        });
        Ok(json!(Results { of, failed: failed.collect() }))
    };
    Plan { report: std::sync::Arc::new(report), progress, divisible: true, ..whole }
}

struct Apply;

#[async_trait]
impl Local for Apply {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let work = Work::of(scene)?;
        let part @ (tickets, _) = work.next(scene);
        let change = FieldChange::from(&work.set);
        let intents = tickets.iter().map(|ticket| intent(scene, *ticket, change.clone()));
        Ok(plan(intents.collect(), (0..tickets.len()).collect(), part))
    }
}

struct TakeBack;

#[async_trait]
impl Local for TakeBack {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let work = Work::of(scene)?;
        let part @ (tickets, _) = work.next(scene);
        let (mut intents, mut places) = (Vec::new(), Vec::new());
        for (at, ticket) in tickets.iter().enumerate() {
            if let Some(change) = before(scene, *ticket, &work.set).await? {
                intents.push(intent(scene, *ticket, change));
                places.push(at);
            }
        }
        Ok(plan(intents, places, part))
    }
}

/// What takes a job's change back from a ticket; none where it was not changed, or others have written since.
async fn before(
    scene: &Scene,
    ticket: TicketId,
    set: &Changed,
) -> Result<Option<FieldChange>, StepError> {
    let (tenant, desk) = (&scene.tenant, &scene.desk);
    let command = command_of(scene, ticket, Direction::Run);
    let partition = Stream::ticket(ticket).partition(tenant);
    let stored = desk.ports().log.event_of_command(tenant, partition, command).await;
    let stored = stored.map_err(|error| StepError::Transient(error.to_string()))?;
    let Some(stored) = stored else { return Ok(None) };
    let at = AsOf::Position(stored.position.saturating_sub(1));
    let Some(mut past) = desk.as_of(tenant, ticket, &at).await? else { return Ok(None) };
    let change = desk
        .look(tenant, ticket, |now| taken_back(now, &mut past, command, set))
        .await?
        .ok_or_else(|| StepError::Business("the ticket is gone".to_owned()))?;
    change.map_err(|error| StepError::Transient(error.to_string()))
}

/// The code of the problem that callers would be told.
const fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotFound => "not_found",
        Refusal::Forbidden { .. } => "forbidden",
        Refusal::Closed => "closed",
        Refusal::Stale => "stale",
        Refusal::AlreadyClaimed { .. } => "already_claimed",
        Refusal::NotClaimed => "not_claimed",
        Refusal::VersionUnknown => "version_unknown",
        Refusal::PreconditionFailed { .. } => "precondition_failed",
        Refusal::TooManyForks => "too_many_forks",
        Refusal::NotMergeable { .. } | Refusal::Elsewhere => "not_mergeable",
        Refusal::Invalid { .. } => "invalid",
    }
}
