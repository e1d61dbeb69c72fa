//! A server process: ready or failed with its log, stopped by its own id when dropped.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::command;
use crate::edge::{self, Stopwatch};
use crate::signals::Signals;

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Lines of a failed server's log that are shown.
const LOG_LINES_MAX: usize = 30;

/// A running server.
pub(crate) struct Daemon {
    name: &'static str,
    stop_signal: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with both outputs in a file at `log`. `stop_signal` is the one that it takes as
    /// "stop at once, but in order".
    pub(crate) fn spawn(
        name: &'static str,
        command: &mut Command,
        log: PathBuf,
        stop_signal: &'static str,
    ) -> anyhow::Result<Self> {
        let file = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let child = command::spawn(command.stdout(file.try_clone()?).stderr(file))?;
        Ok(Self { name, stop_signal, child, log })
    }

    /// Waits until `ready`; fails with the end of the log when the server ends or takes too long.
    pub(crate) fn until(
        mut self,
        ready: impl Fn() -> bool,
        signals: &Signals,
    ) -> anyhow::Result<Self> {
        let watch = Stopwatch::start();
        loop {
            signals.check()?;
            // First, since another process may be the one that answers on the port.
            if let Some(status) = self.child.try_wait()? {
                bail!("{} did not start: {status}\n{}", self.name, self.last_words());
            }
            if ready() {
                return Ok(self);
            }
            if watch.elapsed() > READY_WITHIN {
                bail!("{} does not answer\n{}", self.name, self.last_words());
            }
            edge::pause();
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        command::send(self.stop_signal, &self.child.id().to_string());
        if !command::ends_within(&mut self.child, STOP_WITHIN) {
            eprintln!("xtask: {} does not stop and is killed", self.name);
            command::send("KILL", &format!("-{}", self.child.id()));
        }
        let _ = self.child.wait();
    }
}

/// Another user of this machine.
#[derive(Clone, Copy)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    pub(crate) group: u32,
}

/// Whether a server failed because another process took its port first.
pub(crate) fn lost_its_port(error: &anyhow::Error) -> bool {
    let text = error.to_string().to_lowercase();
    text.contains("address already in use")
}

/// `program`, started so that the kernel sends it `signal` when this process dies in whatever way,
/// and run as `user` when one is given. Where `setpriv` is missing it is started plainly.
pub(crate) fn tied(program: &std::path::Path, signal: &str, user: Option<Account>) -> Command {
    let Some(setpriv) = edge::program("setpriv") else {
        return plain(program, user);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal]);
    if let Some(user) = user {
        command.arg("--reuid").arg(user.id.to_string()).arg("--regid").arg(user.group.to_string());
        command.arg("--clear-groups");
    }
    command.arg("--").arg(program);
    command
}

fn plain(program: &std::path::Path, user: Option<Account>) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("runuser");
    command.args(["-u", user.name, "--"]).arg(program);
    command
}
