//! How far the table of sagas has come, for those who list them.

use docket_engine::cursor::Positions;
use docket_engine::ports::log::LogError;
use docket_schemas::Partition;

use super::Coordinator;

impl Coordinator {
    /// The log up to here stands in the table, as far as it is about sagas. What is listed afterwards holds at least that.
    ///
    /// # Errors
    /// When the log or the table fails.
    pub async fn listed(&self) -> Result<Positions, LogError> {
        let ports = &self.shared.ports;
        // First where the log ends: a partition without a saga's row beyond the table has been listed up to there.
        let heads = ports.desk.ports().log.heads().await?;
        let mut listed = Positions::START;
        for partition in Partition::all() {
            let reached = ports.table.reached(partition).await?;
            let head = heads.get(partition);
            listed.set(partition, reached.max(head));
            if reached < head {
                match ports.table.saga_events(partition, reached, 1).await {
                    Ok(beyond) => {
                        if let Some(first) = beyond.first() {
                            listed.set(partition, first.position - 1);
                        }
                    }
                    // Whoever writes the table passes it in a moment.
                    Err(LogError::Damaged { .. }) => listed.set(partition, reached),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(listed)
    }
}
