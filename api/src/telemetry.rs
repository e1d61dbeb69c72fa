//! Logs on standard error, as text or JSON, and traces where an endpoint is named.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// What is logged where no filter is given: every request that failed, none that went well.
pub const LOG_FILTER_DEFAULT: &str = "info";

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// A filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is not a log filter such as `info` or `info,docket::request=debug`")]
pub struct FilterError {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Sets up logs for the whole process; a second call changes nothing.
///
/// # Errors
/// When the filter cannot be understood.
pub fn start(filter: &str, format: LogFormat) -> Result<(), FilterError> {
    let parsed = EnvFilter::try_new(filter);
    let parsed = parsed.map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(lines.with_filter(parsed)).try_init();
    Ok(())
}
