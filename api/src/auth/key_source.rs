//! Where the public keys come from, asked again when a token names a key that is not known.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Uri;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::{FetchError, JwksError, KeySet, fetch};
use crate::clock;

/// Shortest time between two looks at the source, so that unknown keys cannot make it busy.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Longest time for which keys are used without another look: so long a withdrawn key still counts.
const REFRESH_INTERVAL_MAX: Duration = Duration::from_secs(300);
/// Largest key set, in bytes.
const JWKS_BYTES_MAX: usize = 256 * 1024;

/// Where the keys are published.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Url(Uri),
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// The file cannot be read.
    #[error("cannot read the key set {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// The URL does not answer.
    #[error("cannot fetch the key set {0}")]
    Url(Uri, #[source] FetchError),
    /// What it answers is of no use.
    #[error("the key set {0} cannot be used")]
    Content(String, #[source] JwksError),
}

/// Keys that follow their source, which may rotate them at any time.
pub struct KeySource {
    /// None where the keys never change: the installation's own.
    place: Option<Place>,
    keys: RwLock<Arc<KeySet>>,
    looked_at: Mutex<Option<Instant>>,
}

impl KeySource {
    /// Keys that never change.
    #[must_use]
    pub fn fixed(keys: KeySet) -> Self {
        Self::of(None, keys)
    }

    /// Keys from a file or an `http://` or `https://` URL.
    ///
    /// # Errors
    /// When the first look finds no usable key.
    pub async fn open(place: &str) -> Result<Self, KeySourceError> {
        let place = match place.parse::<Uri>() {
            Ok(uri) if uri.scheme_str().is_some_and(|scheme| scheme.starts_with("http")) => {
                Place::Url(uri)
            }
            _ => Place::File(place.into()),
        };
        let keys = look(&place).await?;
        Ok(Self::of(Some(place), keys))
    }

    fn of(place: Option<Place>, keys: KeySet) -> Self {
        Self { place, keys: RwLock::new(Arc::new(keys)), looked_at: Mutex::new(None) }
    }

    /// The keys as last seen.
    #[must_use]
    pub fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read())
    }

    /// Looks again, unless somebody has just done so. A source that fails leaves the keys as they are.
    pub async fn refresh(&self) -> Arc<KeySet> {
        let Some(place) = &self.place else { return self.keys() };
        let mut looked_at = self.looked_at.lock().await;
        if looked_at.is_none_or(|time| time.elapsed() >= REFRESH_INTERVAL_MIN) {
            match look(place).await {
                Ok(keys) => *self.keys.write() = Arc::new(keys),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "keys not refreshed");
                }
            }
            *looked_at = Some(clock::monotonic());
        }
        self.keys()
    }

    /// Looks again for as long as the server runs, calling `changed` after each look.
    pub async fn follow(&self, changed: impl Fn()) {
        while self.place.is_some() {
            tokio::time::sleep(REFRESH_INTERVAL_MAX).await;
            self.refresh().await;
            changed();
        }
    }
}

async fn look(place: &Place) -> Result<KeySet, KeySourceError> {
    let (name, document) = match place {
        Place::File(path) => {
            let read = tokio::fs::read(path).await;
            let document = read.map_err(|error| KeySourceError::File(path.clone(), error))?;
            (path.display().to_string(), document.into())
        }
        Place::Url(uri) => {
            let fetched = fetch(uri, JWKS_BYTES_MAX).await;
            let document = fetched.map_err(|error| KeySourceError::Url(uri.clone(), error))?;
            (uri.to_string(), document)
        }
    };
    KeySet::parse(&document).map_err(|error| KeySourceError::Content(name, error))
}
