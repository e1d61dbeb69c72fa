//! The master key, which wraps every key of the key store: 32 bytes in hexadecimal, in a file or in the setting itself.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use docket_engine::ports::ids::Ids;
use docket_engine::seal::KEY_BYTES;
use zeroize::Zeroizing;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or made.
    #[error("cannot read or make the master key {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The text is no key.
    #[error("the master key {path} is not 64 hexadecimal digits")]
    Form {
        /// Which file.
        path: PathBuf,
    },
    /// There is a key store without its master key.
    #[error(
        "{store} has no master key: {path} is missing; restore it, for a new one opens nothing"
    )]
    Missing {
        /// The key store.
        store: String,
        /// Where its key should be.
        path: PathBuf,
    },
}

/// The key in `path`, made there on the first run of an installation: where no key store exists that it would not open.
/// A `path` of 64 hexadecimal digits is the key itself, as an environment hands it out.
///
/// # Errors
/// See [`MasterKeyError`].
pub fn open_or_create(
    path: &Path,
    existing_store: Option<&str>,
    ids: &dyn Ids,
) -> Result<Zeroizing<[u8; KEY_BYTES]>, MasterKeyError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if hex::decode_to_slice(path.as_os_str().as_encoded_bytes(), key.as_mut_slice()).is_ok() {
        return Ok(key);
    }
    let failed = |source| MasterKeyError::Io { path: path.to_owned(), source };
    if !path.exists() {
        if let Some(store) = existing_store {
            return Err(MasterKeyError::Missing { store: store.to_owned(), path: path.to_owned() });
        }
        create(path, ids).map_err(failed)?;
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    hex::decode_to_slice(text.trim(), key.as_mut_slice())
        .map_err(|_| MasterKeyError::Form { path: path.to_owned() })?;
    Ok(key)
}

/// Written whole beside its place and linked into it, so that of two processes that start at once one wins.
fn create(path: &Path, ids: &dyn Ids) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    ids.fill(key.as_mut_slice());
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{}", hex::encode(key.as_slice()))?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
