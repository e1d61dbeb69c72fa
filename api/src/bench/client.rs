//! A keep-alive connection that costs as little as it can: a request is written whole, of an answer only the status and
//! the length are read.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Room for one answer; it grows when one is larger.
const ANSWER_BYTES: usize = 2 * 1024;
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// One connection.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// Sends a request and waits for its answer, of which it returns the status.
    ///
    /// # Errors
    /// When the connection breaks or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(status) = status_of_whole(&self.answer)? {
                return Ok(status);
            }
        }
    }

    /// The last answer as it came.
    #[must_use]
    pub fn answer(&self) -> String {
        String::from_utf8_lossy(&self.answer).into_owned()
    }
}

/// The status once the answer is here to its last byte.
fn status_of_whole(answer: &[u8]) -> io::Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if answer.len() > ANSWER_BYTES_MAX { Err(no_answer()) } else { Ok(None) };
    };
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let length = content_length(head).filter(|length| *length <= ANSWER_BYTES_MAX);
    if body.len() < length.ok_or_else(no_answer)? {
        return Ok(None);
    }
    let status = head.get("HTTP/1.1 ".len()..).and_then(|rest| number(rest.get(..3)?));
    let status = status.and_then(|status| u16::try_from(status).ok());
    status.map(Some).ok_or_else(no_answer)
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let line =
        lines.find(|line| line.get(..NAME.len()).is_some_and(|n| n.eq_ignore_ascii_case(NAME)))?;
    number(line[NAME.len()..].trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no answer of HTTP/1.1 with a length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_once_its_last_byte_is_here() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\netag: x\r\n\r\nabc";
        for length in 0..answer.len() {
            assert_eq!(status_of_whole(&answer[..length]).unwrap(), None, "{length}");
        }
        assert_eq!(status_of_whole(answer).unwrap(), Some(201));
    }

    #[test]
    fn what_has_no_length_is_no_answer() {
        assert!(status_of_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(status_of_whole(b"SSH-2.0\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
