//! The variables of a path; one that cannot name anything is 404, like one that names nothing.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use docket_schemas::{EventId, SagaId, TicketId};

use crate::problem::Problem;

/// The ticket that a path names by `{id}`.
#[derive(Debug, Clone, Copy)]
pub struct TicketPath(pub TicketId);

/// The saga that a path names by `{id}`.
#[derive(Debug, Clone, Copy)]
pub struct SagaPath(pub SagaId);

/// The definition of sagas that a path names by `{name}`; not checked.
#[derive(Debug, Clone)]
pub struct DefinitionPath(pub String);

/// The event that a path names by `{id}`.
#[derive(Debug, Clone, Copy)]
pub struct EventPath(pub EventId);

/// The ticket `{id}` and the person `{person}` that a path names; the person is any text, percent-decoded.
#[derive(Debug, Clone)]
pub struct FollowerPath {
    /// Which ticket.
    pub ticket: TicketId,
    /// Which person, by the id that callers use; not checked.
    pub person: String,
}

impl<S: Send + Sync> FromRequestParts<S> for TicketPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        ticket(&params(parts, state).await?).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SagaPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        param(&params, "id")?.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DefinitionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(param(&params(parts, state).await?, "name")?.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EventPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        param(&params, "id")?.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FollowerPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self { ticket: ticket(&params)?, person: param(&params, "person")?.to_owned() })
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())
}

fn ticket(params: &RawPathParams) -> Result<TicketId, Problem> {
    param(params, "id")?.parse().map_err(|_| Problem::not_found())
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> Result<&'a str, Problem> {
    let mut found = params.iter().filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value).ok_or_else(Problem::not_found)
}
