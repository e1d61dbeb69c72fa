//! A directory that lives as long as a test.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let name = RandomState::new().hash_one(std::process::id());
        let path = std::env::temp_dir().join(format!("docket-{name:x}"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
