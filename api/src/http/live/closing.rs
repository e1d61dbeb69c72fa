//! How a socket ends: a close frame that says why, and time for the peer to read it.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};

use crate::live::outbox::Ending;

/// How long the peer has to answer a close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Why a socket is closed (RFC 6455, 7.4; 4000 and above are Docket's own).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing {
    /// None where nobody is there to read it.
    code: Option<u16>,
    reason: &'static str,
}

impl Closing {
    pub(super) const GONE: Self = Self { code: None, reason: "" };
    pub(super) const PROTOCOL: Self = Self::new(1002, "not WebSocket");
    pub(super) const BINARY: Self = Self::new(1003, "send JSON in text frames");
    pub(super) const NOT_UTF8: Self = Self::new(1007, "not UTF-8");
    pub(super) const FLOODING: Self = Self::new(1008, "too many frames");
    pub(super) const UNAUTHENTICATED: Self = Self::new(1008, "no valid token");
    pub(super) const TOO_BIG: Self = Self::new(1009, "the frame is too large");
    pub(super) const FAILED: Self =
        Self::new(1011, "the server failed: come back with your cursor");
    pub(super) const RESTART: Self = Self::new(1012, "this node stops: come back with your cursor");
    pub(super) const OVERLOADED: Self = Self::new(1013, "too many sockets: come back later");
    pub(super) const EXPIRED: Self = Self::new(4401, "the token has expired");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code: Some(code), reason }
    }
}

impl From<Ending> for Closing {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Expired => Self::EXPIRED,
            Ending::Silent => Self::GONE,
            Ending::Restart => Self::RESTART,
        }
    }
}

/// What an error of the socket comes to.
impl From<axum::Error> for Closing {
    fn from(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<Error>() {
            Some(Error::Utf8(_)) => Self::NOT_UTF8,
            Some(Error::Capacity(CapacityError::MessageTooLong { .. })) => Self::TOO_BIG,
            Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::GONE,
            Some(Error::Protocol(_)) => Self::PROTOCOL,
            Some(Error::WriteBufferFull(_)) => Self::FAILED,
            _ => Self::GONE,
        }
    }
}

/// Says why, and waits a moment for the peer to hear it.
pub(super) async fn close(mut socket: WebSocket, closing: Closing) {
    let Some(code) = closing.code else { return };
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(closing.reason) };
    let saying = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(CLOSE_WITHIN, saying).await;
}
