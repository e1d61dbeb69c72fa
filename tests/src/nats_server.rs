//! A NATS server of one test: killed, wiped and started again as the test likes.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Folder, edge, eventually};

/// How long a server may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// Where distributions put it when it is not in the path of every user.
const ELSEWHERE: &str = "/usr/sbin/nats-server";

/// A process of its own, with JetStream. Dropped, it is killed.
#[derive(Debug)]
pub struct NatsServer {
    address: SocketAddr,
    folder: Folder,
    child: Child,
}

impl NatsServer {
    /// An open server with one account.
    ///
    /// # Panics
    /// When it does not start; shows its log.
    pub async fn start() -> Self {
        Self::start_with(|address, folder| {
            let store = folder.join("jetstream").display().to_string();
            format!("listen: \"{address}\"\njetstream {{ store_dir: \"{store}\" }}\n")
        })
        .await
    }

    /// A server with a configuration that is made for its address and its folder. Its streams have to be in
    /// `jetstream` of that folder.
    ///
    /// # Panics
    /// When it does not start; shows its log.
    pub async fn start_with(config: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        let (address, folder) = (edge::free_address(), Folder::new());
        fs::write(folder.path().join("nats.conf"), config(address, folder.path()))
            .expect("a configuration can be written");
        let child = spawn(folder.path());
        let mut server = Self { address, folder, child };
        server.listens().await;
        server
    }

    /// Where clients find it, the same after every restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Ends it as a power cut does, with SIGKILL.
    pub fn kill(&mut self) {
        // Fails only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Takes everything away that it has stored, while it does not run.
    pub fn wipe(&self) {
        let _ = fs::remove_dir_all(self.store());
    }

    /// Starts it again with what is stored.
    ///
    /// # Panics
    /// When it does not start; shows its log.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path());
        self.listens().await;
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("jetstream")
    }

    async fn listens(&mut self) {
        let address = self.address;
        let child = &mut self.child;
        let outcome = eventually(LISTENS_WITHIN, async || match child.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => TcpStream::connect(address).is_ok().then_some(Ok(())),
        });
        let outcome = outcome.await;
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(matches!(outcome, Some(Ok(()))), "nats-server: {outcome:?}; its log:\n{log}");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"));
    let log = log.expect("the log of a server can be written");
    let other = log.try_clone().expect("a file can be opened twice");
    let config = folder.join("nats.conf");
    let start = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-c").arg(&config).stdin(Stdio::null());
        command.stdout(log.try_clone().ok()?).stderr(other.try_clone().ok()?);
        command.spawn().ok()
    };
    start("nats-server").or_else(|| start(ELSEWHERE)).expect("nats-server is installed")
}
