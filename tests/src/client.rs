//! A small HTTP/1.1 client for JSON, with a connection of its own for every request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a whole request may take: longer than any wait that the server grants.
const REQUEST_WITHIN: Duration = Duration::from_secs(60);

/// Speaks to one node as one caller.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
}

impl Client {
    /// A caller with a bearer token, or one without.
    #[must_use]
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, token: token.map(str::to_owned) }
    }

    /// `GET path`
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// `POST path`
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// `PATCH path`
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// `PUT path`
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// `DELETE path`
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// Any method on any path; `path` is sent as it stands, with its query.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let mut builder = hyper::Request::builder().method(method).uri(path);
        builder = builder.header(HOST, self.address.to_string());
        if let Some(token) = &self.token {
            builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        Request { address: self.address, builder, body: Bytes::new() }
    }
}

/// A request that is not sent yet.
#[must_use]
pub struct Request {
    address: SocketAddr,
    builder: hyper::http::request::Builder,
    body: Bytes,
}

impl Request {
    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// A JSON body with its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").bytes(body.to_string())
    }

    /// A body as it stands, without a content type.
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The whole answer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn send(self) -> Answer {
        match self.try_send().await {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error:?}"),
        }
    }

    /// The whole answer, or why there is none: for nodes that are killed meanwhile.
    ///
    /// # Errors
    ///
    /// [`Unreachable`], whatever the reason. The request may have had its effect.
    pub async fn try_send(self) -> Result<Answer, Unreachable> {
        let whole = async {
            let (head, body) = self.open().await?.into_parts();
            let body = body.collect().await.map_err(Unreachable::new)?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(REQUEST_WITHIN, whole).await.map_err(Unreachable::new)?
    }

    /// The head of the answer, with a body that is still coming: for server-sent events.
    ///
    /// # Errors
    ///
    /// [`Unreachable`], whatever the reason.
    pub async fn open(self) -> Result<Response<Incoming>, Unreachable> {
        let request = self.builder.body(Full::new(self.body)).map_err(Unreachable::new)?;
        let stream = TcpStream::connect(self.address).await.map_err(Unreachable::new)?;
        stream.set_nodelay(true).map_err(Unreachable::new)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(Unreachable::new)?;
        // Ends with the sender, once the answer's body has been read or dropped.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(Unreachable::new)
    }
}

/// There was no answer.
#[derive(Debug)]
pub struct Unreachable(Box<dyn std::error::Error + Send + Sync>);

impl Unreachable {
    fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the node gave no answer")
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Bytes,
}

impl Answer {
    /// The answer itself, if it has this status.
    ///
    /// # Panics
    ///
    /// When it has another; says which, and shows the body.
    #[track_caller]
    #[must_use]
    pub fn expect_status(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "the body was: {body}");
        self
    }

    /// The answer itself, if it is a problem with this status and code.
    ///
    /// # Panics
    ///
    /// When it is anything else.
    #[track_caller]
    #[must_use]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect_status(status);
        assert_eq!(answer.code(), code, "the body was: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["status"], status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        answer
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in: {}", String::from_utf8_lossy(&self.body)),
        }
    }

    /// The stable `code` of a problem; empty when the body is none.
    #[must_use]
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's value, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
