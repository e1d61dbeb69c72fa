//! A rehearsal of sagas that merge tickets or take them apart, with the real view and index behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use docket_engine::ports::sagas::SagaRow;
use docket_sagas::UNMERGE;
use serde_json::{Value, json};

use super::door::Door;
use super::{FaultsArgs, LOOKS_EVERY, settled};
use crate::bench::sagas::leads;
use crate::cli::Failure;
use crate::cli::output::print_line;

/// How long view and index may take to show what stands in the log.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// How long a merge may take before it is unmerged.
const MERGED_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn rehearse(
    args: &FaultsArgs,
    definition: &str,
    count: usize,
) -> Result<(), Failure> {
    let door = Door::open(args).await?;
    leads(&door.sagas).await?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((ticket(&door).await?, ticket(&door).await?));
    }
    let mut begun = 0;
    for (source, into) in &pairs {
        let body = json!({ "into": into });
        begun += begin(&door, &format!("/v1/tickets/{source}/merge"), &body).await?;
    }
    if definition == UNMERGE {
        for (source, into) in &pairs {
            merged(&door, source).await?;
            let body = json!({ "into": into });
            begun += begin(&door, &format!("/v1/tickets/{source}/unmerge"), &body).await?;
        }
    }
    let rows = settled(&door.sagas, begun).await?;
    shown(&door).await?;
    for row in rows.iter().filter(|row| row.definition == definition) {
        print_line(told(&door, row).await?)?;
    }
    door.close().await;
    Ok(())
}

/// Opens a ticket that a word finds, with a tag and two messages.
async fn ticket(door: &Door) -> Result<String, Failure> {
    let word = format!("w{}", door.desk.ports().ids.time_ordered().simple());
    let body = json!({
        "subject": word, "body": format!("It smokes, says {word}."),
        "requester": {"id": format!("cus_{word}")}, "tags": [word],
    });
    // A fault may hit this, too.
    let opened = loop {
        match door.post("/v1/tickets", &body).await? {
            (StatusCode::CREATED, opened) => break opened,
            (StatusCode::SERVICE_UNAVAILABLE, _) => tokio::time::sleep(LOOKS_EVERY).await,
            (status, answer) => return Err(format!("no ticket: {status}: {answer}").into()),
        }
    };
    let id = opened["ticket"]["id"].as_str().ok_or("a ticket without an id")?.to_owned();
    let said = json!({"body": format!("It still smokes, says {word}.")});
    let (status, answer) = door.post(&format!("/v1/tickets/{id}/messages"), &said).await?;
    match status {
        StatusCode::CREATED | StatusCode::SERVICE_UNAVAILABLE => Ok(id),
        _ => Err(format!("no message: {status}: {answer}").into()),
    }
}

/// Begins a saga and says how many have begun: one that is refused at once has not, and has nothing to undo.
async fn begin(door: &Door, path: &str, body: &Value) -> Result<usize, Failure> {
    let (status, answer) = door.post(path, body).await?;
    if status == StatusCode::ACCEPTED {
        return Ok(1);
    }
    eprintln!("docket: not begun: {status}: {answer}");
    Ok(0)
}

/// Waits until a merge that is under way is done.
async fn merged(door: &Door, source: &str) -> Result<(), Failure> {
    let done = async {
        loop {
            let answer = door.get(&format!("/v1/tickets/{source}")).await?;
            match answer["ticket"]["merge"]["state"].as_str() {
                Some("merged") => return Ok::<_, Failure>(()),
                Some(_) => tokio::time::sleep(LOOKS_EVERY).await,
                None => return Ok(()),
            }
        }
    };
    tokio::time::timeout(MERGED_WITHIN, done).await?
}

/// Waits until view and index show all that stands in the log.
pub(super) async fn shown(door: &Door) -> Result<(), Failure> {
    let heads = door.desk.ports().log.heads().await?;
    let mut indexed = door.search.reached();
    let all = async {
        while !door.views.store.reached().await?.covers(&heads) {
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        indexed.wait_for(|indexed| indexed.covers(&heads)).await?;
        Ok::<_, Failure>(())
    };
    tokio::time::timeout(SHOWN_WITHIN, all).await?
}

/// A saga with what list, search and the tickets themselves show of both its tickets.
async fn told(door: &Door, row: &SagaRow) -> Result<Value, Failure> {
    let saga = door.sagas.load(&row.tenant, row.id).await?;
    let begun = saga.begun.ok_or("a saga without a beginning")?;
    let into = begun.what.input["into"].as_str().ok_or("a saga without a target")?.to_owned();
    let closed = door.get("/v1/tickets/count?status=closed").await?;
    Ok(json!({
        "saga": row.id,
        "standing": row.standing.as_str(),
        "step": row.failing_step,
        "closed": closed["count"],
        "source": seen(door, &row.subject).await?,
        "into": seen(door, &into).await?,
    }))
}

/// A ticket as it answers itself, as it stands in the list, and which tickets its own word finds.
async fn seen(door: &Door, id: &str) -> Result<Value, Failure> {
    let ticket = door.get(&format!("/v1/tickets/{id}")).await?["ticket"].take();
    let word = ticket["subject"].as_str().ok_or("a ticket without a word")?.to_owned();
    let listed = door.get(&format!("/v1/tickets?requester_id=cus_{word}")).await?;
    let found = door.get(&format!("/v1/search?q=says%20{word}")).await?;
    let messages = door.get(&format!("/v1/tickets/{id}/messages")).await?;
    let history = door.get(&format!("/v1/tickets/{id}/events?limit=1000")).await?;
    let mut events: BTreeMap<&str, usize> = BTreeMap::new();
    for event in history["events"].as_array().into_iter().flatten() {
        *events.entry(event["type"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let each = |list: &Value, of: &dyn Fn(&Value) -> Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(of).collect()
    };
    Ok(json!({
        "ticket": ticket,
        "listed": listed["tickets"],
        "found": each(&found["results"], &|result| result["ticket"].clone()),
        "messages": each(&messages["messages"], &|message| message["id"].clone()),
        "events": events,
    }))
}
