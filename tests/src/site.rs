//! One installation: a data directory, the settings that its nodes share, and commands run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Database, Folder, Node, binary, edge};

/// The setting under which a site on PostgreSQL has its database.
pub const DATABASE_URL: &str = "database-url";

/// What a `docket` process inherits of the environment: no setting of the developer's own.
const INHERITED: [&str; 6] =
    ["PATH", "HOME", "TMPDIR", "RUST_LOG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// A data directory with its settings. Settings reach `docket` through the environment, where a
/// command that does not know one ignores it.
#[derive(Debug)]
pub struct Site {
    binary: PathBuf,
    data: Folder,
    settings: Vec<(String, String)>,
}

impl Site {
    /// SQLite and the in-process bus in a new data directory.
    #[must_use]
    pub fn embedded() -> Self {
        Self { binary: binary::docket(), data: Folder::new(), settings: Vec::new() }
    }

    /// The same on a PostgreSQL database; keys stay in the new data directory.
    #[must_use]
    pub fn on(database: &Database) -> Self {
        Self::embedded().with(DATABASE_URL, &database.url())
    }

    /// One more setting, named as the flag without its dashes: `with("rate-limit", "off")`.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        let name = format!("DOCKET_{}", flag.to_uppercase().replace('-', "_"));
        self.settings.push((name, value.to_owned()));
        self
    }

    /// From now on with the build that fails on purpose, as `fault` says: `point:kind[:nth|seconds]`.
    #[must_use]
    pub fn failing(self, fault: &str) -> Self {
        Self { binary: binary::faults_binary(), ..self.with("fault", fault) }
    }

    /// From now on with the build that does not fail on purpose.
    #[must_use]
    pub fn sound(mut self) -> Self {
        self.settings.retain(|(name, _)| name != "DOCKET_FAULT");
        Self { binary: binary::docket(), ..self }
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Starts a node on a free port and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready; shows its log.
    pub async fn serve(&self) -> Node {
        self.serve_with(&[]).await
    }

    /// The same with flags of its own, such as `["--region", "eu"]`.
    ///
    /// # Panics
    ///
    /// When it does not get ready; shows its log.
    pub async fn serve_with(&self, flags: &[&str]) -> Node {
        let address = edge::free_address();
        let mut arguments = vec!["serve".to_owned(), "--listen".to_owned(), address.to_string()];
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let log = self.data().join(format!("serve-{}.log", address.port()));
        Node::start(address, log, self.build(), arguments).await
    }

    /// A token of a role and a subject in the tenant `default`.
    ///
    /// # Panics
    ///
    /// When `docket token` fails.
    #[must_use]
    #[track_caller]
    pub fn token(&self, role: &str, subject: &str) -> String {
        self.sign(&Token { role, subject, tenant: None, device: None, ttl: None })
    }

    /// A token with everything said.
    ///
    /// # Panics
    ///
    /// When `docket token` fails.
    #[must_use]
    #[track_caller]
    pub fn sign(&self, token: &Token<'_>) -> String {
        let mut arguments = vec!["token", "--role", token.role, "--subject", token.subject];
        let rest = [("--tenant", token.tenant), ("--device", token.device), ("--ttl", token.ttl)];
        for (flag, value) in rest {
            arguments.extend(value.into_iter().flat_map(|value| [flag, value]));
        }
        self.run(&arguments).expect_code(0).stdout.trim().to_owned()
    }

    /// Runs `docket` to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Run {
        let mut command = docket(&self.binary, &self.environment());
        let output = command.args(arguments).output().expect("docket can be started");
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A `docket` command on this site that the test starts itself.
    #[must_use]
    pub fn command(&self) -> Command {
        docket(&self.binary, &self.environment())
    }

    /// The variables by which a script's `docket` commands act on this site, and the program as `DOCKET_BIN`.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = self.environment();
        variables.push(("DOCKET_BIN".to_owned(), self.binary.display().to_string()));
        variables
    }

    /// The binary, and its settings.
    pub(crate) fn build(&self) -> (PathBuf, Vec<(String, String)>) {
        (self.binary.clone(), self.environment())
    }

    fn environment(&self) -> Vec<(String, String)> {
        let data = ("DOCKET_DATA".to_owned(), self.data().display().to_string());
        std::iter::once(data).chain(self.settings.iter().cloned()).collect()
    }
}

/// `docket` with these settings, those inherited, and no standard input.
pub(crate) fn docket(binary: &Path, settings: &[(String, String)]) -> Command {
    let mut command = Command::new(binary);
    let inherited = INHERITED.iter().filter_map(|name| Some((*name, edge::variable(name)?)));
    command.env_clear().envs(inherited).envs(settings.iter().cloned()).stdin(Stdio::null());
    command
}

/// What a token says; what is `None` is what `docket token` takes by itself.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// `admin`, `agent`, `customer`, `bot`, `auditor` or `integrator`.
    pub role: &'a str,
    /// Who.
    pub subject: &'a str,
    /// Of which tenant.
    pub tenant: Option<&'a str>,
    /// On which device.
    pub device: Option<&'a str>,
    /// For how long, such as `24h`.
    pub ttl: Option<&'a str>,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// All that it printed for programs.
    pub stdout: String,
    /// All that it printed for people.
    pub stderr: String,
}

impl Run {
    /// The run itself, if it ended with this exit code.
    ///
    /// # Panics
    ///
    /// When it ended otherwise; shows both outputs.
    #[track_caller]
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}
