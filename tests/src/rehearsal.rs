//! A rehearsal of sagas with faults on purpose, in a place of its own.

use std::process::Command;

use serde_json::Value;

use crate::{Database, Folder, faults_binary};

/// Where a rehearsal's log lives.
#[derive(Debug)]
pub struct Rehearsal {
    folder: Folder,
    database: Option<Database>,
}

impl Rehearsal {
    /// SQLite in a new directory.
    #[must_use]
    pub fn sqlite() -> Self {
        Self { folder: Folder::new(), database: None }
    }

    /// A PostgreSQL database of its own.
    pub async fn postgres() -> Self {
        Self { folder: Folder::new(), database: Some(Database::create().await) }
    }

    /// Removes it, off the threads that carry other rehearsals: to drop a database waits for everybody who is just
    /// connecting to its server.
    ///
    /// # Panics
    /// When something cannot be removed.
    pub async fn remove(self) {
        tokio::task::spawn_blocking(move || drop(self)).await.expect("a thread of its own");
    }

    /// Carries so many new sagas of a definition, and all that are under way, to where they rest; a line of JSON for
    /// each. None when the process was killed, as the fault says.
    ///
    /// # Panics
    /// When it fails otherwise.
    pub async fn run(&self, definition: &str, count: usize, fault: &str) -> Option<Vec<Value>> {
        let mut command = Command::new(faults_binary());
        command.args(["faults", "--definition", definition, "--rehearse", &count.to_string()]);
        command.arg("--data").arg(self.folder.path().join("data"));
        if let Some(database) = &self.database {
            command.args(["--database-url", &database.url()]);
        }
        command.env_remove("DATABASE_URL").env("DOCKET_FAULT", fault);
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = ended.await.expect("a thread of its own").expect("docket runs");
        let text = String::from_utf8(output.stdout).expect("a text");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code().is_none() {
            assert!(errors.contains("kill"), "{fault}: killed by itself: {errors}");
            return None;
        }
        assert!(output.status.success(), "{fault}: {errors}");
        Some(text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
    }
}

/// Whether the point of a saga does what the fault asks of it: what is done is not done twice afterwards, and an undo that
/// is done does not fail for good.
#[must_use]
pub fn is_honoured(fault: &str) -> bool {
    !(fault.contains(".after:twice") || fault.contains(".undo.after:business"))
}
