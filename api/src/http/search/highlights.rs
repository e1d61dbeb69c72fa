//! What of a page's results fits: their subjects and best messages, opened from the log for this page alone.

use std::collections::HashMap;

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

/// The highlights of each ticket.
pub(super) async fn highlights(
    app: &App,
    tenant: &Tenant,
    audience: Audience,
    highlighter: &Highlighter,
    hits: &[Hit],
    seen: &HashMap<TicketId, TicketView>,
) -> Result<HashMap<TicketId, Vec<Value>>, DeskError> {
    let places = hits.iter().flat_map(|hit| hit.messages.iter().copied());
    let events = events(app, places.collect()).await?;
    let keys = events.values().filter_map(|event| event.sealed.as_ref()).map(|s| s.key_id);
    app.keyring().warm(&keys.collect::<Vec<_>>()).await?;
    let names = Names { desk: &app.desk, tenant };
    let mut shown = HashMap::with_capacity(hits.len());
    for hit in hits {
        let mut highlights = Vec::new();
        let subject = seen.get(&hit.ticket).and_then(TicketView::subject);
        if let Some(snippet) = subject.filter(|_| hit.subject).and_then(|s| highlighter.snippet(s))
        {
            highlights.push(highlight("subject", Value::Null, snippet));
        }
        for event in hit.messages.iter().filter_map(|place| events.get(place)) {
            // The index says which; whether it may be shown is looked at again.
            let visible = event.tenant == *tenant
                && is_message(event)
                && (audience == Audience::Staff || event.public);
            let text: Option<MessageText> = if visible { names.text(event).await? } else { None };
            if let Some(snippet) = text.and_then(|text| highlighter.snippet(&text.body)) {
                let id = json!(derivation::message_of(event.command_id));
                highlights.push(highlight("message", id, snippet));
            }
        }
        shown.insert(hit.ticket, highlights);
    }
    Ok(shown)
}

fn highlight(field: &str, message_id: Value, snippet: Snippet) -> Value {
    let Snippet { text, ranges } = snippet;
    json!({"field": field, "message_id": message_id, "text": text, "ranges": ranges})
}

/// The events at these places.
async fn events(app: &App, places: Vec<Place>) -> Result<HashMap<Place, Event>, DeskError> {
    let wanted: Vec<_> = places.iter().map(|place| (place.partition(), place.position())).collect();
    let events = app.desk.ports().log.events_at(&wanted).await?;
    let place = |event: &Event| Place::new(event.partition, event.position);
    Ok(events.into_iter().map(|event| (place(&event), event)).collect())
}
