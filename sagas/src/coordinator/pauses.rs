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
#[derive(Clone, Copy, PartialEq, Eq)]
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
        let awaited = self.turns.lock().clone();
        let mut over = HashMap::new();
        for (named, turn) in awaited {
            let is_kept = table.reached(turn.partition).await? >= turn.position;
            if is_kept || !stands(table, &named, turn).await? {
                over.insert(named, turn);
            }
        }
        let pauses = table.paused().await?;
        let mut next: HashSet<Named> =
            pauses.into_iter().map(|pause| (pause.tenant, pause.definition)).collect();
        let mut turns = self.turns.lock();
        turns.retain(|named, turn| over.get(named) != Some(turn));
        apply(&mut next, &turns);
        self.now.send_if_modified(|now| {
            let changed = *now != next;
            *now = next;
            changed
        });
        Ok(())
    }
}

/// Whether the log still has an act: it may have been restored to before it, and the table would never reach it then.
async fn stands(table: &dyn SagaTable, named: &Named, turn: Turn) -> Result<bool, LogError> {
    let before = turn.position.saturating_sub(1);
    let found = match table.saga_events(turn.partition, before, 1).await {
        // Whoever writes the table passes it in a moment.
        Err(LogError::Damaged { .. }) => return Ok(true),
        found => found?,
    };
    let Some(event) = found.first().filter(|event| event.position == turn.position) else {
        return Ok(false);
    };
    let act = event.saga_payload().ok().and_then(|payload| pause(event, &payload));
    Ok(act.is_some_and(|act| {
        (&act.tenant, &act.definition, act.is_paused) == (&named.0, &named.1, turn.is_paused)
    }))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use docket_engine::command::PlainRow;
    use docket_engine::contract::drafts::{append_one, eu, placed};
    use docket_engine::memory::{MemoryLog, MemorySagas};
    use docket_engine::ports::log::{EventLog, Expected, Placed};
    use docket_engine::testing::Office;
    use docket_schemas::saga::payload::{DefinitionPaused, DefinitionResumed};
    use docket_schemas::{Role, Timestamp};

    use super::*;

    /// Writes an operator's act after the last one.
    async fn act(office: &Office, last: Position, is_paused: bool) -> Placed {
        let (definition, reason) = ("four".to_owned(), None);
        let payload = match is_paused {
            true => SagaPayload::DefinitionPaused(DefinitionPaused { definition, reason }),
            false => SagaPayload::DefinitionResumed(DefinitionResumed { definition, reason }),
        };
        let row = PlainRow {
            caller: office.caller(Role::Admin, "root").await,
            stream: derivation::saga_definition("four"),
            expected: Expected::Last(last),
            command_id: office.command(),
            request_mac: None,
            payload,
            slots: Vec::new(),
            occurred_at: Timestamp::from_micros(1),
            correlation_id: None,
            causation_id: None,
        };
        placed(&append_one(&office.log, [row.authored(&eu(1))]).await)[0]
    }

    #[tokio::test]
    async fn an_act_that_a_restore_has_lost_counts_no_longer() {
        let log = Arc::new(MemoryLog::new());
        let office = Office::over(log.clone()).await;
        log.begin_incarnation(None, &eu(1)).await.unwrap();
        let (pauses, table) = (Pauses::default(), MemorySagas::new(log.clone()));
        let turn = |placed: Placed, is_paused| {
            let (tenant, definition) = (office.tenant.clone(), "four".to_owned());
            let pause = Pause { tenant, definition, is_paused };
            pauses.turn(&pause, (placed.partition, placed.position));
        };
        let looks = async || {
            pauses.look(&table).await.unwrap();
            pauses.holds(&office.tenant, "four")
        };
        let before = log.backup();
        turn(act(&office, 0, true).await, true);
        assert!(looks().await, "it stands, and the table has not reached it");
        log.restore(before.clone());
        assert!(!looks().await, "the log has lost it");
        turn(act(&office, 0, true).await, true);
        assert!(looks().await);
        // Another act stands in its place.
        log.restore(before);
        act(&office, 0, false).await;
        assert!(!looks().await);
    }
}
