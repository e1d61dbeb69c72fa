//! A collector of traces: takes whatever is posted to it, and keeps the bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a collector answers to everything: an OTLP answer without a complaint is an empty message.
const ACCEPTED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Listens until the test's runtime ends.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    /// On a free port of the loopback.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let taken = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&all)));
            }
        });
        Self { address, taken }
    }

    /// Where to send traces, as `--otlp-endpoint` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was sent so far, heads and bodies.
    ///
    /// # Panics
    /// When a test has panicked meanwhile.
    #[must_use]
    pub fn taken(&self) -> Vec<u8> {
        self.taken.lock().expect("nobody panics under this lock").clone()
    }
}

/// Reads to the end of one request and answers it.
async fn take(mut stream: TcpStream, all: Arc<Mutex<Vec<u8>>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        match stream.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    all.lock().expect("nobody panics under this lock").extend_from_slice(&request);
    let _ = stream.write_all(ACCEPTED).await;
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|digits| digits.trim().parse().ok()).unwrap_or(0);
    request.len() >= end + 4 + length
}
