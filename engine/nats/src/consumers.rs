//! Durable consumers of tenants: made by the relay, so that a tenant needs no right to make any.
//!
//! A tenant has two. `{tenant}_feed` is for one reader that wants to go on where it stopped, `{tenant}_replay` for
//! one that wants to read again. Both are set anew by a request on `docket.reset.v1.{region}.{tenant}.{feed|replay}`.

use async_nats::jetstream::{Context, ErrorCode};
use docket_engine::ports::clock::Clock;
use docket_schemas::Tenant;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::relay::RelayOptions;
use crate::reset::{Asked, From, Pace};
use crate::stream_config::StreamError;
use crate::subject;

/// What a tenant may call its consumers.
pub(crate) const CONSUMERS: [&str; 2] = ["feed", "replay"];

/// How long a delivered message may stay unacknowledged, in nanoseconds: 30 seconds.
const ACK_WAIT_NANOS: u64 = 30_000_000_000;

/// Messages delivered and not acknowledged.
const ACK_PENDING_MAX: u32 = 1_000;

/// Pulls that wait.
const PULLS_WAITING_MAX: u32 = 64;

/// Messages of one pull.
const PULL_MESSAGES_MAX: u32 = 1_000;

/// How long a pull may wait, in nanoseconds: five minutes.
const PULL_WAITS_NANOS: u64 = 300_000_000_000;

/// The consumers of a region's tenants.
pub(crate) struct Consumers<'a> {
    context: &'a Context,
    options: &'a RelayOptions,
}

/// What of a consumer matters here.
#[derive(Debug, Deserialize)]
struct Told {
    config: Value,
    ack_floor: Floor,
}

#[derive(Debug, Deserialize)]
struct Floor {
    stream_seq: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Refused { error: async_nats::jetstream::Error },
    Told(T),
}

impl<'a> Consumers<'a> {
    pub(crate) fn of(context: &'a Context, options: &'a RelayOptions) -> Self {
        Self { context, options }
    }

    /// Makes what is missing, and makes anew what shows other events than it should.
    ///
    /// # Errors
    /// When the server does not answer, or does otherwise than asked.
    pub(crate) async fn ensure(&self) -> Result<(), StreamError> {
        for tenant in &self.options.tenants {
            for which in CONSUMERS {
                match self.told(tenant, which).await? {
                    Some(told) if self.is_as_asked(tenant, which, &told.config) => {}
                    Some(_) => {
                        tracing::error!(consumer = which, "nats.consumer.was_other");
                        self.make(tenant, which, &From::Start).await?;
                    }
                    None => self.make(tenant, which, &From::Start).await?,
                }
            }
        }
        Ok(())
    }

    /// Answers requests to read on from elsewhere, for ever.
    pub(crate) async fn answer(&self, clock: &dyn Clock) {
        let prefix = subject::resets(&self.options.region);
        let client = self.context.client();
        let mut pace = Pace::default();
        loop {
            if let Ok(mut requests) = client.subscribe(format!("{prefix}.*.*")).await {
                while let Some(request) = requests.next().await {
                    let answer = self.reset(&request, &mut pace, clock).await;
                    let Some(reply) = request.reply else { continue };
                    let answer = answer.unwrap_or_else(|error| json!({"error": error}));
                    if client.publish(reply, answer.to_string().into()).await.is_err() {
                        tracing::debug!("nats.reset.not_answered");
                    }
                }
            }
            tokio::time::sleep(crate::relay::REST_MAX).await;
        }
    }

    async fn reset(
        &self,
        request: &async_nats::Message,
        pace: &mut Pace,
        clock: &dyn Clock,
    ) -> Result<Value, String> {
        let asked = Asked::read(&request.subject, &request.payload)?;
        pace.take(&asked, clock.now())?;
        let Asked { tenant, which, from } = asked;
        let made = async {
            let from = match from {
                From::Acknowledged => {
                    let told = self.told(&tenant, which).await?;
                    let floor = told.map_or(0, |told| told.ack_floor.stream_seq);
                    From::Sequence(floor + 1)
                }
                from => from,
            };
            self.make(&tenant, which, &from).await.map(|()| from)
        };
        let from = made.await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "nats.reset.failed");
            "not now: try again".to_owned()
        })?;
        Ok(json!({
            "stream": subject::stream(&self.options.region),
            "consumer": subject::consumer(&tenant, which),
            "from": from.told(),
        }))
    }

    async fn told(&self, tenant: &Tenant, which: &str) -> Result<Option<Told>, StreamError> {
        match self.ask("INFO", tenant, which, "", &json!({})).await? {
            Answer::Told(told) => Ok(Some(told)),
            Answer::Refused { error } if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {
                Ok(None)
            }
            Answer::Refused { error } => Err(StreamError::Unavailable(error.into())),
        }
    }

    /// Takes the consumer away if it is there, and makes it anew.
    async fn make(&self, tenant: &Tenant, which: &str, from: &From) -> Result<(), StreamError> {
        let _: Answer<Value> = self.ask("DELETE", tenant, which, "", &json!({})).await?;
        let filter = subject::events_of(&self.options.region, tenant);
        let body = json!({
            "stream_name": subject::stream(&self.options.region),
            "config": self.config(tenant, which, from),
        });
        match self.ask("CREATE", tenant, which, &format!(".{filter}"), &body).await? {
            Answer::Told(Told { config, .. }) if self.is_as_asked(tenant, which, &config) => {
                tracing::info!(%tenant, consumer = which, "nats.consumer.made");
                Ok(())
            }
            Answer::Told(Told { config, .. }) => {
                // It might show what is not this tenant's: away with it, and loudly.
                let _: Answer<Value> = self.ask("DELETE", tenant, which, "", &json!({})).await?;
                Err(StreamError::Differs {
                    stream: subject::consumer(tenant, which),
                    differences: vec![format!("the server made {config}")],
                })
            }
            Answer::Refused { error } => Err(StreamError::Unavailable(error.into())),
        }
    }

    fn config(&self, tenant: &Tenant, which: &str, from: &From) -> Value {
        let mut config = json!({
            "name": subject::consumer(tenant, which),
            "durable_name": subject::consumer(tenant, which),
            "filter_subject": subject::events_of(&self.options.region, tenant),
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_NANOS,
            "max_deliver": -1,
            "replay_policy": "instant",
            "max_ack_pending": ACK_PENDING_MAX,
            "max_waiting": PULLS_WAITING_MAX,
            "max_batch": PULL_MESSAGES_MAX,
            "max_expires": PULL_WAITS_NANOS,
        });
        let deliver = match from {
            From::Start | From::Acknowledged => vec![("deliver_policy", json!("all"))],
            From::Sequence(sequence) => vec![
                ("deliver_policy", json!("by_start_sequence")),
                ("opt_start_seq", json!(sequence)),
            ],
            From::Time(time) => vec![
                ("deliver_policy", json!("by_start_time")),
                ("opt_start_time", json!(time.to_string())),
            ],
        };
        for (name, value) in deliver {
            config[name] = value;
        }
        config
    }

    /// Whether a consumer shows this tenant's events and no others, to nobody else. A server that knows an option
    /// less answers without it.
    fn is_as_asked(&self, tenant: &Tenant, which: &str, found: &Value) -> bool {
        let asked = self.config(tenant, which, &From::Start);
        let same = |name: &&str| found[*name] == asked[*name];
        let absent = |name: &&str| found[*name].is_null() || found[*name] == json!([]);
        ["durable_name", "filter_subject", "ack_policy", "max_deliver", "max_ack_pending"]
            .iter()
            .all(same)
            && ["deliver_subject", "deliver_group", "filter_subjects", "headers_only"]
                .iter()
                .all(absent)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        verb: &str,
        tenant: &Tenant,
        which: &str,
        rest: &str,
        body: &Value,
    ) -> Result<Answer<T>, StreamError> {
        let stream = subject::stream(&self.options.region);
        let consumer = subject::consumer(tenant, which);
        let asked = format!("CONSUMER.{verb}.{stream}.{consumer}{rest}");
        let answer = self.context.request(asked, body).await;
        answer.map_err(|error| StreamError::Unavailable(error.into()))
    }
}
