//! Installs the servers and tools that are missing, where that can be done without a question.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::{nats, postgres};
use crate::command::{announce, run};
use crate::edge;
use crate::signals::Signals;

/// Fails with the names of the packages when they can be neither found nor installed.
pub(crate) fn what_is_missing(database: bool, nats: bool, signals: &Signals) -> anyhow::Result<()> {
    let mut packages = Vec::new();
    if database && postgres::programs().is_none() {
        packages.push("postgresql");
    }
    if nats && nats::program().is_none() {
        packages.push("nats-server");
    }
    // The tour of the README is walked as it stands.
    if edge::program("curl").is_none() {
        packages.push("curl");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    let hint = format!(
        "missing: {names}. Install them (Debian: `apt-get install -y {names}`), \
         or set DATABASE_URL and NATS_URL to servers that are running"
    );
    if !Path::new("/etc/debian_version").exists() || edge::program("apt-get").is_none() {
        bail!(hint);
    }
    let Some(before) = privilege() else {
        bail!(hint);
    };
    announce(&format!("installing {names}"));
    let apt = |arguments: &[&str]| {
        let mut words = before.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive"]);
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).arg("apt-get").args(arguments);
        command
    };
    run(&mut apt(&["update", "-q"]), signals).with_context(|| hint.clone())?;
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(&packages);
    let installed = run(&mut apt(&arguments), signals).with_context(|| hint.clone());
    if (database && postgres::programs().is_none()) || (nats && nats::program().is_none()) {
        installed?;
        bail!(hint);
    }
    if installed.is_err() {
        // A package's set-up may fail, of a certificate that nobody here needs, say, when its programs are unpacked.
        announce("apt-get reports a failure, but the programs are there: going on");
    }
    Ok(())
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    let answer = Command::new("id").arg("-u").output();
    answer.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// What has to stand before a command that only root may run; nothing if it would ask for a password.
fn privilege() -> Option<&'static [&'static str]> {
    if is_root() {
        return Some(&[]);
    }
    let mut probe = Command::new("sudo");
    probe.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success()).then_some(&["sudo", "-n"])
}
