//! The HTTP door: one endpoint a file, and what they share.

mod answers;
pub mod body;
mod docs;
mod event;
pub mod events;
mod fallback;
mod feed;
pub(crate) mod head;
pub mod header;
mod healthz;
pub mod jobs;
pub mod json;
mod live;
mod metrics;
mod observe;
mod openapi;
mod page;
pub mod path;
mod place_cursor;
pub mod projections;
pub mod query;
mod readyz;
pub(crate) mod request_id;
mod routes;
pub mod sagas;
pub mod search;
pub mod tickets;
mod wait;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;

use crate::app::App;
use crate::operations::Operations;
use observe::ObserveLayer;
pub use openapi::DOCUMENT;
pub use routes::Routes;

/// The whole door: `routes` with their state, what operators need, answers for everything else, all of it observed.
pub fn router<S>(routes: Routes<S>, state: S, operations: Arc<Operations>) -> Router
where
    S: Clone + Send + Sync + 'static,
{
    let routes = routes.with_state(state).merge(operator_routes().with_state(operations.clone()));
    let observed = ObserveLayer::new(operations.metrics.for_routes(routes.table()));
    routes
        .into_router()
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(observed)
}

/// All that callers with a token are served.
#[must_use]
pub fn caller_routes() -> Routes<App> {
    let events = events::routes().merge(event::routes()).merge(feed::routes());
    tickets::routes()
        .merge(events)
        .merge(live::routes())
        .merge(projections::routes())
        .merge(sagas::routes())
        .merge(jobs::routes())
        .merge(search::routes())
}

fn operator_routes() -> Routes<Arc<Operations>> {
    Routes::new()
        .on(Method::GET, "/healthz", healthz::get)
        .on(Method::GET, "/readyz", readyz::get)
        .on(Method::GET, "/metrics", metrics::get)
        .on(Method::GET, "/openapi.json", openapi::get)
        .on(Method::GET, "/docs", docs::get)
}

#[cfg(test)]
mod tests;
