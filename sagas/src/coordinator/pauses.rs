//! Pauses: which definitions rest, by the table and by acts that it does not hold yet.

use std::collections::{HashMap, HashSet};

use docket_engine::ports::log::LogError;
use docket_engine::ports::sagas::{Pause, SagaTable};
use docket_schemas::{Event, Partition, Position, SagaPayload, Tenant, derivation};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::CoordinatorPorts;
use super::load::saga_events;

/// Names a tenant's definition.
pub(super) type Named = (Tenant, String);

/// An operator's act, which counts until the table has reached it.
#[derive(Clone, Copy)]
struct Turn {
    partition: Partition,
    position: Position,
    is_paused: bool,
}

/// What rests on this node.
#[derive(Default)]
pub(super) struct Pauses {
    now: watch::Sender<HashSet<Named>>,
    turns: Mutex<HashMap<Named, Turn>>,
}

impl Pauses {
    pub(super) fn holds(&self, tenant: &Tenant, definition: &str) -> bool {
        let now = self.now.borrow();
        !now.is_empty() && now.contains(&(tenant.clone(), definition.to_owned()))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<HashSet<Named>> {
        self.now.subscribe()
    }

    /// Follows an act that stands in the log, unless a newer one is known.
    pub(super) fn turn(&self, pause: &Pause, (partition, position): (Partition, Position)) {
        let named = (pause.tenant.clone(), pause.definition.clone());
        let mut turns = self.turns.lock();
        if turns.get(&named).is_some_and(|turn| turn.position >= position) {
            return;
        }
        turns.insert(named, Turn { partition, position, is_paused: pause.is_paused });
        self.now.send_if_modified(|now| apply(now, &turns));
    }

    /// Hears of acts that the table does not hold yet: who led their partition may have ended before it did.
    pub(super) async fn hear(&self, ports: &CoordinatorPorts) -> Result<(), LogError> {
        for partition in Partition::all() {
            let mut after = ports.table.reached(partition).await?;
            loop {
                let page = saga_events(ports, partition, after).await?;
                for event in &page.events {
                    let payload = event.saga_payload().ok();
                    if let Some(pause) = payload.and_then(|payload| pause(event, &payload)) {
                        self.turn(&pause, (event.partition, event.position));
                    }
                }
                match page.upto {
                    Some(upto) => after = upto,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Takes what the table says, but for acts that it has not reached.
    pub(super) async fn look(&self, table: &dyn SagaTable) -> Result<(), LogError> {
        // First how far it has come: what it says afterwards holds at least that.
        let awaited: HashSet<Partition> =
            self.turns.lock().values().map(|turn| turn.partition).collect();
        let mut reached = HashMap::new();
        for partition in awaited {
            reached.insert(partition, table.reached(partition).await?);
        }
        let pauses = table.paused().await?;
        let mut next: HashSet<Named> =
            pauses.into_iter().map(|pause| (pause.tenant, pause.definition)).collect();
        let mut turns = self.turns.lock();
        turns.retain(|_, turn| {
            reached.get(&turn.partition).is_none_or(|reached| *reached < turn.position)
        });
        apply(&mut next, &turns);
        self.now.send_if_modified(|now| {
            let changed = *now != next;
            *now = next;
            changed
        });
        Ok(())
    }
}

/// True where that changes something.
fn apply(now: &mut HashSet<Named>, turns: &HashMap<Named, Turn>) -> bool {
    let mut changed = false;
    for (named, turn) in turns {
        changed |= match turn.is_paused {
            true => now.insert(named.clone()),
            false => now.remove(named),
        };
    }
    changed
}

/// The act that an event of a definition's stream says.
pub(super) fn pause(event: &Event, payload: &SagaPayload) -> Option<Pause> {
    let (definition, is_paused) = match payload {
        SagaPayload::DefinitionPaused(of) => (of.definition.clone(), true),
        SagaPayload::DefinitionResumed(of) => (of.definition.clone(), false),
        _ => return None,
    };
    let own = event.stream == derivation::saga_definition(&definition);
    own.then(|| Pause { tenant: event.tenant.clone(), definition, is_paused })
}
