//! `docket saga`: what goes on in several steps, and what operators do about it.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use docket_engine::command::Caller;
use docket_engine::ports::sagas::{SagaFilter, SagaPlace, SagaRow, Standing};
use docket_sagas::{Coordinator, Operation, Operator, SagaError};
use docket_schemas::{CommandId, Principal, Role, SagaId, Tenant};

use super::Failure;
use super::installation::InstallationArgs;
use super::output::print_line;
use super::token::parse_subject;
use crate::field_limits::REASON_CHARS_MAX;
use crate::present::Names;
use crate::present::saga::{present, stands};
use crate::wire::{self, Opened};

/// Sagas that a list reads at once.
const READ_AT_ONCE: usize = 100;
/// How long a command waits for what it needs of the log before it looks.
const PAUSES_READ_WITHIN: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct SagaArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The sagas, the last started first, one a line
    List(ListArgs),
    /// One saga with every step, attempt, error and undo, as JSON
    Show(OfSaga),
    /// Have a parked saga try again
    Retry(ActOnSaga),
    /// Have a parked saga go on without the step that it stands at
    Skip(SkipArgs),
    /// Have a saga undo what was done
    Cancel(ActOnSaga),
    /// Have no saga of a definition go on
    Pause(ActOnDefinition),
    /// Have them go on
    Resume(ActOnDefinition),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    installation: InstallationArgs,
    /// Whose sagas
    #[arg(long, env = "DOCKET_TENANT", default_value = "default")]
    tenant: Tenant,
    /// Who does this, for the record
    #[arg(long, env = "DOCKET_SUBJECT", value_name = "ID", default_value = "operator", value_parser = parse_subject)]
    subject: String,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// Only those that stand so
    #[arg(long, env = "DOCKET_STATE", value_name = "STATE", value_parser = standing_parser())]
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
    #[arg(long, env = "DOCKET_REASON", value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
}

#[derive(Debug, Args)]
struct ActOnSaga {
    #[command(flatten)]
    of: OfSaga,
    #[command(flatten)]
    because: Because,
}

#[derive(Debug, Args)]
struct ActOnDefinition {
    /// Which definition
    name: String,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    because: Because,
}

#[derive(Debug, Args)]
struct Because {
    /// Why, for the record
    #[arg(long, env = "DOCKET_REASON", value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

fn standing_parser() -> impl TypedValueParser<Value = Standing> {
    let names = Standing::ALL.map(Standing::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Standing>())
}

fn parse_reason(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0..=REASON_CHARS_MAX if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(format!("a reason is 1 to {REASON_CHARS_MAX} characters, not all of them blank")),
    }
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
        What::Retry(ActOnSaga { of, because: Because { reason } }) => {
            operate(of, Operation::Retry { reason }).await
        }
        What::Skip(SkipArgs { of, reason }) => operate(of, Operation::Skip { reason }).await,
        What::Cancel(ActOnSaga { of, because: Because { reason } }) => {
            operate(of, Operation::Cancel { reason }).await
        }
        What::Pause(ActOnDefinition { name, common, because: Because { reason } }) => {
            let office = Office::open(&common).await?;
            let by = office.operator(&common.subject).await?;
            office.sagas.pause(&by, &name, reason).await?;
            Ok(print_line(format_args!("{name} is paused"))?)
        }
        What::Resume(ActOnDefinition { name, common, because: Because { reason } }) => {
            let office = Office::open(&common).await?;
            let by = office.operator(&common.subject).await?;
            office.sagas.resume(&by, &name, reason).await?;
            Ok(print_line(format_args!("{name} goes on"))?)
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
    let ListArgs { state: standing, definition, .. } = args;
    let filter = SagaFilter { standing, definition, ..SagaFilter::default() };
    let (table, mut after) = (office.sagas.table(), None);
    loop {
        let rows = table.list(&office.tenant, &filter, after, READ_AT_ONCE).await?;
        for row in &rows {
            print_line(line(row))?;
        }
        match rows.last() {
            Some(last) if rows.len() == READ_AT_ONCE => {
                after = Some(SagaPlace { started_at: last.started_at, id: last.id });
            }
            None if after.is_none() => return office.check_definition(filter.definition),
            _ => return Ok(()),
        }
    }
}

fn line(row: &SagaRow) -> String {
    let step = row.failing_step.as_deref().unwrap_or("");
    let error = row.error.as_deref().unwrap_or("");
    let (id, definition, stands) = (row.id, &row.definition, row.standing.as_str());
    let (started_at, subject) = (row.started_at, &row.subject);
    format!("{id}  {definition:<16} {stands:<12} {started_at}  {subject}  {step} {error}")
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
        let opened = wire::open_existing(&installation, "saga").await?;
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
        Ok(print_line(serde_json::to_string_pretty(&view)?)?)
    }

    /// A list that is empty for its mistyped definition says so. Sagas of one that this release lacks are listed.
    fn check_definition(&self, name: Option<String>) -> Result<(), Failure> {
        match name {
            Some(name) if self.sagas.registry().newest(&name).is_none() => {
                Err(SagaError::NoDefinition(name).into())
            }
            _ => Ok(()),
        }
    }
}
