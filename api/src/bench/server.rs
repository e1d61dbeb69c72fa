//! A server in a process of its own, so that its memory can be told from the clients'.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::client::Connection;
use super::process;
use crate::wire::{Installation, WireError};

/// How often it is asked whether the server is ready.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often at most.
const ASKED_MAX: u32 = 600;

/// A `docket serve` that ends with this.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts this program again as a server on an installation, and waits until it is ready.
    pub(super) async fn start(installation: &Installation) -> Result<Self, WireError> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(std::env::current_exe()?);
        // What this process was told of its own installation is not meant for the scratch one.
        command.env_clear();
        command.arg("serve").args(["--listen", &address.to_string(), "--rate-limit", "off"]);
        command.arg("--data").arg(&installation.data);
        command.args(["--region", &installation.region, "--log", "warn"]);
        if let Some(url) = &installation.database_url {
            command.env("DOCKET_DATABASE_URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut server = Self { address, child: command.spawn()? };
        for _ in 0..ASKED_MAX {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            if ready(address).await.is_ok() {
                return Ok(server);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Err("the server does not get ready".into())
    }

    /// Resident memory in bytes; none on other systems than Linux.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        process::resident_bytes_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing that anybody wants to keep.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ready(address: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    match connection.ask(request.as_bytes()).await? {
        200 => Ok(()),
        _ => Err(io::ErrorKind::NotConnected.into()),
    }
}
