//! `docket watch`: what a server tells its subscribers over the WebSocket, a line of JSON an event.

use clap::Args;
use docket_schemas::TicketId;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Failure;
use super::address::parse_server;
use super::export::{After, parse_after};
use super::output::print_line;

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// The server's host and port; it is spoken to without TLS
    #[arg(long, env = "DOCKET_SERVER", value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = parse_server)]
    server: String,
    /// Whose token, as `docket token` prints it
    #[arg(long, env = "DOCKET_TOKEN", hide_env_values = true)]
    token: String,
    /// Only these tickets, 100 at most; without one the tenant's whole feed
    #[arg(long, env = "DOCKET_TICKET", value_name = "ID", value_delimiter = ',')]
    ticket: Vec<TicketId>,
    /// Begin after this cursor; an empty one is the log's beginning, and without one it begins now
    #[arg(long, env = "DOCKET_AFTER", value_name = "CURSOR", value_parser = parse_after)]
    after: Option<After>,
    /// End after so many events
    #[arg(long, env = "DOCKET_COUNT", value_name = "N")]
    count: Option<u64>,
}

pub(super) fn run(args: &WatchArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(args))
}

async fn watch(args: &WatchArgs) -> Result<(), Failure> {
    let mut socket = open(args).await?;
    let mut subscribe = json!({"op": "subscribe", "id": "watch"});
    if args.ticket.is_empty() {
        subscribe["all"] = true.into();
    } else {
        subscribe["tickets"] = json!(args.ticket);
    }
    if let Some(after) = &args.after {
        subscribe["after"] = after.to_string().into();
    }
    socket.send(Message::text(subscribe.to_string())).await?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut reached = args.after.as_ref().map_or_else(String::new, After::to_string);
    while left > 0 {
        let frame = match next(&mut socket).await {
            Next::Frame(text) => serde_json::from_str::<Value>(&text)?,
            Next::End(why) => return Err(format!("{why}{}", going_on(&reached)).into()),
        };
        match frame["op"].as_str() {
            Some("event") => {
                print_line(&frame["event"])?;
                left -= 1;
                take_cursor(&frame["event"], &mut reached);
            }
            Some("subscribed") => take_cursor(&frame, &mut reached),
            Some("error") => return Err(refused(&frame["problem"], &args.ticket).into()),
            Some("resync") => {
                let cursor = frame["cursor"].as_str().unwrap_or_default();
                return Err(format!("too slow for this feed: go on with --after {cursor}").into());
            }
            _ => {}
        }
    }
    Ok(())
}

async fn open(args: &WatchArgs) -> Result<WebSocketStream<TcpStream>, Failure> {
    let server = &args.server;
    let stream = TcpStream::connect(server)
        .await
        .map_err(|error| format!("nobody listens at {server}: {error}"))?;
    let mut request = format!("ws://{server}/v1/live").into_client_request()?;
    let bearer = HeaderValue::try_from(format!("Bearer {}", args.token.trim()))?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let body = answer.body().as_deref().unwrap_or_default();
            let problem: Value = serde_json::from_slice(body).unwrap_or_default();
            let status = answer.status();
            Err(format!("the server refuses with {status}: {}", reason(&problem)).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What a socket brings next.
enum Next {
    /// A frame of text.
    Frame(String),
    /// Nothing more, and why.
    End(String),
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Next {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Next::Frame(text.to_string()),
            Some(Ok(Message::Close(frame))) => return Next::End(closed(frame.as_ref())),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Next::End(format!("the connection broke: {error}")),
            None => return Next::End(closed(None)),
        }
    }
}

fn closed(frame: Option<&CloseFrame>) -> String {
    match frame {
        Some(CloseFrame { code, reason }) if reason.is_empty() => {
            format!("the server has ended the connection with {code}")
        }
        Some(CloseFrame { code, reason }) => {
            format!("the server has ended the connection with {code}, {reason}")
        }
        None => "the server has ended the connection without a reason".to_owned(),
    }
}

/// What was heard last is where another `watch` goes on.
fn take_cursor(heard: &Value, reached: &mut String) {
    if let Some(cursor) = heard["cursor"].as_str() {
        cursor.clone_into(reached);
    }
}

fn going_on(reached: &str) -> String {
    match reached {
        "" => String::new(),
        cursor => format!("; go on with --after {cursor}"),
    }
}

/// What is not there is one of the tickets.
fn refused(problem: &Value, tickets: &[TicketId]) -> String {
    if problem["code"] != "not_found" {
        return reason(problem);
    }
    let named: Vec<String> = tickets.iter().map(ToString::to_string).collect();
    match named.as_slice() {
        [ticket] => format!("there is no ticket {ticket} that this token may read"),
        tickets => {
            format!("one of these is no ticket that this token may read: {}", tickets.join(", "))
        }
    }
}

fn reason(problem: &Value) -> String {
    let text = |name: &str| problem[name].as_str().map(str::to_owned);
    text("detail").or_else(|| text("title")).unwrap_or_else(|| "without a reason".to_owned())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_ticket_that_is_not_there_is_named() {
        let tickets = [1, 2].map(|number| TicketId::new(Uuid::from_u64_pair(0, number)));
        let problem = json!({"code": "not_found", "title": "There is nothing here"});
        assert!(refused(&problem, &tickets[..1]).contains(&format!("no ticket {}", tickets[0])));
        let both = format!("{}, {}", tickets[0], tickets[1]);
        assert!(refused(&problem, &tickets).ends_with(&both));
        let other = json!({"code": "invalid", "detail": "is wrong"});
        assert_eq!(refused(&other, &tickets), "is wrong");
    }
}
