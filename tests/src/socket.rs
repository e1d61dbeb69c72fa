//! A WebSocket client of `/v1/live`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long a frame may take to come.
const FRAME_WITHIN: Duration = Duration::from_secs(30);

/// An open socket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens a socket with a token in the header, and waits for `ready`.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn open(address: SocketAddr, token: &str) -> Self {
        let bearer = format!("Bearer {token}");
        let mut socket =
            Self::handshake(address, &[("authorization", &bearer)]).await.expect("101");
        assert_eq!(socket.next().await["op"], "ready");
        socket
    }

    /// Opens a socket with these headers; the status where the server refuses.
    ///
    /// # Errors
    /// The status of the refusal.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn handshake(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.expect("the node listens");
        let mut request =
            format!("ws://{address}/v1/live").into_client_request().expect("an address");
        for (name, value) in headers {
            let name = name.parse::<hyper::header::HeaderName>().expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send(&mut self, frame: &Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    /// Sends anything.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.expect("the socket is open");
    }

    /// Sends anything, if the socket is still open.
    pub async fn try_send(&mut self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }

    /// The next frame.
    ///
    /// # Panics
    /// When none comes in time, or the socket is closed.
    pub async fn next(&mut self) -> Value {
        self.try_next().await.expect("the socket is open")
    }

    /// The next frame; the code of its end once it is closed.
    ///
    /// # Errors
    /// The close code; 1006 where the connection broke.
    ///
    /// # Panics
    /// When nothing comes in time.
    pub async fn try_next(&mut self) -> Result<Value, u16> {
        loop {
            let heard = timeout(FRAME_WITHIN, self.0.next()).await.expect("a frame in time");
            match heard {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("a JSON frame"));
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame with this `op`; those between are passed.
    ///
    /// # Panics
    /// When none comes.
    pub async fn until(&mut self, op: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["op"] == op {
                return frame;
            }
        }
    }

    /// Whether nothing comes for this long.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        timeout(time, self.0.next()).await.is_err()
    }

    /// The code with which the socket is closed; frames before that are passed.
    ///
    /// # Panics
    /// When it is not closed.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.try_next().await {
                return code;
            }
        }
    }

    /// Subscribes and answers the frame `subscribed`.
    ///
    /// # Panics
    /// When something else comes first.
    pub async fn subscribe(&mut self, id: &str, what: Value) -> Value {
        let mut frame = json!({"op": "subscribe", "id": id});
        if let (Value::Object(frame), Value::Object(what)) = (&mut frame, what) {
            frame.extend(what);
        }
        self.send(&frame).await;
        let answer = self.next().await;
        assert_eq!((&answer["op"], &answer["id"]), (&json!("subscribed"), &json!(id)), "{answer}");
        answer
    }
}
