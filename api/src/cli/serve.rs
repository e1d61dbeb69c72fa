//! `docket serve`: serves HTTP until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Uri;
use clap::Args;
use clap::builder::BoolishValueParser;
use docket_engine::desk::Desk;
use docket_schemas::{Role, Tenant};
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::address::parse_origin;
use super::installation::InstallationArgs;
use crate::app::App;
use crate::auth::{KeySet, KeySource, Verifier};
use crate::gate::Gate;
use crate::limit::{RateError, RateLimit};
use crate::live::Live;
use crate::operations::{Operations, Probe, Readiness};
use crate::server::{Drained, Server, tls_acceptor};
use crate::telemetry::{self, LOG_FILTER_DEFAULT, LogFormat};
use crate::{cores, demo, http, signals, views, wire};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address and port to serve at
    #[arg(long, env = "DOCKET_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    installation: InstallationArgs,
    /// Public keys of the issuer of tokens, instead of the installation's own key
    #[arg(long, env = "DOCKET_JWKS", value_name = "FILE|URL")]
    jwks: Option<String>,
    /// Load a small made-up help desk, and print a token for each role
    #[arg(long, env = "DOCKET_DEMO", value_parser = BoolishValueParser::new())]
    demo: bool,
    /// Requests of one principal: 100/s, 6000/m, 10000/h, or off
    #[arg(long, env = "DOCKET_RATE_LIMIT", default_value = "100/s", value_parser = parse_rate)]
    rate_limit: RateFlag,
    /// Tenants that may read their events over NATS; for each the relay keeps durable consumers
    #[arg(
        long,
        env = "DOCKET_NATS_TENANTS",
        value_name = "T,U",
        value_delimiter = ',',
        requires = "nats_url"
    )]
    nats_tenants: Vec<Tenant>,
    /// Certificate chain (PEM): serve TLS 1.3 only
    #[arg(long, env = "DOCKET_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, env = "DOCKET_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Pages of other hosts that may open a WebSocket, such as https://desk.example,https://shop.example
    #[arg(long, env = "DOCKET_ALLOWED_ORIGINS", value_name = "ORIGINS", value_delimiter = ',', value_parser = parse_origin)]
    allowed_origins: Vec<String>,
    /// What is logged, such as `info` or `info,docket::request=debug`
    #[arg(long, env = "DOCKET_LOG", value_name = "FILTER", default_value = LOG_FILTER_DEFAULT, value_parser = parse_filter)]
    log: String,
    /// How it is logged
    #[arg(long, env = "DOCKET_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// OpenTelemetry collector that gets traces over HTTP, such as http://localhost:4318 [default: none]
    #[arg(long, env = "DOCKET_OTLP_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    otlp_endpoint: Option<String>,
}

/// A rate, or none for `off`.
#[derive(Debug, Clone, Copy)]
struct RateFlag(Option<RateLimit>);

fn parse_rate(text: &str) -> Result<RateFlag, RateError> {
    RateLimit::parse(text).map(RateFlag)
}

fn parse_filter(text: &str) -> Result<String, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(text).map(|_| text.to_owned())
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    match uri.as_ref().map(|uri| (uri.scheme_str(), uri.host())) {
        Some((Some("http" | "https"), Some(_))) => Ok(text.to_owned()),
        _ => Err("not an http:// or https:// URL".to_owned()),
    }
}

pub(super) fn run(args: ServeArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let endpoint = args.otlp_endpoint.as_deref();
    let telemetry = telemetry::start(&args.log, args.log_format, endpoint, runtime.handle())?;
    let served = runtime.block_on(serve(args));
    // Before the runtime, which carries the last traces.
    drop(telemetry);
    served
}

async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let gate = Arc::new(Gate::new(verifier(&args).await?, args.rate_limit.0));
    let metrics = crate::metrics::Metrics::default();
    let seconds = metrics.append_seconds.clone();
    let on_append = Box::new(move |micros: u64, _| seconds.observe(micros as f64 / 1e6));
    let installation = args.installation.installation();
    let started = wire::open(&installation, &args.listen.to_string(), on_append).await?;
    if started.restored {
        tracing::warn!(incarnation = %started.desk.incarnation(), "log.restored.found");
    }
    let desk = started.desk.clone();
    let gauges = views::gauges::LagGauges::registered(&metrics);
    let operations = Arc::new(Operations { metrics, readiness: Readiness::new(probe(&desk)) });
    let stopping = Arc::clone(&operations);
    let drain = signals::drain(move || stopping.readiness.drain())?;
    let origins = args.allowed_origins.clone();
    let live = Live::start(&desk, Arc::clone(&started.ephemeral), drain.clone(), origins).await?;
    let process = args.listen.to_string();
    let (cores, kept) = cores::start(&started, &installation, &process, &live.tail).await?;
    operations.metrics.follow_sagas(&cores.sagas);
    operations.metrics.follow_damage(&live.tail);
    let clock = Arc::clone(&desk.ports().clock);
    tokio::spawn(gauges.follow(cores.views.clone(), cores.search.clone(), clock));
    let mut relay = None;
    if let Some(nats) = &started.nats {
        let (tail, tenants) = (live.tail.clone(), args.nats_tenants.clone());
        let (relaying, lag) = nats.relay(&desk, tail, started.leases, tenants).await?;
        operations.metrics.register_relay(lag);
        relay = Some(relaying);
    }
    tokio::spawn(fail_with(started.appender));
    let app = App::new(desk, Arc::clone(&gate), live, cores);
    let router = http::router(http::caller_routes(), app.clone(), Arc::clone(&operations));
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(tls_acceptor(certificate, key)?),
        _ => None,
    };
    let server = Server::bind(args.listen, tls)
        .map_err(|error| format!("cannot listen at {}: {error}", args.listen))?;
    let address = server.address()?;
    tracing::info!(%address, "listening");
    if args.demo {
        demo(&args, &app, address).await?;
    }
    let followed = Arc::clone(&gate);
    tokio::spawn(async move { followed.verifier().follow_keys().await });
    let served = server.serve(router, drain).await;
    app.live.closed().await;
    match served {
        Drained::Whole => tracing::info!("stopped"),
        Drained::Cut(open) => tracing::warn!(open, "stopped with connections still open"),
    }
    if let Some(relay) = relay {
        relay.end().await;
    }
    kept.stop().await;
    Ok(())
}

/// A node that cannot append is of no use: it ends, and whoever started it starts it again. Nothing that was
/// acknowledged is lost by that.
async fn fail_with(appender: tokio::task::JoinHandle<()>) {
    if let Err(error) = appender.await {
        tracing::error!(%error, "log.appender.died");
        std::process::exit(1);
    }
}

/// Loads the demo and says how to look at it.
async fn demo(args: &ServeArgs, app: &App, address: SocketAddr) -> Result<(), Failure> {
    let tenant: Tenant = "default".parse()?;
    let tickets = demo::load(&app.desk, &tenant).await?;
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    println!("\n{tickets} demo tickets are loaded. Open {scheme}://{address}/docs\n");
    let sign = |role, subject: &str| args.installation.keys.demo_token(role, subject, &tenant);
    for role in Role::ALL {
        let subject = demo_subject(role);
        println!("{role} `{subject}`:\n{}\n", sign(role, subject)?);
    }
    let token = sign(Role::Agent, demo::AGENT)?;
    println!(
        "curl -s -H 'Authorization: Bearer {token}' '{scheme}://{address}/v1/events?limit=3'\n"
    );
    Ok(())
}

/// Whose token the demo prints for a role.
fn demo_subject(role: Role) -> &'static str {
    match role {
        Role::Admin => demo::ADMIN,
        Role::Agent => demo::AGENT,
        Role::Customer => demo::CUSTOMER,
        Role::Auditor => demo::AUDITOR,
        Role::Bot => "robo",
        Role::Integrator => "sync",
    }
}

/// Whether the log takes the next write.
fn probe(desk: &Desk) -> Probe {
    let log = Arc::clone(&desk.ports().log);
    Box::new(move || {
        let log = Arc::clone(&log);
        Box::pin(async move { log.probe_write().await.map_err(|_| "the log takes no writes") })
    })
}

async fn verifier(args: &ServeArgs) -> Result<Verifier, Failure> {
    let source = match &args.jwks {
        Some(place) => KeySource::open(place).await?,
        None => {
            let jwks = args.installation.keys.signing_key()?.jwks().to_string();
            KeySource::fixed(KeySet::parse(jwks.as_bytes())?)
        }
    };
    Ok(Verifier::new(source, args.installation.keys.issuer.as_str()))
}
