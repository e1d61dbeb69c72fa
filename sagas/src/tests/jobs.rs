//! Jobs with tickets that cannot be read: each is a result of its own.

use std::time::Duration;

use docket_engine::ports::sagas::Standing;
use docket_schemas::saga::Outcome;
use docket_schemas::{Changed, TicketId};

use super::crew::{Crew, Node};
use crate::*;

/// How long taking a job back may take.
const UNDONE_WITHIN: Duration = Duration::from_secs(20);

async fn tag(crew: &Crew, node: &Node, tickets: &[TicketId]) -> StartedSaga {
    let request = BulkRequest {
        caller: crew.agent().await,
        command_id: crew.office.command(),
        request_mac: None,
        tickets: tickets.to_vec(),
        set: Changed { add_tags: vec!["wave-5".to_owned()], ..Changed::default() },
        occurred_at: crew.operator().await.occurred_at,
    };
    node.coordinator.start(request.start()).await.expect("it starts")
}

async fn three(crew: &Crew, node: &Node) -> [TicketId; 3] {
    [crew.ticket(node).await, crew.ticket(node).await, crew.ticket(node).await]
}

fn codes(job: &Job) -> Vec<Option<&str>> {
    let failed = job.results.iter().map(|result| result.failed.as_ref());
    failed.map(|failed| failed.map(|(code, _)| code.as_str())).collect()
}

#[tokio::test]
async fn a_ticket_that_cannot_be_read_is_a_result_of_its_job() {
    for spoilt in 0..3 {
        let crew = Crew::new().await;
        let node = crew.node(vec![bulk_update()]).await;
        let tickets = three(&crew, &node).await;
        crew.log.spoil(tickets[spoilt]);
        let started = tag(&crew, &node, &tickets).await;
        assert_eq!(crew.settle(&node, &started).await, Standing::Done);
        let job = Job::of(&crew.load(&node, &started).await).expect("a job");
        let mut expected = vec![None; 3];
        expected[spoilt] = Some("internal");
        assert_eq!(codes(&job), expected);
    }
}

#[tokio::test]
async fn a_ticket_that_cannot_be_read_is_a_result_of_an_undo() {
    let crew = Crew::new().await;
    let node = crew.node(vec![bulk_update()]).await;
    let tickets = three(&crew, &node).await;
    let started = tag(&crew, &node, &tickets).await;
    assert_eq!(crew.settle(&node, &started).await, Standing::Done);
    crew.log.spoil(tickets[1]);
    let by = crew.operator().await;
    let undo = Operation::Undo { reason: None };
    node.coordinator.operate(&by, started.state.id, &undo).await.expect("it is undone");
    let undone = async {
        while !matches!(crew.load(&node, &started).await.ended, Some((Outcome::Undone, _))) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(UNDONE_WITHIN, undone).await.expect("it is undone");
    let job = Job::of(&crew.load(&node, &started).await).expect("a job");
    assert_eq!(codes(&job), [None, Some("internal"), None]);
    for ticket in [tickets[0], tickets[2]] {
        assert!(crew.tags(&node, ticket).await.is_empty());
    }
}
