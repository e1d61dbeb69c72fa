//! `docket faults`: the points at which this build fails when it is told to, and a rehearsal on sagas of four steps.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use docket_engine::faults::POINTS;
use docket_engine::ports::sagas::{SagaFilter, SagaRow, Standing};
use docket_engine::tail::Tail;
use docket_sagas::{Coordinator, FOUR, Start};
use docket_schemas::{CommandId, Principal, Role, Tenant, TicketEvent, TicketId};
use serde_json::json;

use super::Failure;
use super::installation::InstallationArgs;
use crate::bench::sagas::{leads, open_tickets};
use crate::sagas::{NothingDerived, begin, registry};
use crate::wire::{self, Opened};

/// Whose the rehearsed sagas are.
const TENANT: &str = "bench";
/// How long a rehearsal waits until nothing moves any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOKS_EVERY: Duration = Duration::from_millis(120);
/// In so many looks, one after the other, nothing may move.
const LOOKS_STILL: u32 = 4;
/// Most sagas of a rehearsal.
const SAGAS_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct FaultsArgs {
    /// Carry so many new sagas of four steps, and all that are under way, to where they rest; tell what came of each
    #[arg(long, env = "DOCKET_REHEARSE", value_name = "N")]
    rehearse: Option<usize>,
    #[command(flatten)]
    installation: InstallationArgs,
}

pub(super) fn run(args: &FaultsArgs) -> Result<(), Failure> {
    let Some(count) = args.rehearse else {
        list();
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(rehearse(args, count.min(SAGAS_MAX)))
}

fn list() {
    println!("DOCKET_FAULT=point:kind[:nth|seconds], several with commas between");
    println!("kinds: kill, transient, business, twice, unavailable, damage\n");
    for (point, what) in POINTS {
        println!("{point:<48} {what}");
    }
    for definition in registry().all() {
        for step in definition.steps() {
            let ways: &[&str] = if step.has_undo() { &["run", "undo"] } else { &["run"] };
            for way in ways {
                for when in ["before", "after"] {
                    println!("saga.{}.{}.{way}.{when}", definition.name, step.name);
                }
            }
        }
    }
}

async fn rehearse(args: &FaultsArgs, count: usize) -> Result<(), Failure> {
    let installation = args.installation.installation();
    let opened = wire::open(&installation, "rehearsal", Box::new(|_, _| {})).await?;
    let ports = opened.desk.ports();
    let tail = Tail::follow(Arc::clone(&ports.log), &*ports.bus).await?;
    let (sagas, coordinating) = begin(&opened, tail, NothingDerived).await?;
    leads(&sagas).await?;
    let tickets = open_tickets(&opened, count).await?;
    for ticket in tickets {
        // One that is refused at once has not begun, and has nothing to undo.
        if let Err(error) = sagas.start(start(&opened, ticket).await?).await {
            eprintln!("docket: not begun: {error}");
        }
    }
    let rows = settled(&sagas).await?;
    for row in rows {
        println!("{}", told(&opened, &row).await?);
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

/// Waits until every saga has ended or is parked, by the log.
async fn settled(sagas: &Coordinator) -> Result<Vec<SagaRow>, Failure> {
    let tenant: Tenant = TENANT.parse()?;
    let all = async {
        let mut still = 0;
        loop {
            let rows = sagas.table().list(&tenant, &SagaFilter::default(), None, SAGAS_MAX).await?;
            let rests = |row: &SagaRow| row.standing.is_ended() || row.standing == Standing::Parked;
            // What has just begun may not stand in the table yet.
            tokio::time::sleep(LOOKS_EVERY).await;
            let busy = sagas.is_busy();
            still = if busy || !rows.iter().all(rests) { 0 } else { still + 1 };
            if still == LOOKS_STILL {
                return Ok::<_, Failure>(rows);
            }
        }
    };
    tokio::time::timeout(SETTLES_WITHIN, all).await?
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
