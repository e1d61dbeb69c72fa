//! Whether a key is still one that may sign, known to all that it has signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a key and the tokens that it has signed: where the key is withdrawn they end, sockets and streams among them.
#[derive(Debug, Clone, Default)]
pub struct Trust(Arc<AtomicBool>);

impl Trust {
    /// Whether the key is in its set no more.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn withdraw(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl PartialEq for Trust {
    /// Whether it is the same key's.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}
