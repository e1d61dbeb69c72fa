//! `docket export`: a tenant's events as NDJSON on stdout, or their digests.

use std::fmt::{self, Display};
use std::io::{BufWriter, Write as _};

use clap::Args;
use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use docket_engine::cursor::{Cursor, CursorError, Positions};
use docket_engine::desk::GoOn;
use docket_schemas::Tenant;

use super::Failure;
use super::installation::InstallationArgs;
use super::output::Output;
use crate::export::{AtEnd, Export, digests, export};
use crate::present::event::ChangeBytes;
use crate::wire;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    installation: InstallationArgs,
    /// Whose events
    #[arg(long, env = "DOCKET_TENANT", default_value = "default")]
    tenant: Tenant,
    /// Only events beyond this cursor; an empty one is the log's beginning, as is none
    #[arg(long, env = "DOCKET_AFTER", value_name = "CURSOR", value_parser = parse_after)]
    after: Option<After>,
    /// Wait for more at the end
    #[arg(long, env = "DOCKET_FOLLOW", value_parser = BoolishValueParser::new())]
    follow: bool,
    /// With the bytes of the Automerge changes, in base64
    #[arg(long, env = "DOCKET_CHANGES", value_parser = BoolishValueParser::new())]
    changes: bool,
    /// Print the replica digest and the content digest instead
    #[arg(long, env = "DOCKET_DIGEST", value_parser = BoolishValueParser::new())]
    digest: bool,
}

/// A cursor to begin after; none, which is written as nothing, is the log's beginning.
#[derive(Debug, Clone)]
pub(super) struct After(Option<Cursor>);

impl Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |cursor| cursor.fmt(f))
    }
}

pub(super) fn parse_after(text: &str) -> Result<After, CursorError> {
    if text.is_empty() { Ok(After(None)) } else { text.parse().map(|cursor| After(Some(cursor))) }
}

pub(super) fn run(args: ExportArgs) -> Result<(), Failure> {
    // Not clap's to say: it takes a variable that is `0` for a flag that is there.
    if let Some(flag) = beside_digest(&args) {
        let message = format!("{flag} does not go with --digest\n");
        clap::Error::raw(ErrorKind::ArgumentConflict, message).exit();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(write_out(args))
}

/// What says which events, or how, where digests are asked for: those are of all.
fn beside_digest(args: &ExportArgs) -> Option<&'static str> {
    let of_events =
        [("--follow", args.follow), ("--changes", args.changes), ("--after", args.after.is_some())];
    let mut given = of_events.into_iter().filter(|(_, given)| args.digest && *given);
    given.next().map(|(flag, _)| flag)
}

async fn write_out(args: ExportArgs) -> Result<(), Failure> {
    let installation = args.installation.installation();
    let desk = wire::open_existing(&installation, "export").await?.desk;
    let mut out = BufWriter::new(Output::open());
    if args.digest {
        let digests = digests(&desk, &args.tenant).await?;
        writeln!(
            out,
            "replica {}\ncontent {}\nevents {}",
            digests.replica, digests.content, digests.events
        )?;
        return Ok(out.flush()?);
    }
    let after = match args.after.and_then(|After(cursor)| cursor) {
        None => Positions::START,
        Some(cursor) => match desk.go_on(cursor).await? {
            GoOn::From(cursor) => cursor.positions,
            GoOn::Replaced(cursor) => {
                let told =
                    format!("the log was restored from before this cursor: go on from {cursor}");
                return Err(told.into());
            }
            GoOn::NotIssued => {
                return Err("--after is another region's cursor, or beyond the log".into());
            }
        },
    };
    let what = Export {
        tenant: args.tenant,
        after,
        changes: if args.changes { ChangeBytes::Include } else { ChangeBytes::Omit },
        at_end: if args.follow { AtEnd::Follow } else { AtEnd::Stop },
    };
    Ok(export(&desk, &what, &mut out).await?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ExportArgs,
    }

    #[test]
    fn digests_are_of_all_events() {
        let beside = |flags: &[&str]| {
            let line = Line::try_parse_from([&["export"], flags].concat());
            beside_digest(&line.unwrap_or_else(|error| panic!("{error}")).args)
        };
        assert_eq!(beside(&["--digest"]), None);
        assert_eq!(beside(&["--changes", "--follow", "--after", ""]), None);
        assert_eq!(beside(&["--digest", "--follow"]), Some("--follow"));
        assert_eq!(beside(&["--digest", "--changes"]), Some("--changes"));
        assert_eq!(beside(&["--digest", "--after", ""]), Some("--after"));
    }
}
