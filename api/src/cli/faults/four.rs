//! A rehearsal of sagas of four steps, each of which puts a tag on.

use std::sync::Arc;

use docket_engine::ports::sagas::SagaRow;
use docket_engine::tail::Tail;
use docket_sagas::{FOUR, Start};
use docket_schemas::{CommandId, Principal, Role, Tenant, TicketEvent, TicketId};
use serde_json::json;

use super::{FaultsArgs, TENANT, settled};
use crate::bench::sagas::{leads, open_tickets};
use crate::cli::Failure;
use crate::cli::output::print_line;
use crate::sagas::{NothingDerived, begin};
use crate::wire::{self, Opened};

pub(super) async fn rehearse(args: &FaultsArgs, count: usize) -> Result<(), Failure> {
    let installation = args.installation.installation();
    let opened = wire::open(&installation, "rehearsal", Box::new(|_, _| {})).await?;
    let ports = opened.desk.ports();
    let tail = Tail::follow(Arc::clone(&ports.log), &*ports.bus).await?;
    let (sagas, coordinating) =
        begin(&opened, tail, NothingDerived, opened.desk.ports().ids.time_ordered()).await?;
    leads(&sagas).await?;
    let tickets = open_tickets(&opened.desk, count).await?;
    let mut begun = 0;
    for ticket in tickets {
        // One that is refused at once has not begun, and has nothing to undo.
        match sagas.start(start(&opened, ticket).await?).await {
            Ok(_) => begun += 1,
            Err(error) => eprintln!("docket: not begun: {error}"),
        }
    }
    let rows = settled(&sagas, begun).await?;
    for row in rows {
        print_line(told(&opened, &row).await?)?;
    }
    coordinating.end().await;
    Ok(())
}

async fn start(opened: &Opened, ticket: TicketId) -> Result<Start, Failure> {
    let ports = opened.desk.ports();
    let tenant: Tenant = TENANT.parse()?;
    let person = ports.keyring.person(&tenant, "bench").await?;
    let caller = docket_engine::command::Caller {
        tenant,
        role: Role::Agent,
        principal: Principal::Person(person.id),
        device: "rehearsal".into(),
    };
    Ok(Start {
        caller,
        command_id: CommandId::new(ports.ids.time_ordered()),
        request_mac: None,
        definition: FOUR.to_owned(),
        subject: ticket.to_string(),
        input: json!({"ticket": ticket}),
        occurred_at: ports.clock.now(),
    })
}

/// A saga with the tags that its ticket shows, and the effects that stand in the log.
async fn told(opened: &Opened, row: &SagaRow) -> Result<serde_json::Value, Failure> {
    let ticket: TicketId = row.subject.parse()?;
    let look = opened.desk.look(&row.tenant, ticket, |ticket| {
        let changes = ticket.graph.nodes().iter();
        let changes = changes.filter(|node| node.event_type == TicketEvent::Changed).count();
        ticket.resolve().map(|resolved| (resolved.tags, changes))
    });
    let (tags, changes) = look.await?.ok_or("the ticket is gone")??;
    Ok(json!({
        "saga": row.id,
        "standing": row.standing.as_str(),
        "step": row.failing_step,
        "tags": tags,
        "changes": changes,
    }))
}
