//! The bus: wakes those who follow the log. It carries no events, and a lost wake-up costs time, nothing else.

use tokio::sync::watch;

/// Tells other readers, here and on other nodes, that the log has grown.
pub trait Bus: Send + Sync + 'static {
    /// Says that something was appended. Never waits; wake-ups that come close together become one.
    fn wake(&self);

    /// Changes whenever somebody woke the bus.
    fn woken(&self) -> watch::Receiver<u64>;
}
