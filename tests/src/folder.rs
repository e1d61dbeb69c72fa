//! A temporary folder of one test.

use std::fs;
use std::path::{Path, PathBuf};

use crate::edge;

/// Removed with everything in it when dropped, unless the test failed: then it says where it is.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new, empty folder.
    ///
    /// # Panics
    ///
    /// When the system's folder for temporary files takes none.
    #[must_use]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(edge::unique("docket-test-"));
        // A process of this number may have left one behind.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test's files are in {}", self.0.display());
            return;
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}
