//! Leases: who does what only one node needs to do. They save work and protect nothing.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::log::LogError;

/// How long a lease lasts unless it is renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(3);

/// How often its holder renews it.
pub const LEASE_RENEW_EVERY: Duration = Duration::from_secs(1);

/// Leases by the clock of the database that all nodes share.
///
/// A holder that was stopped for a while may believe that it still holds one: what it does under it must be fenced
/// elsewhere, by a checkpoint's or a stream's expected position.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes a lease that is free, has run out or is the holder's own, for `ttl` from now. Answers its epoch, which
    /// rises with every change of holder, or none while another holds it.
    async fn hold(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<u64>, LogError>;

    /// Lets a lease go, if it is the holder's own.
    async fn release(&self, name: &str, holder: Uuid) -> Result<(), LogError>;
}
