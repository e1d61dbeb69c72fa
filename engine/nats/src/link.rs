//! A connection to NATS that is kept for ever: it comes back by itself, and says when it went.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

/// How long at most until a lost server is tried again.
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(1);

/// How often a silent server is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(10);

/// The first line of a credentials file.
const CREDENTIALS_MARK: &str = "-----BEGIN NATS USER JWT-----";

/// Which server, and as whom.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://[user:password@|token@]host[:port]`, or `tls://…`; several of one cluster with commas between.
    pub url: String,
    /// The text of an nkey seed file or of a credentials file; none where the URL says who.
    pub secret: Option<String>,
}

impl std::fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NatsOptions")
    }
}

/// Why nothing can ever be connected: a server that is down is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL names no server.
    #[error("not a NATS URL: give one like nats://host:4222")]
    Url(#[source] Box<dyn Error + Send + Sync>),
    /// The secret is neither of the two.
    #[error("the NATS credentials are neither an nkey seed nor a credentials file")]
    Secret,
}

/// A connection and its turns. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link {
    client: Client,
    turns: watch::Receiver<u64>,
}

impl Link {
    /// Begins to connect, and never gives up. What this connection publishes does not come back to it.
    ///
    /// # Errors
    /// When the options cannot be right.
    pub async fn connect(options: &NatsOptions, name: &str) -> Result<Self, LinkError> {
        let (turn, turns) = watch::channel(0_u64);
        let told = Arc::new(parking_lot::Mutex::new(String::new()));
        let addresses = addresses(&options.url)?;
        let connecting = with_secret(&addresses, options.secret.as_deref())?
            .name(name)
            .no_echo()
            .retry_on_initial_connect()
            .ping_interval(PING_EVERY)
            .reconnect_delay_callback(delay)
            .event_callback(move |event| {
                observe(&event, &turn, &told);
                std::future::ready(())
            });
        let client = connecting.connect(addresses).await;
        Ok(Self { client: client.map_err(|error| LinkError::Url(error.into()))?, turns })
    }

    /// The client behind it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a server is there now. What is published meanwhile would wait, and then fill the client's queue.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Changes whenever the connection is lost or stands again.
    #[must_use]
    pub fn turns(&self) -> watch::Receiver<u64> {
        self.turns.clone()
    }
}

pub(crate) fn addresses(url: &str) -> Result<Vec<ServerAddr>, LinkError> {
    let parsed: Result<Vec<ServerAddr>, _> = url.split(',').map(|one| one.trim().parse()).collect();
    parsed.map_err(|error| LinkError::Url(error.into()))
}

/// The client takes no user from a URL by itself.
pub(crate) fn with_secret(
    addresses: &[ServerAddr],
    secret: Option<&str>,
) -> Result<ConnectOptions, LinkError> {
    let options = ConnectOptions::new();
    if let Some(secret) = secret {
        if secret.contains(CREDENTIALS_MARK) {
            return options.credentials(secret).map_err(|_| LinkError::Secret);
        }
        let seed = secret.trim();
        nkeys::KeyPair::from_seed(seed).map_err(|_| LinkError::Secret)?;
        return Ok(options.nkey(seed.to_owned()));
    }
    let Some(named) = addresses.iter().find(|address| address.has_user_pass()) else {
        return Ok(options);
    };
    let user = named.username().unwrap_or_default().to_owned();
    Ok(match named.password() {
        Some(password) => options.user_and_password(user, password.to_owned()),
        None => options.token(user),
    })
}

fn delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(2_u64.saturating_pow(doublings)).min(RECONNECT_AFTER_MAX)
}

/// Logs what happened to the connection, the same trouble once.
fn observe(event: &Event, turn: &watch::Sender<u64>, told: &parking_lot::Mutex<String>) {
    match event {
        Event::Connected => {
            told.lock().clear();
            tracing::info!("nats.link.up");
            turn.send_modify(|count| *count = count.wrapping_add(1));
        }
        Event::Disconnected => {
            tracing::warn!("nats.link.down");
            turn.send_modify(|count| *count = count.wrapping_add(1));
        }
        other => {
            let text = other.to_string();
            let mut told = told.lock();
            if *told != text {
                tracing::warn!(error = %text, "nats.link.trouble");
                *told = text;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_an_nkey_seed_or_a_credentials_file_and_nothing_else() {
        let seed = nkeys::KeyPair::new_user().seed().unwrap();
        assert!(with_secret(&[], Some(&format!("{seed}\n"))).is_ok());
        for wrong in ["", "SUA", "hunter2"] {
            assert!(matches!(with_secret(&[], Some(wrong)), Err(LinkError::Secret)), "{wrong}");
        }
    }

    #[test]
    fn a_url_names_one_server_or_several() {
        assert_eq!(addresses("nats://a:4222, nats://b").unwrap().len(), 2);
        assert!(addresses("http://").is_err());
    }
}
