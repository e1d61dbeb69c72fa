//! Beside a tail: the desk of its node, which writes to the log that the tail reads.

use async_trait::async_trait;

use super::Written;
use crate::ports::log::LogError;

/// A desk, as the tail on its node knows it.
#[async_trait]
pub(crate) trait Beside: Send + Sync + 'static {
    /// What it has written, and the tail need not read.
    fn written(&self) -> &Written;

    /// The log turns out to be another than before: the desk compares it with its witnesses, and goes on in its newest
    /// incarnation, so that no position is told under the name of the one that was lost.
    ///
    /// # Errors
    /// When it could not be compared; it has to be asked again.
    async fn compare(&self) -> Result<(), LogError>;
}

/// Where nobody writes there is no witness.
#[async_trait]
impl Beside for Written {
    fn written(&self) -> &Written {
        self
    }

    async fn compare(&self) -> Result<(), LogError> {
        Ok(())
    }
}
