//! `cargo xtask ci`: what a change must pass before it is merged.

use std::process::{Command, Stdio};

use crate::command::{announce, cargo, has_cargo, run};
use crate::edge;
use crate::schemas;
use crate::signals::Signals;
use crate::test;

/// Stops at the first step that fails.
fn run_step(name: &str, command: &mut Command, signals: &Signals) -> anyhow::Result<()> {
    announce(name);
    run(command.env("SQLX_OFFLINE", "true"), signals)
}

/// Every step in turn. A step whose tool is not installed says so in a line of its own.
pub(crate) fn run_all(signals: &Signals) -> anyhow::Result<()> {
    if has_cargo("fmt") {
        run_step("format", cargo().args(["fmt", "--all", "--check"]), signals)?;
    } else {
        skipped("format", "rustfmt");
    }
    if has_cargo("clippy") {
        let mut clippy = cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        run_step("lints", &mut clippy, signals)?;
    } else {
        skipped("lints", "clippy");
    }
    announce("published schemas");
    schemas::check()?;
    licences(signals)?;
    compose_file(signals)?;
    test::run(&test::Options::default(), signals)
}

/// With `CI_DENY=1` nothing of it may be skipped.
fn licences(signals: &Signals) -> anyhow::Result<()> {
    let must = edge::variable("CI_DENY").is_some_and(|value| value == "1");
    if must && !has_cargo("deny") {
        let mut install = cargo();
        install.args(["install", "cargo-deny", "--locked"]);
        run_step("installing cargo-deny", &mut install, signals)?;
    }
    if !has_cargo("deny") {
        skipped("licences, bans, sources, advisories", "cargo-deny");
        return Ok(());
    }
    let mut check = cargo();
    run_step(
        "licences, bans, sources",
        check.args(["deny", "check", "licenses", "bans", "sources"]),
        signals,
    )?;
    let fetched = run_step("fetching advisories", cargo().args(["deny", "fetch", "db"]), signals);
    if !must && fetched.is_err() {
        signals.check()?;
        announce("advisories: SKIPPED, the advisory database cannot be reached");
        return Ok(());
    }
    fetched?;
    run_step("advisories", cargo().args(["deny", "check", "advisories"]), signals)
}

fn compose_file(signals: &Signals) -> anyhow::Result<()> {
    let mut probe = Command::new("docker");
    probe.args(["compose", "version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        skipped("compose file", "docker compose");
        return Ok(());
    }
    let mut config = Command::new("docker");
    run_step("compose file", config.args(["compose", "config", "--quiet"]), signals)
}

fn skipped(step: &str, tool: &str) {
    announce(&format!("{step}: SKIPPED, {tool} is not installed"));
}
