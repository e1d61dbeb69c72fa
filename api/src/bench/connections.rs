//! Idle WebSockets: how many a server keeps, and what each costs it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use docket_schemas::{Role, Tenant};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::task::JoinSet;

use super::in_scratch::in_scratch;
use super::report::{two_columns, whole};
use super::requests::{TENANT, token};
use super::server::Server;
use super::socket::{self, Frame, Reader, Writer};
use crate::auth::SigningKey;
use crate::wire::scratch::Scratch;
use crate::wire::{Installation, WireError};

/// Sockets that are opened at the same time.
const OPENED_AT_ONCE: usize = 64;
/// How long the server may take to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(5);
/// Agents whose sockets they are.
const AGENTS: usize = 100;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sockets.
    pub sockets: usize,
    /// How long they are kept open without a word.
    pub duration: Duration,
}

/// What was measured. Its keys are described in `docs/bench.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    sockets: usize,
    seconds: u64,
    /// Sockets that had ended by then.
    lost: usize,
    /// Resident memory of the server before and while they were open.
    resident_bytes_before: Option<u64>,
    resident_bytes: Option<u64>,
    /// The difference, by socket.
    bytes_per_socket: Option<f64>,
}

/// Measures a server on a scratch installation like `installation`; `progress` is told what is being done.
///
/// # Errors
/// When the server does not start, or a socket cannot be opened.
pub async fn run(
    installation: &Installation,
    plan: &Plan,
    progress: impl Fn(&str),
) -> Result<Report, WireError> {
    let measuring = async |scratch: &Scratch| measure(scratch, plan, &progress).await;
    let (_, report) = in_scratch(installation, "connections", measuring).await?;
    Ok(report)
}

async fn measure(
    scratch: &Scratch,
    plan: &Plan,
    progress: &impl Fn(&str),
) -> Result<Report, WireError> {
    progress("starting a server");
    let server = Server::start(&scratch.installation).await?;
    let key = SigningKey::open_or_create(&scratch.installation.data.join("signing-key.pem"))?;
    let tenant: Tenant = TENANT.parse()?;
    let tokens = (0..AGENTS)
        .map(|agent| token(&key, &tenant, Role::Agent, &format!("agent-{agent}")))
        .collect::<Result<Vec<_>, _>>()?;
    // What the server keeps for itself is there before it is weighed.
    drop(open(server.address, &tokens, OPENED_AT_ONCE).await?);
    tokio::time::sleep(REST).await;
    let before = server.resident_bytes();
    progress(&format!("opening {} sockets", plan.sockets));
    let sockets = open(server.address, &tokens, plan.sockets).await?;
    let mut open = JoinSet::new();
    for (mut reader, mut writer) in sockets {
        open.spawn(async move {
            while let Ok(frame) = reader.next().await {
                if frame == Frame::Ping && writer.pong().await.is_err() {
                    return;
                }
            }
        });
    }
    progress(&format!("resting for {} seconds", plan.duration.as_secs()));
    tokio::time::sleep(REST).await;
    let resident = server.resident_bytes();
    tokio::time::sleep(plan.duration.saturating_sub(REST)).await;
    let mut lost = 0;
    while open.try_join_next().is_some() {
        lost += 1;
    }
    let resident = resident.max(server.resident_bytes());
    let difference = resident.zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(Report {
        bench: "connections",
        sockets: plan.sockets,
        seconds: plan.duration.as_secs(),
        lost,
        resident_bytes_before: before,
        resident_bytes: resident,
        bytes_per_socket: difference.map(|bytes| bytes as f64 / plan.sockets.max(1) as f64),
    })
}

async fn open(
    address: SocketAddr,
    tokens: &[String],
    count: usize,
) -> io::Result<Vec<(Reader, Writer)>> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let some = OPENED_AT_ONCE.min(count - sockets.len());
        let opening = (0..some).map(|number| {
            let token = &tokens[(sockets.len() + number) % tokens.len()];
            async move {
                let (mut reader, writer) = socket::open(address, "/v1/live", token).await?;
                reader.text().await?;
                io::Result::Ok((reader, writer))
            }
        });
        for opened in join_all(opening).await {
            sockets.push(opened?);
        }
    }
    Ok(sockets)
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let megabytes = |bytes: Option<u64>| {
            bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6))
        };
        let each = self
            .bytes_per_socket
            .map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} KiB", bytes / 1024.0));
        two_columns(&[
            ("idle sockets", whole(Some(self.sockets as f64))),
            ("seconds", whole(Some(self.seconds as f64))),
            ("lost", whole(Some(self.lost as f64))),
            ("resident memory before", megabytes(self.resident_bytes_before)),
            ("resident memory with them", megabytes(self.resident_bytes)),
            ("resident memory of each", each),
        ])
    }
}
