//! What of a page's results fits: their subjects and best messages, opened from the log for this page alone.

use std::collections::HashMap;

use docket_engine::around::{self, Around};
use docket_engine::desk::DeskError;
use docket_engine::policy::Audience;
use docket_schemas::{Event, MessageText, Tenant, TicketId, derivation};
use docket_search::document::Place;
use docket_search::highlight::{Highlighter, Snippet};
use docket_search::port::Hit;
use serde_json::{Value, json};

use crate::app::App;
use crate::present::Names;
use crate::present::message::is_message;
use crate::present::ticket::TicketView;

/// Most bytes of a page's texts that are looked through; hits whose texts come behind them have no highlights.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What may be shown of a ticket.
struct Candidate {
    ticket: TicketId,
    field: &'static str,
    message_id: Value,
    text: String,
}

/// The highlights of each ticket. A message that cannot be read has none.
pub(super) async fn highlights(
    app: &App,
    tenant: &Tenant,
    audience: Audience,
    highlighter: Highlighter,
    hits: &[Hit],
    seen: &HashMap<TicketId, TicketView>,
) -> Result<HashMap<TicketId, Vec<Value>>, DeskError> {
    // Before the texts are read, so that few pages of them are in memory.
    let turn = app.search.highlighting().await;
    let candidates = candidates(app, tenant, audience, hits, seen).await?;
    if candidates.is_empty() {
        return Ok(HashMap::new());
    }
    let finding = tokio::task::spawn_blocking(move || {
        // Until they are found, also where nobody waits for them any more.
        let _turn = turn;
        let mut shown: HashMap<TicketId, Vec<Value>> = HashMap::new();
        for Candidate { ticket, field, message_id, text } in candidates {
            if let Some(snippet) = highlighter.snippet(&text) {
                shown.entry(ticket).or_default().push(highlight(field, message_id, snippet));
            }
        }
        shown
    });
    Ok(finding.await.unwrap_or_else(|stopped| {
        tracing::error!(
            error = &stopped as &dyn std::error::Error,
            "http.search.highlights.failed"
        );
        HashMap::new()
    }))
}

/// The texts to look through: each hit's subject where the query is found in it, and its best messages.
async fn candidates(
    app: &App,
    tenant: &Tenant,
    audience: Audience,
    hits: &[Hit],
    seen: &HashMap<TicketId, TicketView>,
) -> Result<Vec<Candidate>, DeskError> {
    let places = hits.iter().flat_map(|hit| hit.messages.iter().copied());
    let events = events(app, places.collect()).await?;
    let keys = events.values().filter_map(|event| event.sealed.as_ref()).map(|s| s.key_id);
    app.keyring().warm(&keys.collect::<Vec<_>>()).await?;
    let names = Names { desk: &app.desk, tenant };
    let (mut candidates, mut room) = (Vec::new(), TEXT_BYTES_MAX);
    for hit in hits {
        let ticket = hit.ticket;
        let subject = seen.get(&ticket).and_then(TicketView::subject).filter(|_| hit.subject);
        if let Some(text) = subject.map(str::to_owned) {
            candidates.push(Candidate { ticket, field: "subject", message_id: Value::Null, text });
        }
        for event in hit.messages.iter().filter_map(|place| events.get(place)) {
            // The index says which; whether it may be shown is looked at again.
            let visible = event.tenant == *tenant
                && is_message(event)
                && (audience == Audience::Staff || event.public);
            if !visible {
                continue;
            }
            let text: Option<MessageText> = match names.text(event).await {
                Err(DeskError::Damaged(_)) => None,
                text => text?,
            };
            let Some(text) = text else { continue };
            let Some(rest) = room.checked_sub(text.body.len()) else { return Ok(candidates) };
            room = rest;
            let message_id = json!(derivation::message_of(event.command_id));
            candidates.push(Candidate { ticket, field: "message", message_id, text: text.body });
        }
    }
    Ok(candidates)
}

fn highlight(field: &str, message_id: Value, snippet: Snippet) -> Value {
    let Snippet { text, ranges } = snippet;
    json!({"field": field, "message_id": message_id, "text": text, "ranges": ranges})
}

/// The events at these places.
async fn events(app: &App, places: Vec<Place>) -> Result<HashMap<Place, Event>, DeskError> {
    let wanted: Vec<_> = places.iter().map(|place| (place.partition(), place.position())).collect();
    let Around { found, unreadable, .. } =
        around::events_at(&*app.desk.ports().log, &wanted).await?;
    app.live.tail.reported().report(&unreadable);
    let place = |event: &Event| Place::new(event.partition, event.position);
    Ok(found.into_iter().map(|event| (place(&event), event)).collect())
}
