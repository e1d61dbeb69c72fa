//! Sends one small request over HTTP or HTTPS: key sets in, traces out.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
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
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(5);

/// The system's certificate authorities on Debian, trusted besides the built-in ones where there is such a file.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not of a form that can be fetched.
    #[error("not an http:// or https:// URL with a host")]
    Url,
    /// No connection, or it broke.
    #[error("no connection")]
    Connection(#[source] Cause),
    /// The answer is too large, or broke off.
    #[error("the answer is too large or broke off")]
    Body(#[source] Cause),
    /// No whole answer in time.
    #[error("no answer within {EXCHANGE_TIME_MAX:?}")]
    Timeout,
}

/// Sends `request`, whose URI has scheme and host, and reads an answer of at most `bytes_max`, whatever its status.
/// Redirects are not followed.
///
/// # Errors
/// When there is no whole answer within 5 seconds.
pub async fn send(
    request: Request<Bytes>,
    bytes_max: usize,
) -> Result<Response<Bytes>, ClientError> {
    let exchange = tokio::time::timeout(EXCHANGE_TIME_MAX, connect(request, bytes_max));
    exchange.await.map_err(|_| ClientError::Timeout)?
}

async fn connect(
    request: Request<Bytes>,
    bytes_max: usize,
) -> Result<Response<Bytes>, ClientError> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or(ClientError::Url)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = match uri.scheme_str() {
        Some("http") => None,
        Some("https") => Some(tls_connector()?),
        _ => return Err(ClientError::Url),
    };
    let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let request = in_origin_form(request, &uri)?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(connection)?;
    match tls {
        None => exchange(stream, request, bytes_max).await,
        Some(connector) => {
            let name = ServerName::try_from(host).map_err(|_| ClientError::Url)?;
            let stream = connector.connect(name, stream).await.map_err(connection)?;
            exchange(stream, request, bytes_max).await
        }
    }
}

/// The path alone in the request line, the host in its header, as servers expect.
fn in_origin_form(mut request: Request<Bytes>, uri: &Uri) -> Result<Request<Bytes>, ClientError> {
    let authority = uri.authority().ok_or(ClientError::Url)?.as_str();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = HeaderValue::from_str(host).map_err(|_| ClientError::Url)?;
    request.headers_mut().insert(header::HOST, host);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| ClientError::Url)?;
    Ok(request)
}

async fn exchange<S>(
    stream: S,
    request: Request<Bytes>,
    bytes_max: usize,
) -> Result<Response<Bytes>, ClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(connection)?;
    let exchange = async move {
        let response = sender.send_request(request.map(Full::new)).await.map_err(connection)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await.map_err(ClientError::Body)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    // The driver ends once the exchange has dropped the sender; the exchange says what came of it.
    futures_util::future::join(exchange, driver).await.0
}

fn connection(error: impl Into<Cause>) -> ClientError {
    ClientError::Connection(error.into())
}

fn tls_connector() -> Result<TlsConnector, ClientError> {
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
