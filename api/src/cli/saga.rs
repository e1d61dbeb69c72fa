//! `docket saga`: what goes on in several steps, and what operators do about it.

use std::time::Duration;

use clap::{Args, Subcommand};
use docket_engine::command::Caller;
use docket_engine::ports::sagas::{SagaFilter, Standing};
use docket_sagas::{Coordinator, Operation, Operator};
use docket_schemas::{CommandId, Principal, Role, SagaId, Tenant};

use super::Failure;
use super::installation::InstallationArgs;
use crate::present::Names;
use crate::present::saga::{present, stands};
use crate::wire::{self, Opened};

/// Sagas that a list shows.
const LISTED_MAX: usize = 100;
/// How long a command waits for what it needs of the log before it looks.
const PAUSES_READ_WITHIN: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct SagaArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The newest sagas, one a line
    List(ListArgs),
    /// One saga with every step, attempt, error and undo, as JSON
    Show(OfSaga),
    /// Have a parked saga try again
    Retry(OfSaga),
    /// Have a parked saga go on without the step that it stands at
    Skip(SkipArgs),
    /// Have a saga undo what was done
    Cancel(CancelArgs),
    /// Have no saga of a definition go on
    Pause(PauseArgs),
    /// Have them go on
    Resume(OfDefinition),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    installation: InstallationArgs,
    /// Whose sagas
    #[arg(long, env = "DOCKET_TENANT", default_value = "default")]
    tenant: Tenant,
    /// Who does this, for the record
    #[arg(long, env = "DOCKET_SUBJECT", value_name = "ID", default_value = "operator")]
    subject: String,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// Only those that stand so: running, waiting, compensating, parked, done, undone, cancelled, paused
    #[arg(long, env = "DOCKET_STATE", value_name = "STATE", value_parser = parse_standing)]
    state: Option<Standing>,
    /// Only those of this definition
    #[arg(long, env = "DOCKET_DEFINITION", value_name = "NAME")]
    definition: Option<String>,
}

#[derive(Debug, Args)]
struct OfSaga {
    /// Which saga
    id: SagaId,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct SkipArgs {
    #[command(flatten)]
    of: OfSaga,
    /// Why, for the record
    #[arg(long, env = "DOCKET_REASON", value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
struct CancelArgs {
    #[command(flatten)]
    of: OfSaga,
    /// Why, for the record
    #[arg(long, env = "DOCKET_REASON", value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
struct OfDefinition {
    /// Which definition
    name: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct PauseArgs {
    #[command(flatten)]
    of: OfDefinition,
    /// Why, for the record
    #[arg(long, env = "DOCKET_REASON", value_name = "TEXT")]
    reason: Option<String>,
}

fn parse_standing(name: &str) -> Result<Standing, String> {
    name.parse().map_err(|_| "no such state".to_owned())
}

pub(super) fn run(args: SagaArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(act(args.what))
}

async fn act(what: What) -> Result<(), Failure> {
    match what {
        What::List(args) => list(args).await,
        What::Show(of) => {
            let office = Office::open(&of.common).await?;
            tokio::time::sleep(PAUSES_READ_WITHIN).await;
            office.print(of.id).await
        }
        What::Retry(of) => operate(of, Operation::Retry).await,
        What::Skip(args) => operate(args.of, Operation::Skip { reason: args.reason }).await,
        What::Cancel(args) => operate(args.of, Operation::Cancel { reason: args.reason }).await,
        What::Pause(args) => {
            let office = Office::open(&args.of.common).await?;
            let by = office.operator(&args.of.common.subject).await?;
            office.sagas.pause(&by, &args.of.name, args.reason).await?;
            println!("{} is paused", args.of.name);
            Ok(())
        }
        What::Resume(of) => {
            let office = Office::open(&of.common).await?;
            let by = office.operator(&of.common.subject).await?;
            office.sagas.resume(&by, &of.name).await?;
            println!("{} goes on", of.name);
            Ok(())
        }
    }
}

async fn operate(of: OfSaga, what: Operation) -> Result<(), Failure> {
    let office = Office::open(&of.common).await?;
    let by = office.operator(&of.common.subject).await?;
    office.sagas.operate(&by, of.id, &what).await?;
    office.print(of.id).await
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let office = Office::open(&args.common).await?;
    let filter =
        SagaFilter { standing: args.state, definition: args.definition, ..SagaFilter::default() };
    let rows = office.sagas.table().list(&office.tenant, &filter, None, LISTED_MAX).await?;
    for row in rows {
        let step = row.failing_step.as_deref().unwrap_or("");
        let error = row.error.as_deref().unwrap_or("");
        let stands = row.standing.as_str();
        println!(
            "{}  {:<16} {:<12} {}  {}  {step} {error}",
            row.id, row.definition, stands, row.started_at, row.subject
        );
    }
    Ok(())
}

/// An installation with what its commands need, beside the nodes that serve it.
struct Office {
    opened: Opened,
    sagas: Coordinator,
    _coordinating: docket_sagas::Coordinating,
    tenant: Tenant,
}

impl Office {
    async fn open(common: &Common) -> Result<Self, Failure> {
        let installation = common.installation.installation();
        let opened = wire::open(&installation, "saga", Box::new(|_, _| {})).await?;
        let (sagas, coordinating) = crate::sagas::beside(&opened).await?;
        Ok(Self { opened, sagas, _coordinating: coordinating, tenant: common.tenant.clone() })
    }

    async fn operator(&self, subject: &str) -> Result<Operator, Failure> {
        let ports = self.opened.desk.ports();
        let person = ports.keyring.person(&self.tenant, subject).await?;
        let (role, principal) = (Role::Admin, Principal::Person(person.id));
        Ok(Operator {
            caller: Caller { tenant: self.tenant.clone(), role, principal, device: "cli".into() },
            command_id: CommandId::new(ports.ids.time_ordered()),
            request_mac: None,
            occurred_at: ports.clock.now(),
        })
    }

    async fn print(&self, id: SagaId) -> Result<(), Failure> {
        let state = self.sagas.load(&self.tenant, id).await?;
        let names = Names { desk: &self.opened.desk, tenant: &self.tenant };
        let now = self.opened.desk.ports().clock.now();
        let stands = stands(&self.sagas, &state, now);
        let view = present(names, self.sagas.registry(), &state, stands).await?;
        println!("{}", serde_json::to_string_pretty(&view)?);
        Ok(())
    }
}
