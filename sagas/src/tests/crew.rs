//! The crew: nodes with coordinators over one log in memory, and steps that do as they are told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_engine::command::{Caller, Command};
use docket_engine::cursor::Positions;
use docket_engine::desk::{Desk, Ports, start};
use docket_engine::memory::{MemoryLog, MemoryRoster, MemorySagas};
use docket_engine::ports::clock::Clock;
use docket_engine::ports::ids::Ids as _;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::LogError;
use docket_engine::ports::nodes::Nodes as _;
use docket_engine::ports::sagas::{Barrier as _, Passage, SagaTable, Standing};
use docket_engine::tail::Tail;
use docket_engine::testing::{Office, UnsureLog};
use docket_schemas::saga::Direction;
use docket_schemas::{CommandId, Event, Role, TicketId, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::coordinator::Coordinating;
use crate::*;

/// The clock on the wall.
struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "timers of sagas go by it")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// What steps are told to do, by `step/direction`: errors, the first first, then success.
#[derive(Default)]
pub(super) struct Script {
    errors: Mutex<HashMap<String, Vec<StepError>>>,
    /// Every call outside, by key, in order.
    pub(super) calls: Mutex<Vec<String>>,
    /// What stands outside.
    pub(super) outside: Mutex<HashMap<String, i32>>,
}

impl Script {
    pub(super) fn fail(&self, at: &str, errors: &[StepError]) {
        self.errors.lock().insert(at.to_owned(), errors.to_vec());
    }

    fn error(&self, scene: &Scene) -> Option<StepError> {
        let at = format!("{}/{}", scene.step, scene.direction.as_str());
        let mut errors = self.errors.lock();
        let left = errors.get_mut(&at).filter(|left| !left.is_empty())?;
        Some(left.remove(0))
    }
}

pub(super) fn business() -> StepError {
    StepError::Business("it is not to be".to_owned())
}

pub(super) fn transient() -> StepError {
    StepError::Transient("not now".to_owned())
}

/// Tags the saga's ticket with the step's name; its undo takes the tag off.
#[derive(Clone)]
pub(super) struct Tag(pub(super) Arc<Script>);

#[async_trait]
impl Local for Tag {
    async fn plan(&self, scene: &Scene) -> Result<Plan, StepError> {
        if let Some(error) = self.0.error(scene) {
            return Err(error);
        }
        let command = match scene.direction {
            Direction::Run => Command::tags(&[scene.step], &[]),
            Direction::Undo => Command::tags(&[], &[scene.step]),
        };
        let intent = scene.intent(scene.ticket("ticket")?, scene.command("tag"), command);
        Ok(Plan::whole(vec![intent], json!({"tag": scene.step})))
    }
}

/// Does something outside, guarded by the barrier.
#[derive(Clone)]
pub(super) struct Outside(pub(super) Arc<Script>, pub(super) Arc<MemorySagas>);

#[async_trait]
impl Remote for Outside {
    async fn call(&self, scene: &Scene) -> Result<Value, StepError> {
        self.0.calls.lock().push(scene.key());
        let passed = self.1.pass(&scene.tenant, scene.saga, scene.step, scene.direction).await;
        let passed = passed.map_err(|error| StepError::Transient(error.to_string()))?;
        if passed == Passage::First {
            let by = if scene.direction == Direction::Run { 1 } else { -1 };
            *self.0.outside.lock().entry(format!("{}/{}", scene.saga, scene.step)).or_default() +=
                by;
        }
        match self.0.error(scene) {
            Some(error) => Err(error),
            None => Ok(Value::Null),
        }
    }
}

/// How far view and index say that they have come.
pub(super) struct Told(pub(super) watch::Sender<Option<Positions>>);

#[async_trait]
impl Shown for Told {
    async fn reached(&self) -> Result<Positions, LogError> {
        Ok(self.0.borrow().unwrap_or(Positions::START))
    }
}

fn everything() -> Positions {
    let mut all = Positions::START;
    for partition in docket_schemas::Partition::all() {
        all.set(partition, u64::MAX >> 1);
    }
    all
}

pub(super) struct Crew {
    pub(super) office: Office,
    /// The office's log itself.
    pub(super) memory: Arc<MemoryLog>,
    pub(super) script: Arc<Script>,
    pub(super) table: Arc<MemorySagas>,
    pub(super) roster: Arc<MemoryRoster>,
    pub(super) shown: Arc<Told>,
    pub(super) limits: LiveLimits,
    /// The office's log, as the nodes' desks have it.
    pub(super) log: Arc<UnsureLog>,
}

pub(super) struct Node {
    pub(super) desk: Desk,
    pub(super) coordinator: Coordinator,
    pub(super) id: Uuid,
    pub(super) task: Coordinating,
}

pub(super) const QUICK: Retry = Retry { tries_max: 3, pause_min: Duration::from_millis(4) };

impl Crew {
    pub(super) async fn new() -> Self {
        let memory = Arc::new(MemoryLog::new());
        let office = Office::over(memory.clone()).await;
        let table = Arc::new(MemorySagas::new(Arc::clone(&office.log)));
        let roster = Arc::new(MemoryRoster::new(Arc::new(Wall)));
        let shown = Arc::new(Told(watch::Sender::new(Some(everything()))));
        let limits = LiveLimits::default();
        let log = Arc::new(UnsureLog::new(Arc::clone(&office.log)));
        Self { office, memory, script: Arc::default(), table, roster, shown, limits, log }
    }

    /// Four tags, one after the other.
    pub(super) fn four(&self) -> Definition {
        self.four_of_version(1)
    }

    pub(super) fn four_of_version(&self, version: u16) -> Definition {
        let tag = Tag(Arc::clone(&self.script));
        ["a", "b", "c", "d"].into_iter().fold(Definition::new("four", version), |four, name| {
            four.step(Step::local(name, tag.clone()).undo(tag.clone()).retry(QUICK))
        })
    }

    pub(super) fn outside(&self) -> Outside {
        Outside(Arc::clone(&self.script), Arc::clone(&self.table))
    }

    pub(super) async fn node(&self, definitions: Vec<Definition>) -> Node {
        let node = self.try_node(definitions).await.expect("the node begins");
        // It leads as soon as its first look at the leases is over.
        for _ in 0..200 {
            if docket_schemas::Partition::all().all(|partition| node.coordinator.leads(partition)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        node
    }

    pub(super) async fn try_node(&self, definitions: Vec<Definition>) -> Result<Node, SagaError> {
        self.node_over(self.table.clone(), definitions).await
    }

    /// A node that has its table by another way.
    pub(super) async fn node_over(
        &self,
        table: Arc<dyn SagaTable>,
        definitions: Vec<Definition>,
    ) -> Result<Node, SagaError> {
        let ports = Ports { clock: Arc::new(Wall), log: self.log.clone(), ..self.office.ports() };
        let desk = start(ports, "eu").await.expect("the desk opens").desk;
        let log = Arc::clone(&self.office.log);
        let tail = Tail::follow(log, &*self.office.bus).await.expect("the log says its heads");
        let id = self.office.ids.time_ordered();
        self.roster.report(id, &Positions::START).await.expect("in memory");
        let ports = CoordinatorPorts {
            desk: desk.clone(),
            table,
            leases: self.roster.clone(),
            nodes: self.roster.clone(),
            tail,
            shown: self.shown.clone(),
            node: id,
            limits: self.limits,
        };
        let registry = Registry::new(definitions).expect("good definitions");
        let (coordinator, task) = Coordinator::begin(ports, registry).await?;
        Ok(Node { desk, coordinator, id, task })
    }

    pub(super) async fn ticket(&self, node: &Node) -> TicketId {
        let opening = self.office.opening().await;
        node.desk.open(opening).await.expect("it opens").ticket.id
    }

    pub(super) async fn start(
        &self,
        node: &Node,
        definition: &str,
        ticket: TicketId,
    ) -> StartedSaga {
        let start = self.asked(definition, ticket).await;
        node.coordinator.start(start).await.expect("it starts")
    }

    pub(super) async fn asked(&self, definition: &str, ticket: TicketId) -> Start {
        Start {
            caller: self.agent().await,
            command_id: self.office.command(),
            request_mac: None,
            definition: definition.to_owned(),
            subject: ticket.to_string(),
            input: json!({"ticket": ticket}),
            occurred_at: Wall.now(),
        }
    }

    pub(super) async fn agent(&self) -> Caller {
        self.office.caller(Role::Agent, "ann").await
    }

    pub(super) async fn operator(&self) -> Operator {
        Operator {
            caller: self.office.caller(Role::Admin, "root").await,
            command_id: CommandId::new(self.office.ids.time_ordered()),
            request_mac: None,
            occurred_at: Wall.now(),
        }
    }

    /// Runs a saga to where it rests.
    pub(super) async fn run(&self, node: &Node, definition: &str) -> (TicketId, State, Standing) {
        let ticket = self.ticket(node).await;
        let started = self.start(node, definition, ticket).await;
        let standing = self.settle(node, &started).await;
        (ticket, self.load(node, &started).await, standing)
    }

    pub(super) async fn settle(&self, node: &Node, started: &StartedSaga) -> Standing {
        let settled = node.coordinator.settled(started);
        let settled = tokio::time::timeout(Duration::from_secs(20), settled).await;
        settled.expect("it settles").expect("it can be read")
    }

    pub(super) async fn load(&self, node: &Node, started: &StartedSaga) -> State {
        let (tenant, id) = (&self.office.tenant, started.state.id);
        node.coordinator.load(tenant, id).await.expect("it is there")
    }

    pub(super) async fn tags(&self, node: &Node, ticket: TicketId) -> Vec<String> {
        let look = node.desk.look(&self.office.tenant, ticket, |ticket| {
            ticket.resolve().expect("a sound ticket").tags
        });
        look.await.expect("the log answers").expect("it is there")
    }

    pub(super) async fn rows(&self, state: &State) -> Vec<Event> {
        let stream = docket_schemas::Stream::saga(state.id);
        let read = docket_engine::ports::log::StreamRead {
            tenant: self.office.tenant.clone(),
            stream,
            after: 0,
        };
        self.office.log.stream_events(&[read]).await.expect("the log answers")
    }

    /// Has a node lose what it leads at once.
    pub(super) async fn end(&self, node: Node) {
        drop(node.task);
        self.roster.leave(node.id).await.expect("in memory");
        for lane in 0..4 {
            self.roster.release(&format!("saga/{lane}"), node.id).await.expect("in memory");
        }
    }
}
