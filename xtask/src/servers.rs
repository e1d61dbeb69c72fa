//! Private servers for tests: started on free ports of the loopback, gone with everything they wrote.

mod daemon;
mod install;
mod nats;
mod postgres;
mod scratch;

use std::net::TcpListener;

use anyhow::Context as _;

use self::daemon::Daemon;
use self::scratch::Scratch;
use crate::command;
use crate::edge;
use crate::signals::Signals;

/// How often a server is tried again on another port, when somebody else was quicker.
const START_TRIES_MAX: u32 = 3;

/// The servers that tests talk to. Dropped, those that this process started stop.
pub(crate) struct Servers {
    database_url: String,
    nats_url: String,
    // In this order: the servers stop before their files go.
    _running: Vec<Daemon>,
    _scratch: Scratch,
}

impl Servers {
    /// Takes `DATABASE_URL` and `NATS_URL` where they are given, starts what is not.
    pub(crate) fn start(signals: &Signals) -> anyhow::Result<Self> {
        let given_database = edge::variable("DATABASE_URL");
        let given_nats = edge::variable("NATS_URL");
        install::what_is_missing(given_database.is_none(), given_nats.is_none(), signals)?;
        let scratch = Scratch::new()?;
        let mut running = Vec::new();
        let database_url = match given_database {
            Some(url) => url,
            None => keep(&mut running, || postgres::start(&scratch, signals))?,
        };
        let nats_url = match given_nats {
            Some(url) => url,
            None => keep(&mut running, || nats::start(&scratch, signals))?,
        };
        Ok(Self { database_url, nats_url, _running: running, _scratch: scratch })
    }

    /// What a test or a `docket` process has to find in its environment.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 2] {
        [("DATABASE_URL", &self.database_url), ("NATS_URL", &self.nats_url)]
    }
}

/// `cargo xtask servers`
pub(crate) fn stay(signals: &Signals) -> anyhow::Result<()> {
    let servers = Servers::start(signals)?;
    for (name, value) in servers.environment() {
        println!("export {name}='{value}'");
    }
    command::announce("Ctrl-C stops them and removes what they wrote");
    while signals.check().is_ok() {
        edge::pause();
    }
    Ok(())
}

/// A server and the URL under which it answers.
struct Started {
    daemon: Daemon,
    url: String,
}

fn keep(
    running: &mut Vec<Daemon>,
    start: impl Fn() -> anyhow::Result<Started>,
) -> anyhow::Result<String> {
    let mut tries = 1;
    let started = loop {
        match start() {
            Ok(started) => break started,
            Err(error) if tries < START_TRIES_MAX && daemon::lost_its_port(&error) => tries += 1,
            Err(error) => return Err(error),
        }
    };
    running.push(started.daemon);
    Ok(started.url)
}

fn free_port() -> anyhow::Result<u16> {
    let probe = TcpListener::bind(("127.0.0.1", 0)).context("no free port on the loopback")?;
    Ok(probe.local_addr()?.port())
}
