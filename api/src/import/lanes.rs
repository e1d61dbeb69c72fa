//! Lanes: many tickets at once, and the rows of one ticket strictly one after another.

use docket_engine::desk::DeskError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::step::Step;

/// Tickets that are written at the same time: enough that one transaction carries many.
const LANES: usize = 128;

/// Steps that wait on one lane before the reader waits.
const LANE_STEPS_MAX: usize = 16;

/// Does what comes on one lane.
pub(super) trait Hand: Send + 'static {
    /// Takes the next step.
    ///
    /// # Errors
    /// When the log or the key store fails; nothing more comes on this lane then.
    fn take(&mut self, step: Step) -> impl Future<Output = Result<(), DeskError>> + Send;
}

/// The lanes of one import.
pub(super) struct Lanes {
    lanes: Vec<mpsc::Sender<Box<Step>>>,
    hands: JoinSet<Result<(), DeskError>>,
}

/// The step's lane has failed.
#[derive(Debug)]
pub(super) struct LaneClosed;

impl Lanes {
    /// Starts lanes with a hand for each.
    pub(super) fn start<H: Hand>(hand: impl Fn() -> H) -> Self {
        let mut hands = JoinSet::new();
        let lanes = (0..LANES).map(|_| {
            let (lane, steps) = mpsc::channel(LANE_STEPS_MAX);
            hands.spawn(run(hand(), steps));
            lane
        });
        Self { lanes: lanes.collect(), hands }
    }

    /// Puts a step on its ticket's lane, when there is room on it.
    pub(super) async fn give(&self, step: Box<Step>) -> Result<(), LaneClosed> {
        let [.., high, low] = *step.ticket.as_bytes();
        let lane = usize::from(u16::from_be_bytes([high, low])) % LANES;
        self.lanes[lane].send(step).await.map_err(|_| LaneClosed)
    }

    /// Waits until every step that was given is done, or a lane has failed.
    pub(super) async fn finish(mut self) -> Result<(), DeskError> {
        self.lanes.clear();
        let mut outcome = Ok(());
        while let Some(ended) = self.hands.join_next().await {
            outcome = outcome.and(ended.unwrap_or(Err(DeskError::Stopping)));
        }
        outcome
    }
}

async fn run(mut hand: impl Hand, mut steps: mpsc::Receiver<Box<Step>>) -> Result<(), DeskError> {
    while let Some(step) = steps.recv().await {
        hand.take(*step).await?;
    }
    Ok(())
}
