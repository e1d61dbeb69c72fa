//! A rehearsal of a job over many tickets, with the real view and index behind it.

use axum::http::StatusCode;
use docket_sagas::BULK;
use serde_json::{Value, json};

use super::door::Door;
use super::merging::shown;
use super::{FaultsArgs, LOOKS_EVERY, settled};
use crate::bench::sagas::leads;
use crate::cli::Failure;
use crate::cli::output::print_line;

/// Tickets of a job: two parts, the second not full.
const TICKETS: usize = 130;
/// What a job puts on.
const TAG: &str = "wave";

/// Has so many jobs change the same tickets, one after the other; tells what became of each.
pub(super) async fn rehearse(args: &FaultsArgs, count: usize) -> Result<(), Failure> {
    let door = Door::open(args).await?;
    leads(&door.sagas).await?;
    let mut begun = 0;
    if count > 0 {
        let mut tickets = Vec::with_capacity(TICKETS);
        while tickets.len() < TICKETS {
            let body =
                json!({"subject": "Smoke", "body": "It smokes.", "requester": {"id": "cus_1"}});
            match door.post("/v1/tickets", &body).await? {
                (StatusCode::CREATED, opened) => tickets.push(opened["ticket"]["id"].clone()),
                // A fault may hit this, too.
                (StatusCode::SERVICE_UNAVAILABLE, _) => tokio::time::sleep(LOOKS_EVERY).await,
                (status, answer) => return Err(format!("no ticket: {status}: {answer}").into()),
            }
        }
        let set = json!({"add_tags": [TAG], "priority": "high"});
        let body = json!({"kind": BULK, "tickets": tickets, "set": set});
        for _ in 0..count {
            let (status, answer) = door.post("/v1/jobs", &body).await?;
            match status {
                StatusCode::ACCEPTED => begun += 1,
                _ => eprintln!("docket: not begun: {status}: {answer}"),
            }
        }
    }
    let rows = settled(&door.sagas, begun).await?;
    shown(&door).await?;
    for row in rows.iter().filter(|row| row.definition == BULK) {
        let job = door.get(&format!("/v1/jobs/{}", row.id)).await?["job"].take();
        print_line(told(&door, &job, row.failing_step.as_deref()).await?)?;
    }
    door.close().await;
    Ok(())
}

/// A job with how many tickets carry its change in the log, the view and the index, and how often it was written there.
async fn told(door: &Door, job: &Value, step: Option<&str>) -> Result<Value, Failure> {
    let (mut marked, mut written) = (0, 0);
    for page in 0..TICKETS.div_ceil(100) {
        let from = page * 100;
        let id = job["id"].as_str().ok_or("a job without an id")?;
        let path = format!("/v1/jobs/{id}/results?page[size]=100&page[after]={from}");
        let results = door.get(&path).await?;
        for result in results["results"].as_array().into_iter().flatten() {
            let ticket = result["ticket_id"].as_str().ok_or("a result without a ticket")?;
            let ticket = door.get(&format!("/v1/tickets/{ticket}")).await?["ticket"].take();
            marked += usize::from(ticket["tags"] == json!([TAG]) && ticket["priority"] == "high");
            let id = ticket["id"].as_str().ok_or("a ticket without an id")?;
            let history = door.get(&format!("/v1/tickets/{id}/events?limit=1000")).await?;
            let changes = history["events"].as_array().into_iter().flatten();
            written += changes.filter(|event| event["type"] == "ticket.changed").count();
        }
        if results["meta"]["has_more"] != true {
            break;
        }
    }
    let counted = door.get(&format!("/v1/tickets/count?tag={TAG}")).await?["count"].take();
    let found = door.get(&format!("/v1/search?q=tag:{TAG}")).await?["count"].take();
    Ok(json!({
        "job": job, "standing": job["state"], "step": step,
        "marked": marked, "counted": counted, "found": found, "written": written,
    }))
}
