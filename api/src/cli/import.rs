//! `docket import`: tickets of another system, or of another Docket, come in from a file.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use docket_schemas::Tenant;

use super::Failure;
use super::installation::InstallationArgs;
use super::output::print_line;
use crate::import::{self, BadRows, Checked, ColumnMapping, Format, Import, StandardError};
use crate::wire;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file to import; a second run writes only what the first has not
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the file holds
    #[arg(long, env = "DOCKET_FORMAT", value_enum)]
    format: Format,
    /// Which column of a csv file holds which field, as in subject=title,custom.floor=Storey; without it, a column
    /// holds the field of its name
    #[arg(long, env = "DOCKET_MAP", value_name = "FIELD=COLUMN", value_delimiter = ',')]
    map: Vec<ColumnMapping>,
    /// Whose the tickets become
    #[arg(long, env = "DOCKET_TENANT", default_value = "default")]
    tenant: Tenant,
    /// Check the whole file first, and write nothing when a row is bad [default: report bad rows and leave them out]
    #[arg(long, env = "DOCKET_STRICT", value_parser = BoolishValueParser::new())]
    strict: bool,
    #[command(flatten)]
    installation: InstallationArgs,
}

pub(super) fn run(args: ImportArgs) -> Result<(), Failure> {
    if args.format != Format::Csv && !args.map.is_empty() {
        let message = "--map goes with --format csv only\n";
        clap::Error::raw(ErrorKind::ArgumentConflict, message).exit();
    }
    let progress = Arc::new(StandardError::default());
    let installation = args.installation.installation();
    let import = Import {
        file: args.file,
        format: args.format,
        columns: args.map,
        tenant: args.tenant,
        bad_rows: if args.strict { BadRows::Refuse } else { BadRows::Skip },
    };
    // Before an installation is made for a file that is not there.
    let checked = import::check(import, &*progress)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(write(&checked, &installation, progress))
}

async fn write(
    checked: &Checked,
    installation: &wire::Installation,
    progress: Arc<StandardError>,
) -> Result<(), Failure> {
    let started = wire::open(installation, "import", Box::new(|_, _| {})).await?;
    let summary = checked.write(&started.desk, progress).await?;
    drop(started.desk);
    started.appender.await?;
    Ok(print_line(summary)?)
}
