//! `GET /v1/live`: the WebSocket (RFC 6455).

mod closing;
mod door;
mod frame;
mod session;
mod subscribe;
mod throttle;
mod whisper;
mod write;

use axum::http::Method;

use super::Routes;
use crate::app::App;

/// The route of the socket.
#[must_use]
pub(super) fn routes() -> Routes<App> {
    Routes::new().on(Method::GET, "/v1/live", door::get)
}
