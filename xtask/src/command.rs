//! Runs programs in process groups of their own, which end when the workshop is told to.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::edge::{self, Stopwatch};
use crate::signals::Signals;

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo, as it runs this workshop.
pub(crate) fn cargo() -> Command {
    Command::new(edge::variable("CARGO").unwrap_or_else(|| "cargo".to_owned()))
}

/// Whether `cargo <subcommand>` is there to be run.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    let mut probe = cargo();
    probe.args([subcommand, "--version"]).stdin(Stdio::null());
    probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Says which part of the work begins.
pub(crate) fn announce(step: &str) {
    eprintln!("── {step}");
}

/// Runs to the end with this process's output; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command, signals: &Signals) -> anyhow::Result<()> {
    let mut child = spawn(command)?;
    let status = wait(&mut child, signals)?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs to the end; answers what it printed on stdout.
pub(crate) fn capture(command: &mut Command, signals: &Signals) -> anyhow::Result<String> {
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        BufReader::new(stdout).read_to_string(&mut text).map(|_| text)
    });
    let status = wait(&mut child, signals)?;
    let text = reader.join().ok().context("the reader of stdout panicked")??;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(text)
}

/// Runs to the end, passes its output on and answers whether it succeeded, with the lines that `keep` picks.
pub(crate) fn run_keeping(
    command: &mut Command,
    signals: &Signals,
    keep: fn(&str) -> bool,
) -> anyhow::Result<(bool, Vec<String>)> {
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let out = thread::spawn(move || pass_on(stdout, std::io::stdout(), keep));
    let err = thread::spawn(move || pass_on(stderr, std::io::stderr(), keep));
    let status = wait(&mut child, signals)?;
    let mut kept = out.join().unwrap_or_default();
    kept.extend(err.join().unwrap_or_default());
    Ok((status.success(), kept))
}

/// Starts it in a process group of its own, without a terminal to read from.
pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    command.stdin(Stdio::null()).process_group(0);
    command.spawn().with_context(|| format!("cannot start {}", line(command)))
}

/// Waits for the end of a child; a signal to the workshop ends the child's whole group.
pub(crate) fn wait(child: &mut Child, signals: &Signals) -> anyhow::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Err(interrupted) = signals.check() {
            end_group(child);
            return Err(interrupted);
        }
        edge::pause();
    }
}

/// Asks a child and all that it started to end; kills what does not.
pub(crate) fn end_group(child: &mut Child) {
    send("TERM", &format!("-{}", child.id()));
    if !ends_within(child, GRACE) {
        send("KILL", &format!("-{}", child.id()));
    }
    let _ = child.wait();
}

/// Whether the child ends in time.
pub(crate) fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let watch = Stopwatch::start();
    while watch.elapsed() < limit {
        match child.try_wait() {
            Ok(None) => edge::pause(),
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

/// Sends a signal to a process, or with `-` before its number to a group. The shell's own `kill`
/// is the one that is on every machine.
pub(crate) fn send(signal: &str, target: &str) {
    let script = r#"kill -s "$1" -- "$2" 2>/dev/null"#;
    let _ = Command::new("sh").args(["-c", script, "sh", signal, target]).status();
}

fn pass_on(from: impl Read, mut to: impl Write, keep: fn(&str) -> bool) -> Vec<String> {
    let mut kept = Vec::new();
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while from.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let _ = to.write_all(&bytes).and_then(|()| to.flush());
        let text = String::from_utf8_lossy(&bytes);
        if keep(&text) {
            kept.push(text.trim_end().to_owned());
        }
        bytes.clear();
    }
    kept
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
