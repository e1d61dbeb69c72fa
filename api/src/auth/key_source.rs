//! Where the public keys come from, asked again when a token names a key that is not known.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::{JwksError, KeySet};
use crate::client::{self, ClientError};
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
    Url(Uri, #[source] ClientError),
    /// The URL answers something else than 200. Redirects are not followed.
    #[error("the key set {0} is answered with {1}")]
    Status(Uri, StatusCode),
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
                Ok(keys) => {
                    let mut held = self.keys.write();
                    *held = Arc::new(keys.in_place_of(&held));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "keys not refreshed");
                }
            }
            *looked_at = Some(clock::monotonic());
        }
        self.keys()
    }

    /// Looks again for as long as the server runs.
    pub async fn follow(&self) {
        while self.place.is_some() {
            tokio::time::sleep(REFRESH_INTERVAL_MAX).await;
            self.refresh().await;
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
            let document = fetch(uri).await?;
            (uri.to_string(), document)
        }
    };
    KeySet::parse(&document).map_err(|error| KeySourceError::Content(name, error))
}

async fn fetch(uri: &Uri) -> Result<Bytes, KeySourceError> {
    let failed = |error| KeySourceError::Url(uri.clone(), error);
    let request = Request::get(uri).header(header::ACCEPT, "application/json").body(Bytes::new());
    let request = request.map_err(|_| failed(ClientError::Url))?;
    let response = client::send(request, JWKS_BYTES_MAX).await.map_err(failed)?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        status => Err(KeySourceError::Status(uri.clone(), status)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::auth::SigningKey;
    use crate::http::Routes;
    use crate::server::Server;
    use crate::testing::TempDir;

    fn jwks(directory: &TempDir, name: &str) -> String {
        let key = SigningKey::open_or_create(&directory.path().join(name)).unwrap();
        key.jwks().to_string()
    }

    #[tokio::test]
    async fn a_file_is_read_again_but_not_at_once_and_a_broken_one_changes_nothing() {
        let directory = TempDir::new();
        let path = directory.path().join("jwks.json");
        std::fs::write(&path, jwks(&directory, "first")).unwrap();
        let source = KeySource::open(path.to_str().unwrap()).await.unwrap();
        let first = source.keys().kids().join(" ");
        std::fs::write(&path, jwks(&directory, "second")).unwrap();
        let second = source.refresh().await.kids().join(" ");
        assert_ne!(first, second);
        std::fs::write(&path, jwks(&directory, "first")).unwrap();
        assert_eq!(source.refresh().await.kids().join(" "), second);
        *source.looked_at.lock().await = None;
        std::fs::write(&path, "broken").unwrap();
        assert_eq!(source.refresh().await.kids().join(" "), second);
    }

    #[tokio::test]
    async fn a_url_is_fetched_and_anything_but_200_is_an_error() {
        let directory = TempDir::new();
        let document = jwks(&directory, "first");
        let routes = Routes::<()>::new().on(Method::GET, "/jwks", async || document);
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let address = server.address().unwrap();
        let (_drain, draining) = tokio::sync::watch::channel(false);
        tokio::spawn(server.serve(routes.into_router(), draining));
        let source = KeySource::open(&format!("http://{address}/jwks")).await.unwrap();
        assert_eq!(source.keys().kids().len(), 1);
        let missing = KeySource::open(&format!("http://{address}/none")).await;
        assert!(matches!(missing.err(), Some(KeySourceError::Status(_, StatusCode::NOT_FOUND))));
    }
}
