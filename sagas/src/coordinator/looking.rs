//! Looking: a runner reads what the log has beyond what it knows.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::Positions;
use docket_engine::desk::DeskError;
use tokio::time::sleep;

use super::SagaError;
use super::commit::Trouble;
use super::runner::Runner;

/// How long a runner rests when the log does not answer; twice that at most, by chance.
pub(super) const LOG_RESTS_FOR: Duration = Duration::from_millis(250);

impl Runner {
    /// Looks until the log answers: nobody else would carry the saga meanwhile. False where its stream cannot be read, or
    /// is there no longer.
    pub(super) async fn catches_up(&mut self) -> bool {
        loop {
            let Err(error) = self.look_again().await else { return true };
            if error.is_damage() || matches!(error, SagaError::NotFound) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(saga.id = %self.state.id, error, "saga.left");
                return false;
            }
            tracing::warn!(saga.id = %self.state.id, error = &error as &dyn std::error::Error, "saga.log.unavailable");
            self.rest().await;
        }
    }

    /// Reads what the log has beyond what is known.
    ///
    /// # Errors
    /// [`SagaError::NotFound`] where a restored log has lost the saga.
    pub(super) async fn look_again(&mut self) -> Result<(), SagaError> {
        let shared = Arc::clone(&self.shared);
        if shared.catch_up(&mut self.state).await? {
            tracing::warn!(saga.id = %self.state.id, "saga.rows.lost");
            self.begin_anew();
        }
        if self.state.begun.is_none() {
            return Err(SagaError::NotFound);
        }
        self.signal.know(self.state.position);
        self.weigh();
        Ok(())
    }

    /// What is under way, and where it has written to, belongs to a state that is lost: as on a node that takes over.
    pub(super) fn begin_anew(&mut self) {
        self.drop_flights();
        self.effects = Positions::START;
        self.inherits = true;
    }

    /// Says how much the state holds by now.
    pub(super) fn weigh(&self) {
        let key = (self.state.tenant.clone(), self.state.id);
        self.shared.live.weigh(&key, &self.signal, self.state.weight());
    }

    pub(super) async fn rest(&self) {
        let mut jitter = [0];
        self.shared.ports.desk.ports().ids.fill(&mut jitter);
        sleep(LOG_RESTS_FOR + LOG_RESTS_FOR.mul_f64(f64::from(jitter[0]) / 255.0)).await;
    }
}

pub(super) fn trouble(error: SagaError) -> Trouble {
    match error {
        SagaError::Desk(error) => error.into(),
        SagaError::Log(error) => Trouble::Log(error.into()),
        SagaError::NotFound => Trouble::Over(DeskError::Stopping),
        error => {
            tracing::error!(error = &error as &dyn std::error::Error, "saga.unreadable");
            Trouble::Over(DeskError::Stopping)
        }
    }
}
