//! `cargo xtask test`: every test of the workspace against servers that exist only for this run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::command::{self, announce};
use crate::servers::Servers;
use crate::signals::Signals;
use crate::summary::{self, Summary};

/// What to run.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// A million histories for the merge law, a hundred thousand for each other property, and the tests that take minutes.
    #[arg(long)]
    long: bool,
    /// Build and test only these crates instead of the whole workspace.
    #[arg(long, short)]
    package: Vec<String>,
    /// Run only tests whose names contain one of these.
    filters: Vec<String>,
}

/// Fails when a test does. The servers are stopped in every case.
pub(crate) fn run(options: &Options, signals: &Signals) -> anyhow::Result<()> {
    let servers = Servers::start(signals)?;
    announce("building docket, with faults first");
    let faults = build_docket(&["--features", "docket/faults"], signals)?;
    // The next build puts another in its place.
    let kept = faults.with_file_name("docket-faults");
    std::fs::copy(&faults, &kept).context("cannot keep the build with faults")?;
    let binary = build_docket(&[], signals)?;
    let prepare = |mut command: Command| {
        command
            .envs(servers.environment())
            .env("DOCKET_BIN", &binary)
            .env("DOCKET_FAULTS_BIN", &kept);
        // The database of a test run is empty: queries were checked against the committed metadata.
        command.env("SQLX_OFFLINE", "true");
        if options.long {
            command.env("DOCKET_TEST_LONG", "1");
        }
        command
    };

    let mut summary = Summary::default();
    announce("tests");
    if command::has_cargo("nextest") {
        summary.nextest(prepare(nextest(options)), signals)?;
    } else {
        summary.libtest(prepare(plain(options)), signals)?;
    }
    if options.filters.is_empty() && options.package.is_empty() {
        announce("documentation tests");
        let mut doc = prepare(command::cargo());
        doc.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
        summary.libtest(doc, signals)?;
    }
    drop(servers);
    summary.print();
    if !summary.passed() {
        bail!("there are failures above");
    }
    Ok(())
}

/// Builds the binary that end-to-end tests start; answers its path.
pub(crate) fn build_docket(flags: &[&str], signals: &Signals) -> anyhow::Result<PathBuf> {
    let mut build = command::cargo();
    build.args(["build", "--package", "docket", "--bin", "docket"]).args(flags);
    build.arg("--message-format=json-render-diagnostics").env("SQLX_OFFLINE", "true");
    let messages = command::capture(build.stderr(Stdio::inherit()), signals)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "docket")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo built docket without saying where")
}

fn nextest(options: &Options) -> Command {
    let mut command = command::cargo();
    command.args(["nextest", "run", "--no-fail-fast"]).args(crates(options));
    command.args(["--profile", if options.long { "long" } else { "default" }]);
    command.args(["--color", summary::color()]).args(&options.filters);
    command
}

fn plain(options: &Options) -> Command {
    let mut command = command::cargo();
    command.args(["test", "--no-fail-fast"]).args(crates(options));
    command.args(["--lib", "--bins", "--tests", "--examples", "--color", summary::color()]);
    command.arg("--").args(&options.filters);
    command
}

fn crates(options: &Options) -> Vec<&str> {
    if options.package.is_empty() {
        return vec!["--workspace"];
    }
    options.package.iter().flat_map(|name| ["--package", name.as_str()]).collect()
}
