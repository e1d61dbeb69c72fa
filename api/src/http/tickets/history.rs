//! `GET /v1/tickets/{id}/events`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_engine::cursor::Cursor;
use docket_engine::desk::DeskError;
use docket_engine::graph::head_name;
use docket_engine::policy::{Action, Audience};
use docket_schemas::{Event, Incarnation, Stream};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::enter::{Entered, enter};
use super::refusal::problem;
use super::slice::slice;
use crate::app::App;
use crate::auth::Token;
use crate::http::page::{events_limit, from_the_start, name_unreadable, read_cursor};
use crate::http::path::TicketPath;
use crate::http::query::Query;
use crate::http::wait::Waiting;
use crate::live::outbox::SubscriptionNumber;
use crate::present::Names;
use crate::present::event::{ChangeBytes, position_of, present, present_to_customer, shows};
use crate::problem::Problem;

/// The ticket's history, in the feed's shape.
#[tracing::instrument(name = "http.ticket.events", skip_all, fields(ticket.id = %ticket.0))]
pub(super) async fn get(
    State(app): State<App>,
    token: Token,
    ticket: TicketPath,
    query: Query,
) -> Result<Response, Problem> {
    let entered = enter(&app, &token, ticket.0, Action::ReadHistory).await?;
    let [after, limit, wait] = query.params(["after", "limit", "wait"])?;
    let limit = events_limit(limit.as_deref())?;
    let until = Waiting::parse(wait.as_deref())?;
    let partition = Stream::ticket(ticket.0).partition(&token.tenant);
    let mut from = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => read_cursor(&app, after).await?,
        None => from_the_start(&app),
    };
    let wanted = |event: &Event| shows(entered.audience, event);
    let after = |from: &Cursor| from.positions.get(partition);
    let news = Arc::new(Notify::new());
    let listening = until.begun().then(|| {
        let news = Arc::clone(&news);
        app.live.hub.to_ticket(&token.tenant, ticket.0, SubscriptionNumber::default(), news)
    });
    let mut found = slice(&app, &entered, after(&from), limit, wanted).await.map_err(problem)?;
    // A reader whose page ended before anything that they see is not up to date: they go on at once.
    while found.events.is_empty()
        && found.goes_on.is_none()
        && until.news(&app.live, news.notified()).await
    {
        // Who may read a ticket may have changed meanwhile.
        enter(&app, &token, ticket.0, Action::ReadHistory).await?;
        // The log may have been restored.
        from = read_cursor(&app, &from.to_string()).await?;
        found = slice(&app, &entered, after(&from), limit, wanted).await.map_err(problem)?;
    }
    drop(listening);
    let incarnation = from.incarnation.clone();
    let events = views(&app, &entered, &incarnation, &found.events).await.map_err(problem)?;
    if entered.audience == Audience::Customer {
        found.unreadable.clear();
    }
    let last = found.events.last().map(|event| event.position);
    let last = last.max(found.unreadable.last().map(|row| row.position));
    let last = last.max(found.goes_on);
    let after = last.map_or(from, |last| position_of(&incarnation, partition, last));
    let mut body = json!({
        "events": events,
        "after_cursor": after.to_string(),
        "end_of_stream": found.goes_on.is_none(),
    });
    name_unreadable(&mut body, &found.unreadable);
    Ok(Json(body).into_response())
}

/// Events, each with the cursor after it. `incarnation` was the newest before they were read.
async fn views(
    app: &App,
    entered: &Entered,
    incarnation: &Incarnation,
    events: &[Event],
) -> Result<Vec<Value>, DeskError> {
    let tenant = &entered.caller.tenant;
    let names = Names { desk: &app.desk, tenant };
    let vectors = match entered.audience {
        Audience::Staff => vectors(app, entered, events).await?,
        Audience::Customer => Vec::new(),
    };
    let mut views = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let cursor = position_of(incarnation, event.partition, event.position);
        views.push(match entered.audience {
            Audience::Customer => present_to_customer(names, event, Some(&cursor)).await?.json(),
            Audience::Staff => {
                let view = present(names, event, Some(&cursor), ChangeBytes::Omit).await?;
                let mut view = view.json();
                view["past"] = vectors.get(index).cloned().unwrap_or_default();
                view
            }
        });
    }
    Ok(views)
}

/// What each event had seen, itself included, as a version vector by actor.
async fn vectors(app: &App, entered: &Entered, events: &[Event]) -> Result<Vec<Value>, DeskError> {
    let names: Vec<_> = events
        .iter()
        .map(|event| event.change.as_ref().map(|change| head_name(&change.hash)))
        .collect();
    let found = app
        .desk
        .look(&entered.caller.tenant, entered.ticket, |ticket| {
            let graph = &ticket.graph;
            let vector = |index| {
                let past = graph.past(index);
                graph
                    .vector(past)
                    .map(|(actor, seq)| (actor.to_string(), json!(seq)))
                    .collect::<Map<_, _>>()
            };
            let index = |name: &Option<_>| name.as_ref().and_then(|name| graph.index_of(name));
            names
                .iter()
                .map(|name| index(name).map_or(Value::Null, |i| Value::Object(vector(i))))
                .collect()
        })
        .await?;
    Ok(found.unwrap_or_default())
}
