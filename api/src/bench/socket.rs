//! A WebSocket client that costs as little as it can: frames are masked with zeros, and of an answer only its bytes are
//! looked at.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Room for what is read at once.
const READ_BYTES: usize = 2 * 1024;
/// The largest frame.
const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// A text frame that is whole (RFC 6455, 5.2).
const TEXT: u8 = 0x81;
/// A ping, and the pong that answers it.
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;
/// The other side ends.
const CLOSE: u8 = 0x88;
/// The masking bit, without which a server refuses a client's frame.
const MASKED: u8 = 0x80;

/// Reads frames.
pub(super) struct Reader {
    stream: OwnedReadHalf,
    bytes: Vec<u8>,
    /// How many of them were answered already.
    taken: usize,
}

/// What the server has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// A text.
    Text,
    /// A question whether the client is there.
    Ping,
}

/// Sends frames.
pub(super) struct Writer(OwnedWriteHalf);

/// Opens a socket at `path`.
///
/// # Errors
/// When the server does not switch protocols.
pub(super) async fn open(
    address: SocketAddr,
    path: &str,
    token: &str,
) -> io::Result<(Reader, Writer)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (mut reader, mut writer) =
        (Reader { stream: read, bytes: Vec::new(), taken: 0 }, Writer(write));
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nupgrade: websocket\r\n\
         connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    writer.0.write_all(request.as_bytes()).await?;
    loop {
        if let Some(end) = reader.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            if !reader.bytes.starts_with(b"HTTP/1.1 101") {
                let answer = String::from_utf8_lossy(&reader.bytes).into_owned();
                return Err(io::Error::other(answer));
            }
            reader.taken = end + 4;
            return Ok((reader, writer));
        }
        reader.fill().await?;
    }
}

impl Reader {
    /// Of what kind the next frame is.
    ///
    /// # Errors
    /// When the connection ends, or what comes is larger than [`FRAME_BYTES_MAX`].
    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        let (kind, _) = self.whole().await?;
        Ok(if kind == PING { Frame::Ping } else { Frame::Text })
    }

    /// The next text; nobody answers what comes between.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub(super) async fn text(&mut self) -> io::Result<&[u8]> {
        loop {
            let (kind, payload) = self.whole().await?;
            if kind != PING {
                return Ok(&self.bytes[payload]);
            }
        }
    }

    /// The first byte of the next frame, and where its payload is.
    async fn whole(&mut self) -> io::Result<(u8, Range<usize>)> {
        loop {
            let rest = &self.bytes[self.taken..];
            if let Some((start, end)) = frame(rest)? {
                let (kind, payload) = (rest[0], self.taken + start..self.taken + end);
                self.taken = payload.end;
                if kind == CLOSE {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                return Ok((kind, payload));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Where the first frame's payload begins and ends, once it is whole.
fn frame(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(short) = bytes.get(1) else { return Ok(None) };
    let (length, start) = match short & !MASKED {
        126 => match bytes.get(2..4) {
            Some(long) => (usize::from(u16::from_be_bytes([long[0], long[1]])), 4),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|long| <[u8; 8]>::try_from(long).ok()) {
            Some(long) => (usize::try_from(u64::from_be_bytes(long)).unwrap_or(usize::MAX), 10),
            None => return Ok(None),
        },
        short => (usize::from(short), 2),
    };
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that is too large"));
    }
    Ok((bytes.len() >= start + length).then_some((start, start + length)))
}

impl Writer {
    /// Sends a text.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) async fn send(&mut self, text: &[u8]) -> io::Result<()> {
        self.frame(TEXT, text).await
    }

    /// Says that the client is there.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) async fn pong(&mut self) -> io::Result<()> {
        self.frame(PONG, &[]).await
    }

    async fn frame(&mut self, kind: u8, text: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(text.len() + 14);
        frame.push(kind);
        match text.len() {
            length @ 0..=125 => frame.push(MASKED | u8::try_from(length).unwrap_or(0)),
            length => {
                frame.push(MASKED | 126);
                let length = u16::try_from(length).map_err(io::Error::other)?;
                frame.extend_from_slice(&length.to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text);
        self.0.write_all(&frame).await
    }
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_frame_is_whole_once_its_last_byte_is_here() {
        for length in [0_usize, 1, 125, 126, 300, 70_000] {
            let mut bytes = vec![super::TEXT];
            match length {
                0..=125 => bytes.push(length as u8),
                126..=65_535 => {
                    bytes.push(126);
                    bytes.extend_from_slice(&(length as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend_from_slice(&(length as u64).to_be_bytes());
                }
            }
            let start = bytes.len();
            bytes.extend(vec![b'x'; length]);
            assert_eq!(frame(&bytes).unwrap(), Some((start, start + length)));
            assert_eq!(frame(&bytes[..bytes.len() - 1]).unwrap(), None);
        }
        assert!(frame(&[super::TEXT, 127, 1, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
