//! Sends traces to an OpenTelemetry collector over HTTP.

use std::fmt;

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;

use crate::client;

/// Largest answer of a collector that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The path under the endpoint that takes traces (OTLP 1.x).
const TRACES_PATH: &str = "v1/traces";

/// A provider whose spans go to the collector at `endpoint`; shut it down to send the last of them.
///
/// # Errors
/// When the endpoint is no URL.
pub(super) fn provider(
    endpoint: &str,
    runtime: Handle,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client(runtime))
        .with_endpoint(format!("{}/{TRACES_PATH}", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder().with_service_name("docket").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The tracer that the log layer writes to.
pub(super) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("docket")
}

/// The process's own client, driven by its runtime: the batch thread has none.
struct Client(Handle);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.0.spawn(client::send(request, ANSWER_BYTES_MAX)).await?;
        Ok(sent?)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use opentelemetry::trace::{Span as _, Tracer as _};
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::http::Routes;
    use crate::server::Server;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_span_reaches_the_collector() {
        let (sender, mut received) = mpsc::unbounded_channel();
        let collect = async move |body: Bytes| sender.send(body).unwrap();
        let routes = Routes::<()>::new().on(Method::POST, "/v1/traces", collect);
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let endpoint = format!("http://{}/", server.address().unwrap());
        let (_drain, draining) = watch::channel(false);
        tokio::spawn(server.serve(routes.into_router(), draining));
        let provider = provider(&endpoint, Handle::current()).unwrap();
        tracer(&provider).start("http.ticket.read").end();
        tokio::task::spawn_blocking(move || provider.shutdown()).await.unwrap().unwrap();
        let body = received.recv().await.unwrap();
        assert!(body.windows(16).any(|window| window == b"http.ticket.read"));
    }
}
