//! Jobs over tickets that others keep writing to.

use std::time::Duration;

use docket_engine::ports::sagas::Standing;
use docket_schemas::saga::Outcome;
use docket_schemas::{Changed, TicketId};

use super::crew::Crew;
use crate::*;

/// How long taking a job back may take.
const UNDONE_WITHIN: Duration = Duration::from_secs(20);

async fn crowded(tickets: usize, most: usize) {
    let crew = Crew::new().await;
    let node = crew.node(vec![bulk_update()]).await;
    let mut ids: Vec<TicketId> = Vec::new();
    for _ in 0..tickets {
        ids.push(crew.ticket(&node).await);
    }
    let request = BulkRequest {
        caller: crew.agent().await,
        command_id: crew.office.command(),
        request_mac: None,
        tickets: ids.clone(),
        set: Changed { add_tags: vec!["wave-3".to_owned()], ..Changed::default() },
        occurred_at: crew.operator().await.occurred_at,
    };
    crew.log.crowd(most);
    let started = node.coordinator.start(request.start()).await.expect("it starts");
    assert_eq!(crew.settle(&node, &started).await, Standing::Done);
    let job = Job::of(&crew.load(&node, &started).await).expect("a job");
    assert_eq!((job.total, job.failed()), (tickets, 0));
    let come_to: Vec<_> = job.results.iter().map(|result| result.ticket).collect();
    assert_eq!(come_to, ids, "each once, in their order");
    for id in &ids {
        assert_eq!(crew.tags(&node, *id).await, ["wave-3"]);
    }
    let undo = Operation::Undo { reason: None };
    let by = crew.operator().await;
    node.coordinator.operate(&by, started.state.id, &undo).await.expect("it is undone");
    let undone = async {
        while !matches!(crew.load(&node, &started).await.ended, Some((Outcome::Undone, _))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(UNDONE_WITHIN, undone).await.expect("it is undone");
    for id in &ids {
        assert!(crew.tags(&node, *id).await.is_empty());
    }
}

#[tokio::test]
async fn a_job_goes_on_in_parts_that_others_let_through() {
    crowded(30, 8).await;
    crowded(101, 60).await;
    // One ticket at a time with the saga's row is as small as it gets.
    crowded(5, 2).await;
}
