//! Whispers within one process: a bounded broadcast.

use docket_schemas::{Tenant, TicketId};
use tokio::sync::broadcast;

use crate::ports::ephemeral::{Ephemeral, WHISPER_BYTES_MAX, WHISPERS_WAITING_MAX, Whisper};

/// Carries whispers to the readers of this process alone.
#[derive(Debug)]
pub struct InProcessEphemeral(broadcast::Sender<Whisper>);

impl Default for InProcessEphemeral {
    fn default() -> Self {
        Self(broadcast::Sender::new(WHISPERS_WAITING_MAX))
    }
}

impl InProcessEphemeral {
    /// Hands a whisper to those who listen here.
    pub fn deliver(&self, whisper: Whisper) {
        // An error says that nobody listens.
        let _ = self.0.send(whisper);
    }
}

impl Ephemeral for InProcessEphemeral {
    fn publish(&self, tenant: &Tenant, ticket: TicketId, bytes: &[u8]) {
        if bytes.len() <= WHISPER_BYTES_MAX {
            self.deliver(Whisper { tenant: tenant.clone(), ticket, bytes: bytes.into() });
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Whisper> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_reader_that_sleeps_loses_the_oldest_whispers_and_holds_nobody_up() {
        let whispers = InProcessEphemeral::default();
        let (tenant, ticket) = ("acme".parse().unwrap(), TicketId::new(Uuid::nil()));
        whispers.publish(&tenant, ticket, b"nobody hears this");
        let mut reader = whispers.subscribe();
        whispers.publish(&tenant, ticket, &[0; WHISPER_BYTES_MAX + 1]);
        assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
        for number in 0..=WHISPERS_WAITING_MAX {
            whispers.publish(&tenant, ticket, &number.to_be_bytes());
        }
        assert_eq!(reader.try_recv(), Err(TryRecvError::Lagged(1)));
        assert_eq!(*reader.try_recv().unwrap().bytes, 1_usize.to_be_bytes());
    }
}
