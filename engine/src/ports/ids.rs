//! Randomness: an argument, so that the core can be replayed and simulated.

use uuid::Uuid;

/// Makes what must not be guessed or repeated.
pub trait Ids: Send + Sync + 'static {
    /// A UUIDv7, rising within a process.
    fn time_ordered(&self) -> Uuid;

    /// Fills `bytes` with cryptographic randomness: nonces and keys.
    fn fill(&self, bytes: &mut [u8]);
}
