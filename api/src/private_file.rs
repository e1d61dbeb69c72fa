//! Files that hold a secret: made whole, once, and readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Makes `path` with `content`, whole and durable; one that is there already stays.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let draft = directory.join(format!(".secret.{}", unguessable()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        // A link, unlike a rename, never replaces the secret that another process made meanwhile.
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.and_then(|()| File::open(directory)?.sync_all()),
    }
}

/// A name that no other process is using for its own draft.
fn unguessable() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
