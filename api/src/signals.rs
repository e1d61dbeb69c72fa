//! The signals that ask the process to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns true with the first SIGTERM or SIGINT, after `begun` was called; the second ends the process at once.
///
/// # Errors
/// When the system takes no handlers.
pub fn drain(begun: impl FnOnce() + Send + 'static) -> std::io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping: finishing what is in flight");
        begun();
        sender.send_replace(true);
        next().await;
        std::process::exit(1);
    });
    Ok(receiver)
}
