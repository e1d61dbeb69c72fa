//! Ctrl-C, SIGTERM and SIGHUP as a question that waiting code asks, so that servers always get stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Somebody asked the task to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Whether a signal to end has come.
#[derive(Clone)]
pub(crate) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// From here on the signals do not end this process by themselves.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let received = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&received);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (interrupt, terminate, hangup) = {
            let _context = runtime.enter();
            (
                signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
                signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
                signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
            )
        };
        thread::spawn(move || {
            runtime.block_on(async move {
                let (mut interrupt, mut terminate, mut hangup) = (interrupt, terminate, hangup);
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                seen.store(true, Ordering::SeqCst);
            });
        });
        Ok(Self(received))
    }

    /// Fails with [`Interrupted`] once a signal has come.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(Interrupted.into()) } else { Ok(()) }
    }
}
