//! The server under measurement: what `docket serve` runs, on a port of the loopback, without a rate limit.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use docket_engine::in_process_ephemeral::InProcessEphemeral;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::auth::{ISSUER_DEFAULT, KeySet, KeySource, SigningKey, Verifier};
use crate::cores::{self, CoreTasks};
use crate::gate::Gate;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::operations::{Operations, Readiness};
use crate::server::{Drained, Server};
use crate::wire::{self, Installation, WireError};
use crate::{http, limit};

/// No limit to the requests of a principal.
const UNLIMITED: Option<limit::RateLimit> = None;

/// A server at work.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) app: App,
    pub(super) key: SigningKey,
    pub(super) appends: Arc<Appends>,
    drain: watch::Sender<bool>,
    served: JoinHandle<Drained>,
    appender: JoinHandle<()>,
    kept: CoreTasks,
}

/// What the log was asked to append.
#[derive(Default)]
pub(super) struct Appends {
    count: AtomicU64,
    rows: AtomicU64,
    micros: AtomicU64,
}

/// Appends up to some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Appended {
    pub(super) count: u64,
    pub(super) rows: u64,
    pub(super) micros: u64,
}

impl Appends {
    pub(super) fn read(&self) -> Appended {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Appended { count: load(&self.count), rows: load(&self.rows), micros: load(&self.micros) }
    }

    fn note(&self, micros: u64, rows: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Site {
    pub(super) async fn start(installation: &Installation) -> Result<Self, WireError> {
        let appends = Arc::new(Appends::default());
        let metrics = Metrics::default();
        let (seconds, noted) = (metrics.append_seconds.clone(), Arc::clone(&appends));
        let on_append = Box::new(move |micros: u64, rows| {
            seconds.observe(micros as f64 / 1e6);
            noted.note(micros, rows);
        });
        let started = wire::open(installation, "bench", on_append).await?;
        let key = SigningKey::open_or_create(&installation.data.join("signing-key.pem"))?;
        let keys = KeySource::fixed(KeySet::parse(key.jwks().to_string().as_bytes())?);
        let gate = Arc::new(Gate::new(Verifier::new(keys, ISSUER_DEFAULT), UNLIMITED));
        let readiness = Readiness::new(Box::new(|| Box::pin(async { Ok(()) })));
        let operations = Arc::new(Operations { metrics, readiness });
        let (drain, draining) = watch::channel(false);
        let whispers = Arc::new(InProcessEphemeral::default());
        let live = Live::start(&started.desk, whispers, draining.clone(), Vec::new()).await?;
        let (cores, kept) = cores::start(&started, installation, "bench", &live.tail).await?;
        let app = App::new(started.desk.clone(), gate, live, cores);
        let router = http::router(http::caller_routes(), app.clone(), operations);
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), None)?;
        let address = server.address()?;
        let served = tokio::spawn(server.serve(router, draining));
        let appender = started.appender;
        Ok(Self { address, app, key, appends, drain, served, appender, kept })
    }

    /// Stops; the clients are gone already.
    pub(super) async fn stop(self) {
        self.drain.send_replace(true);
        let _ = self.served.await;
        self.kept.stop().await;
        drop(self.app);
        let _ = self.appender.await;
    }
}
