//! Digests: whether two replicas of one log are equal, and whether two logs of one input are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use docket_engine::cursor::Positions;
use docket_engine::desk::{Desk, DeskError};
use docket_engine::policy::Audience;
use docket_engine::ticket::Ticket;
use docket_schemas::canonical::Fields;
use docket_schemas::{ChangeHash, CommandId, Event, StreamKind, Tenant, TicketId, canonical};
use serde_json::Value;

use super::page;
use crate::present::Names;
use crate::present::ticket::present;

/// The two digests of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Equal for replicas of one log: sorted change hashes, heads, and every register with its survivors.
    pub replica: String,
    /// Equal for two logs of one input, whose seals differ: commands, facts, opened texts, causes by their commands,
    /// and the resolved tickets without tokens, event ids and recorded times.
    pub content: String,
    /// How many events they cover.
    pub events: u64,
}

/// Reads all of a tenant's log and computes both digests.
///
/// # Errors
/// When the log or the key store fails.
pub async fn digests(desk: &Desk, tenant: &Tenant) -> Result<Digests, DeskError> {
    let names = Names { desk, tenant };
    let mut positions = Positions::START;
    let mut commands: HashMap<ChangeHash, CommandId> = HashMap::new();
    let mut facts: BTreeMap<CommandId, [u8; 32]> = BTreeMap::new();
    let mut hashes: BTreeSet<ChangeHash> = BTreeSet::new();
    let mut tickets: BTreeSet<TicketId> = BTreeSet::new();
    let mut events = 0;
    loop {
        let page = page(desk, tenant, &positions).await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            positions.advance(event.partition, event.position);
            events += 1;
            if event.stream.kind == StreamKind::Ticket {
                tickets.insert(TicketId::new(event.stream.id));
            }
            if let Some(change) = &event.change {
                commands.insert(change.hash, event.command_id);
                hashes.insert(change.hash);
            }
            facts.insert(event.command_id, fact(names, event, &commands).await?);
        }
    }
    let mut replica = Fields::new("docket/replica-digest/1");
    for hash in &hashes {
        replica = replica.field(hash.0);
    }
    let mut content = Fields::new("docket/content-digest/1");
    for hash in facts.values() {
        content = content.field(hash);
    }
    for id in tickets {
        let (dump, resolved) = ticket(names, id).await?;
        replica = replica.field(dump);
        content = content.field(resolved);
    }
    Ok(Digests {
        replica: hex::encode(replica.finish()),
        content: hex::encode(content.finish()),
        events,
    })
}

async fn fact(
    names: Names<'_>,
    event: &Event,
    commands: &HashMap<ChangeHash, CommandId>,
) -> Result<[u8; 32], DeskError> {
    let text: Option<Value> = names.text(event).await?;
    let deps = event.change.iter().flat_map(|change| &change.deps);
    let mut causes: Vec<CommandId> = deps.filter_map(|dep| commands.get(dep).copied()).collect();
    causes.sort_unstable();
    let mut fields = Fields::new("docket/fact/1")
        .field(event.command_id.as_bytes())
        .field(event.event_type.as_str())
        .field(canonical::json(&names.payload(&event.data).await?))
        .optional(text.map(|text| canonical::json(&text)));
    for cause in causes {
        fields = fields.field(cause.as_bytes());
    }
    Ok(fields.finish())
}

/// A ticket's heads and registers, and its resolved state without what differs between two logs.
async fn ticket(names: Names<'_>, id: TicketId) -> Result<(String, String), DeskError> {
    let looked = names.desk.look(names.tenant, id, |ticket| {
        let resolved = ticket.resolve()?;
        Ok::<_, DeskError>((dump(ticket)?, resolved))
    });
    let (dump, resolved) = looked.await?.ok_or(docket_engine::command::Refusal::NotFound)??;
    let view = present(names, resolved, Audience::Staff).await?;
    let mut view = serde_json::to_value(&view).unwrap_or_default();
    if let Some(fields) = view.as_object_mut() {
        fields.remove("version");
    }
    for conflict in view["conflicts"].as_array_mut().into_iter().flatten() {
        for candidate in conflict["candidates"].as_array_mut().into_iter().flatten() {
            candidate.as_object_mut().map(|fields| fields.remove("event_id"));
        }
    }
    Ok((dump, canonical::json(&view)))
}

fn dump(ticket: &mut Ticket) -> Result<String, DeskError> {
    let heads = ticket.document.live().map_err(docket_engine::ticket::FoldError::from)?.get_heads();
    let mut heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
    heads.sort_unstable();
    let registers = ticket.registers()?;
    Ok(format!("{heads:?} {:?}", registers.dump()))
}
