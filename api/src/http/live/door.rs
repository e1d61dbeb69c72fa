//! The handshake: from where the page comes, whose token it brings, and whether there is room.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::closing::{Closing, close};
use super::session;
use crate::app::App;
use crate::auth::{Token, bearer_text};
use crate::clock;
use crate::field_limits::BODY_BYTES_MAX;
use crate::http::body::BODY_BYTES_MAX as REQUEST_BYTES_MAX;
use crate::http::query::Query;
use crate::problem::{Code, Problem};

/// Largest frame and message: a text of full length, and the rest of its frame.
const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX + 16 * 1024;

/// Bytes that are read at once. So much is kept of every socket, idle or not.
const READ_BUFFER_BYTES: usize = 1024;

/// Bytes that are gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Most bytes that wait to be written: an event that holds all of the largest request, with what was gathered before it. One
/// that did not fit would cut off everybody who has to pass it, each time anew.
const WRITE_BUFFER_BYTES_MAX: usize = 4 * REQUEST_BYTES_MAX;

/// A subprotocol that carries a token, for browsers, which cannot set headers.
const BEARER_PROTOCOL: &str = "bearer.";

/// What is said of a query, in which browsers' code likes to put the token.
const NO_QUERY: &str = "this address takes no parameters; a token goes into `Authorization`, the subprotocol \
    `bearer.<token>` or the first frame, for addresses end in logs";

/// Opens a socket. The token may come in the header, as a subprotocol, or in the first frame.
#[tracing::instrument(name = "http.live.open", skip_all)]
pub(super) async fn get(
    State(app): State<App>,
    headers: HeaderMap,
    query: Query,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    check_origin(&app, &headers)?;
    let (token, protocol) = token(&app, &headers).await?;
    query.params([]).map_err(|problem| problem.detail(NO_QUERY))?;
    let upgrade = upgrade.map_err(|_| {
        Problem::new(Code::MalformedRequest)
            .detail("this address speaks WebSocket: send its handshake over HTTP/1.1")
    })?;
    let upgrade = upgrade
        .max_frame_size(FRAME_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .protocols(protocol);
    let place = Arc::clone(&app.live.sockets).try_acquire_owned();
    Ok(upgrade.on_upgrade(async move |socket| match place {
        Err(_) => close(socket, Closing::OVERLOADED).await,
        Ok(place) => session::run(app, token, socket, place).await,
    }))
}

/// A page may open a socket to the host that served it, and to no other unless it is listed.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = origin.split_once("://").map(|(_, host)| host);
    let listed = app.live.origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin));
    let same = host.zip(own).is_some_and(|(host, own)| host.eq_ignore_ascii_case(own));
    if listed || same {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden)
        .detail("pages of this origin may not open a socket: list it with --allowed-origins"))
}

/// The token of the handshake, if it brings one, with the subprotocol that carried it.
async fn token(app: &App, headers: &HeaderMap) -> Result<(Option<Token>, Option<String>), Problem> {
    let now = clock::now();
    if headers.contains_key(header::AUTHORIZATION) {
        let token = app.gate.admit(bearer_text(headers)?, now).await?;
        return Ok((Some(token), None));
    }
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let protocols = fields.filter_map(|field| field.to_str().ok());
    let mut protocols = protocols.flat_map(|field| field.split(',')).map(str::trim);
    match protocols.find(|protocol| protocol.starts_with(BEARER_PROTOCOL)) {
        Some(protocol) => {
            let token = app.gate.admit(&protocol[BEARER_PROTOCOL.len()..], now).await?;
            Ok((Some(token), Some(protocol.to_owned())))
        }
        None => Ok((None, None)),
    }
}
