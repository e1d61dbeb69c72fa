//! A running `docket serve`.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::site::docket;
use crate::{Client, Site, eventually};

/// How long a node may take until it is ready.
pub const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may take to end after SIGTERM.
pub const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A process of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    log: PathBuf,
    /// The binary, and its settings.
    build: (PathBuf, Vec<(String, String)>),
    arguments: Vec<String>,
    child: Child,
}

impl Node {
    pub(crate) async fn start(
        address: SocketAddr,
        log: PathBuf,
        build: (PathBuf, Vec<(String, String)>),
        arguments: Vec<String>,
    ) -> Self {
        let child = spawn(&log, &build, &arguments);
        let mut node = Self { address, log, build, arguments, child };
        node.ready().await;
        node
    }

    /// Where it listens, the same after every restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A caller with this token.
    #[must_use]
    pub fn client(&self, token: &str) -> Client {
        Client::new(self.address, Some(token))
    }

    /// A caller without a token.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(self.address, None)
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written to both outputs, over all restarts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a power cut does, with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // Fails only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, with SIGTERM, without waiting.
    pub fn terminate(&self) {
        // The shell's own `kill` is on every machine, the program is not.
        let script = r#"kill -s TERM -- "$1""#;
        let process = self.child.id().to_string();
        let _ = Command::new("sh").args(["-c", script, "sh", &process]).status();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it still runs after [`STOP_WITHIN`]; shows its log.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually(STOP_WITHIN, async || child.try_wait().ok().flatten()).await;
        match status {
            Some(status) => status,
            None => panic!("the node still runs; its log:\n{}", self.log()),
        }
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it still runs after [`STOP_WITHIN`]; shows its log.
    pub async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    /// Starts it again on the same port with the same flags, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready; shows its log.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.log, &self.build, &self.arguments);
        self.ready().await;
    }

    /// The same with the build and the settings that a site has by now.
    ///
    /// # Panics
    ///
    /// When it does not get ready; shows its log.
    pub async fn restart_as(&mut self, site: &Site) {
        self.build = site.build();
        self.restart().await;
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    ///
    /// When it ends, or is not ready after [`READY_WITHIN`]; shows its log.
    pub async fn ready(&mut self) {
        let probe = self.anonymous();
        let child = &mut self.child;
        let outcome = eventually(READY_WITHIN, async || {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(Err(status));
            }
            let answer = probe.get("/readyz").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(Ok(()))
        });
        match outcome.await {
            Some(Ok(())) => {}
            Some(Err(status)) => panic!("the node ended with {status}; its log:\n{}", self.log()),
            None => panic!("the node does not get ready; its log:\n{}", self.log()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the log of the node on {}:\n{}", self.address, self.log());
        }
    }
}

fn spawn(
    log: &PathBuf,
    (binary, settings): &(PathBuf, Vec<(String, String)>),
    arguments: &[String],
) -> Child {
    let file = OpenOptions::new().create(true).append(true).open(log);
    let file = file.expect("the log of a node can be written");
    let other = file.try_clone().expect("a file can be opened twice");
    let mut command = docket(binary, settings);
    command.args(arguments).stdout(file).stderr(other);
    command.spawn().expect("docket can be started")
}
