//! A private PostgreSQL: a cluster of its own, never one that the machine already has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::daemon::{Account, Daemon, tied};
use super::install::is_root;
use super::scratch::Scratch;
use super::{Started, free_port};
use crate::command;
use crate::edge;
use crate::signals::Signals;

/// Connections that all tests together may hold.
const CONNECTIONS_MAX: u32 = 300;
/// PostgreSQL refuses to run as root: the user that Debian's package makes, or one that every system has.
const SERVICE_USERS: [&str; 2] = ["postgres", "nobody"];

/// The folder with the newest `postgres` and `initdb`.
pub(crate) fn programs() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| {
        ["postgres", "initdb"].iter().all(|name| edge::is_executable(&folder.join(name)))
    };
    let debian = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let newest = debian
        .map(|entry| entry.path().join("bin"))
        .filter(complete)
        .max_by_key(|bin| major_version(bin));
    let on_path = || {
        let found = edge::program("initdb")?.canonicalize().ok()?;
        Some(found.parent()?.to_path_buf()).filter(complete)
    };
    newest.or_else(on_path)
}

/// Makes a cluster and starts it.
pub(crate) fn start(scratch: &Scratch, signals: &Signals) -> anyhow::Result<Started> {
    let bin = programs().context("postgres is not installed")?;
    let user = if is_root() { Some(service_account(signals)?) } else { None };
    let folder = scratch.folder("postgres", user)?;
    let password = edge::secret()?;
    make_cluster(&bin, &folder, user, &password, signals)?;

    let port = free_port()?;
    let mut server = tied(&bin.join("postgres"), "INT", user);
    server.current_dir(&folder).arg("-D").arg(folder.join("data"));
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={port}"),
        &format!("unix_socket_directories={}", folder.display()),
        &format!("max_connections={CONNECTIONS_MAX}"),
        "fsync=on",
        "synchronous_commit=on",
        "timezone=UTC",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "checkpoint_timeout=15min",
    ] {
        server.args(["-c", setting]);
    }
    let log = folder.join("log");
    let daemon = Daemon::spawn("postgres", &mut server, log.clone(), "INT")?;
    let daemon = daemon.until(|| accepts_connections(&log), signals)?;
    let url = format!("postgres://docket:{password}@127.0.0.1:{port}/postgres");
    Ok(Started { daemon, url })
}

fn make_cluster(
    bin: &Path,
    folder: &Path,
    user: Option<Account>,
    password: &str,
    signals: &Signals,
) -> anyhow::Result<()> {
    let password_file = folder.join("password");
    fs::write(&password_file, password)?;
    if let Some(user) = user {
        std::os::unix::fs::chown(&password_file, Some(user.id), Some(user.group))?;
    }
    let mut initdb = tied(&bin.join("initdb"), "INT", user);
    initdb.current_dir(folder).arg("-D").arg(folder.join("data"));
    initdb.args(["-U", "docket", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
    initdb.arg("--pwfile").arg(&password_file).stdout(Stdio::null());
    command::run(&mut initdb, signals)?;
    fs::remove_file(password_file)?;
    Ok(())
}

/// The last line of a start; before it PostgreSQL listens, but turns everybody away.
fn accepts_connections(log: &Path) -> bool {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.contains("database system is ready to accept connections")
}

/// The first of [`SERVICE_USERS`] that there is.
fn service_account(signals: &Signals) -> anyhow::Result<Account> {
    let number = |flag: &str, user: &str| -> anyhow::Result<u32> {
        let mut id = Command::new("id");
        let text = command::capture(id.args([flag, user]).stderr(Stdio::null()), signals)?;
        Ok(text.trim().parse()?)
    };
    for name in SERVICE_USERS {
        if let (Ok(id), Ok(group)) = (number("-u", name), number("-g", name)) {
            return Ok(Account { name, id, group });
        }
    }
    bail!("PostgreSQL does not run as root, and there is none of the users {SERVICE_USERS:?}")
}

fn major_version(bin: &Path) -> u32 {
    let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_greatest_number_not_the_last_word() {
        assert!(major_version(Path::new("/x/17/bin")) > major_version(Path::new("/x/9/bin")));
    }
}
