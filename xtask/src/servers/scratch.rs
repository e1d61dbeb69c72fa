//! A temporary folder that is removed with everything in it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::daemon::Account;
use crate::edge;

/// Removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new folder under the system's folder for temporary files.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let name = format!("docket-{}-{}", std::process::id(), &edge::secret()?[..8]);
        let path = std::env::temp_dir().join(name);
        // Others may walk through it: the database runs as another user.
        make(&path, 0o711)?;
        Ok(Self(path))
    }

    /// A new folder in it that only its owner may enter.
    pub(crate) fn folder(&self, name: &str, owner: Option<Account>) -> anyhow::Result<PathBuf> {
        let path = self.0.join(format!("{name}-{}", &edge::secret()?[..8]));
        make(&path, 0o700)?;
        if let Some(owner) = owner {
            chown(&path, Some(owner.id), Some(owner.group))?;
        }
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("xtask: {} stays behind: {error}", self.0.display());
        }
    }
}

fn make(path: &Path, mode: u32) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().mode(mode).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}
