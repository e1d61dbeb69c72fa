//! The bus of one process: a counter that followers watch.

use tokio::sync::watch;

use crate::ports::bus::Bus;

/// Wakes the followers of this process alone.
#[derive(Debug)]
pub struct InProcessBus(watch::Sender<u64>);

impl Default for InProcessBus {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Bus for InProcessBus {
    fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
