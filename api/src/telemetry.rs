//! Logs on standard error, as text or JSON, and traces where an endpoint is named.

mod otlp;

use std::io::IsTerminal as _;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// What is logged where no filter is given: every request that failed, none that went well. The NATS client tells of each
/// attempt to connect; Docket itself says once that the connection is gone.
pub const LOG_FILTER_DEFAULT: &str = "info,async_nats=warn";

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// Why logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be understood.
    #[error("`{filter}` is not a log filter such as `info` or `info,docket::request=debug`")]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The endpoint cannot be used.
    #[error("cannot send traces to {endpoint}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Keeps traces flowing; dropping it sends the last of them.
#[must_use]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "last traces not sent");
        }
    }
}

/// Sets up logs for the whole process, and traces where there is an endpoint; a second call changes nothing.
///
/// # Errors
/// When filter or endpoint cannot be understood.
pub fn start(
    filter: &str,
    format: LogFormat,
    otlp_endpoint: Option<&str>,
    runtime: &Handle,
) -> Result<Telemetry, TelemetryError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    let provider = otlp_endpoint.map(|endpoint| {
        let made = otlp::provider(endpoint, runtime.clone());
        made.map_err(|source| TelemetryError::Endpoint { endpoint: endpoint.to_owned(), source })
    });
    let provider = provider.transpose()?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let traces = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(otlp::tracer(provider));
        layer.with_filter(Targets::new().with_target("docket", LevelFilter::INFO))
    });
    let _ = tracing_subscriber::registry().with(lines.with_filter(parsed)).with(traces).try_init();
    Ok(Telemetry(provider))
}
