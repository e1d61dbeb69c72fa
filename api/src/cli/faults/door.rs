//! A whole node without a socket, asked as callers ask it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use docket_sagas::Coordinator;
use docket_schemas::{Role, Tenant};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{FaultsArgs, TENANT};
use crate::app::App;
use crate::auth::{KeySet, KeySource, Verifier};
use crate::cli::Failure;
use crate::cores::{self, CoreTasks};
use crate::gate::Gate;
use crate::http::caller_routes;
use crate::live::Live;
use crate::search::Search;
use crate::views::Views;
use crate::wire;

/// A node's door, and what a rehearsal looks at behind it.
pub(super) struct Door {
    router: Router,
    token: String,
    pub(super) desk: docket_engine::desk::Desk,
    pub(super) sagas: Coordinator,
    pub(super) views: Views,
    pub(super) search: Search,
    tasks: CoreTasks,
    // Dropped, it would tell everybody to leave.
    _drain: watch::Sender<bool>,
}

impl Door {
    pub(super) async fn open(args: &FaultsArgs) -> Result<Self, Failure> {
        let installation = args.installation.installation();
        let opened = wire::open(&installation, "rehearsal", Box::new(|_, _| {})).await?;
        let desk = opened.desk.clone();
        let (keep, drain) = watch::channel(false);
        let live = Live::start(&desk, Arc::clone(&opened.ephemeral), drain, Vec::new()).await?;
        let (cores, tasks) = cores::start(&opened, &installation, "rehearsal", &live.tail).await?;
        let keys = &args.installation.keys;
        let jwks = keys.signing_key()?.jwks().to_string();
        let source = KeySource::fixed(KeySet::parse(jwks.as_bytes())?);
        let gate = Arc::new(Gate::new(Verifier::new(source, keys.issuer.as_str()), None));
        let tenant: Tenant = TENANT.parse()?;
        let token = keys.demo_token(Role::Admin, "rehearsal", &tenant)?;
        let app = App::new(desk.clone(), gate, live, cores);
        let (sagas, views, search) = (app.sagas.clone(), app.views.clone(), app.search.clone());
        let router = caller_routes().with_state(app).into_router();
        Ok(Self { router, token, desk, sagas, views, search, tasks, _drain: keep })
    }

    /// What is at a path.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        match self.ask(Method::GET, path, None).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, body) => Err(format!("GET {path}: {status}: {body}").into()),
        }
    }

    /// What a write is answered.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string()))?,
            None => request.body(Body::empty())?,
        };
        let (parts, body) = self.router.clone().oneshot(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok((parts.status, serde_json::from_slice(&bytes)?))
    }

    /// Stops what was started.
    pub(super) async fn close(self) {
        self.tasks.stop().await;
    }
}
