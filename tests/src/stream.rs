//! A client of server-sent events.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an event or a comment may take: the server says something every 15 seconds.
const MESSAGE_WITHIN: Duration = Duration::from_secs(30);

/// An open stream.
pub struct EventStream {
    response: Response<Incoming>,
    text: String,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// An event with its id.
    Event {
        /// The cursor after it.
        id: String,
        /// The event.
        data: Value,
    },
    /// A comment, or how soon to come back.
    Other(String),
}

impl EventStream {
    /// Opens `GET path` with these headers.
    ///
    /// # Errors
    /// The status where it is not 200.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn open(
        address: SocketAddr,
        token: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.expect("the node listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let mut request = hyper::Request::get(path)
            .header("host", address.to_string())
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { response, text: String::new() })
    }

    /// What is said next; none once the stream has ended.
    ///
    /// # Panics
    /// When nothing comes in time, or it is no server-sent event.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let said = parse(&self.text[..end]);
                self.text.drain(..end + 2);
                return Some(said);
            }
            let frame = timeout(MESSAGE_WITHIN, self.response.frame()).await;
            let frame = frame.expect("something in time")?.ok()?;
            let bytes = frame.into_data().unwrap_or_default();
            self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }

    /// The next event; none once the stream has ended.
    pub async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            if let Said::Event { id, data } = self.next().await? {
                return Some((id, data));
            }
        }
    }
}

fn parse(message: &str) -> Said {
    let field = |name: &str| {
        let mut lines = message.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    match (field("id"), field("data")) {
        (Some(id), Some(data)) => {
            assert_eq!(message.lines().count(), 2, "an id, and the event on one line: {message}");
            Said::Event { id, data: serde_json::from_str(&data).expect("a JSON event") }
        }
        _ => Said::Other(message.to_owned()),
    }
}
