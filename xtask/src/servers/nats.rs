//! A private nats-server with JetStream.

use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::Context as _;

use super::daemon::{Daemon, tied};
use super::scratch::Scratch;
use super::{Started, free_port};
use crate::edge;
use crate::signals::Signals;

/// Where it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    edge::program("nats-server")
}

/// Starts it with an empty store.
pub(crate) fn start(scratch: &Scratch, signals: &Signals) -> anyhow::Result<Started> {
    let program = program().context("nats-server is not installed")?;
    let folder = scratch.folder("nats", None)?;
    let port = free_port()?;
    let mut command = tied(&program, "TERM", None);
    command.args(["--addr", "127.0.0.1", "--jetstream"]);
    command.args(["--port", &port.to_string()]);
    command.arg("--store_dir").arg(folder.join("store"));
    let daemon = Daemon::spawn("nats-server", &mut command, folder.join("log"), "TERM")?;
    let daemon = daemon.until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), signals)?;
    Ok(Started { daemon, url: format!("nats://127.0.0.1:{port}") })
}
