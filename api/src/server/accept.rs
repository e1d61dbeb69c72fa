//! Takes connections for as long as there are places, and turns the others away.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{self, Shared};
use super::lingering::Lingering;
use super::refusal;

/// How long to wait when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most connections that are being turned away at once; more are just closed.
const TURNED_AWAY_MAX: usize = 256;

/// Accepts for ever.
pub(super) async fn accept(listener: &TcpListener, shared: Shared, places: &Arc<Semaphore>) {
    let doormen = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are written whole: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            let shared = shared.clone();
            tokio::spawn(async move {
                connection::run(stream, shared).await;
                drop(place);
            });
        } else if shared.tls.is_none()
            && let Ok(doorman) = Arc::clone(&doormen).try_acquire_owned()
        {
            tokio::spawn(turn_away(stream, doorman));
        }
    }
}

async fn turn_away(stream: TcpStream, doorman: OwnedSemaphorePermit) {
    let mut stream = Lingering::new(stream);
    let _ = stream.write_all(&refusal::overloaded()).await;
    let _ = stream.shutdown().await;
    drop(doorman);
}
