//! Fetches a small document over HTTP or HTTPS.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Longest time from connecting to the last byte.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// The system's certificate authorities on Debian, trusted besides the built-in ones where there is such a file.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is not of a form that can be fetched.
    #[error("not an http:// or https:// URL with a host")]
    Url,
    /// No connection, or it broke.
    #[error("no connection")]
    Connection(#[source] Cause),
    /// The server answered something else than 200. Redirects are not followed.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The document is too large, or broke off.
    #[error("the document is too large or broke off")]
    Body(#[source] Cause),
    /// No whole answer in time.
    #[error("no answer within {FETCH_TIME_MAX:?}")]
    Timeout,
}

/// The document at `uri`, at most `bytes_max` long.
///
/// # Errors
/// When there is no such document within 5 seconds.
pub async fn fetch(uri: &Uri, bytes_max: usize) -> Result<Bytes, FetchError> {
    let fetched = tokio::time::timeout(FETCH_TIME_MAX, connect_and_get(uri, bytes_max));
    fetched.await.map_err(|_| FetchError::Timeout)?
}

async fn connect_and_get(uri: &Uri, bytes_max: usize) -> Result<Bytes, FetchError> {
    let host = uri.host().ok_or(FetchError::Url)?.to_owned();
    let tls = match uri.scheme_str() {
        Some("http") => None,
        Some("https") => Some(tls_connector()?),
        _ => return Err(FetchError::Url),
    };
    let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let bare_host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((bare_host.as_str(), port)).await.map_err(connection)?;
    match tls {
        None => get(stream, uri, bytes_max).await,
        Some(connector) => {
            let name = ServerName::try_from(bare_host).map_err(|_| FetchError::Url)?;
            let stream = connector.connect(name, stream).await.map_err(connection)?;
            get(stream, uri, bytes_max).await
        }
    }
}

async fn get<S>(stream: S, uri: &Uri, bytes_max: usize) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(connection)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().ok_or(FetchError::Url)?;
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Url)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(connection)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), bytes_max).collect().await;
        Ok(body.map_err(FetchError::Body)?.to_bytes())
    };
    // The driver ends once the exchange has dropped the sender; the exchange says what came of it.
    futures_util::future::join(exchange, driver).await.0
}

fn connection(error: impl Into<Cause>) -> FetchError {
    FetchError::Connection(error.into())
}

fn tls_connector() -> Result<TlsConnector, FetchError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Ok(certificates) = CertificateDer::pem_file_iter(SYSTEM_CERTIFICATES) {
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(connection)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
