//! `bulk-update`: one change to up to ten thousand tickets, a hundred at a time, each with a result of its own; undone
//! where nobody has written since.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use docket_engine::command::{Caller, Command, FieldChange, Intent, Refusal, SAGA_COMMANDS_MAX};
use docket_engine::desk::{AsOf, DeskError};
use docket_engine::ticket::TakeBack;
use docket_schemas::saga::Direction;
use docket_schemas::{Changed, CommandId, Mac, Stream, TicketId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::act::{Local, Plan, Progress, Scene, StepError};
use crate::coordinator::Start;
use crate::definition::{Definition, Step};
use crate::state::{State, Track};

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
        .step(Step::local(APPLY, Apply).undo(Undo))
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
    /// Why it was not changed, or not changed back: a problem's code, and in words.
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
        let verdicts = |direction| {
            let track = state.step(APPLY).map(|step| step.track(direction));
            track.map_or_else(Vec::new, |track| verdicts(track, tickets.len()))
        };
        let (run, undo) = (verdicts(Direction::Run), verdicts(Direction::Undo));
        let undo = undo.into_iter().chain(std::iter::repeat(None));
        let both = run.into_iter().zip(undo).map(|(run, undo)| run.or(undo));
        let results = tickets.iter().zip(both);
        let results =
            results.map(|(ticket, failed)| TicketResult { ticket: *ticket, failed }).collect();
        Some(Self { total: tickets.len(), results })
    }

    /// Tickets that were not changed, or not changed back.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| result.failed.is_some()).count()
    }
}

/// What one way came to for each ticket that it has come to: why it was not changed, or not changed back.
fn verdicts(track: &Track, total: usize) -> Vec<Option<(String, String)>> {
    let whole = track.done_at.map(|_| &track.output);
    let mut verdicts = Vec::new();
    for part in track.parts.iter().chain(whole) {
        let part = Results::deserialize(part).unwrap_or_default();
        let from = verdicts.len();
        verdicts.resize(total.min(from + part.len()), None);
        for Failed { at, code, why } in part.failed {
            if let Some(verdict) = verdicts.get_mut(from + at) {
                *verdict = Some((code, why));
            }
        }
    }
    verdicts
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

fn intent(scene: &Scene, ticket: TicketId, command: Command) -> Intent {
    scene.intent(ticket, command_of(scene, ticket, scene.direction), command)
}

/// Tickets of a part by their places in it: those that get a command, in its order, and those that cannot be read.
#[derive(Default)]
struct Places {
    asked: Vec<usize>,
    unreadable: Vec<usize>,
}

/// One unit over the tickets of a part; one that refuses is its own result.
fn plan(
    intents: Vec<Intent>,
    places: Places,
    (tickets, progress): (&[TicketId], Progress),
) -> Plan {
    let of = Some(tickets.len()).filter(|of| *of < SAGA_COMMANDS_MAX && progress == Progress::Part);
    let whole = Plan::whole(intents, Value::Null);
    let report = move |verdicts: &[Result<(), Refusal>]| {
        let told = |at: usize, refusal: &Refusal| {
            let (code, why) = (code(refusal).to_owned(), refusal.to_string());
            Failed { at, code, why }
        };
        let refused = verdicts.iter().zip(&places.asked);
        let refused = refused.filter_map(|(verdict, at)| Some(told(*at, verdict.as_ref().err()?)));
        let unreadable = places.unreadable.iter().map(|at| told(*at, &Refusal::Unreadable));
        Ok(json!(Results { of, failed: refused.chain(unreadable).collect() }))
    };
    Plan { report: std::sync::Arc::new(report), progress, divisible: true, ..whole }
}

struct Apply;

#[async_trait]
impl Local for Apply {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let work = Work::of(scene)?;
        let part @ (tickets, _) = work.next(scene);
        let change = || Command::Change(Box::new(FieldChange::from(&work.set)));
        let intents = tickets.iter().map(|ticket| intent(scene, *ticket, change()));
        let places = Places { asked: (0..tickets.len()).collect(), ..Places::default() };
        Ok(plan(intents.collect(), places, part))
    }
}

struct Undo;

#[async_trait]
impl Local for Undo {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        let work = Work::of(scene)?;
        let part @ (tickets, _) = work.next(scene);
        let (mut intents, mut places) = (Vec::new(), Places::default());
        for (at, ticket) in tickets.iter().enumerate() {
            match before(scene, *ticket, &work.set).await {
                Ok(Some(take_back)) => {
                    let command = Command::TakeBack(Box::new(take_back));
                    intents.push(intent(scene, *ticket, command));
                    places.asked.push(at);
                }
                Ok(None) => {}
                Err(DeskError::Damaged(_)) => places.unreadable.push(at),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(plan(intents, places, part))
    }
}

/// What takes a job's change back from a ticket; none where it was not changed. Only what came before the change is read
/// here, which stays as it is: others may write to the ticket until the undo does.
async fn before(
    scene: &Scene,
    ticket: TicketId,
    set: &Changed,
) -> Result<Option<TakeBack>, DeskError> {
    let (tenant, desk) = (&scene.tenant, &scene.desk);
    let command = command_of(scene, ticket, Direction::Run);
    let partition = Stream::ticket(ticket).partition(tenant);
    let stored = desk.ports().log.event_of_command(tenant, partition, command).await?;
    let Some(stored) = stored else { return Ok(None) };
    let at = AsOf::Position(stored.position.saturating_sub(1));
    let Some(mut past) = desk.as_of_for_write(tenant, ticket, &at).await? else { return Ok(None) };
    Ok(Some(TakeBack::new(&mut past, command, set)?))
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
        Refusal::Unreadable => "internal",
    }
}
