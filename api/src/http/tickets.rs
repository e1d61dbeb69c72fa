//! `/v1/tickets`: what its endpoints share.

pub(super) mod add_message;
mod answer;
mod as_of;
mod claim;
mod count;
pub(super) mod enter;
mod fields;
mod filters;
mod find;
mod followers;
mod found;
mod get;
mod history;
mod list;
mod list_messages;
mod merge;
mod open;
pub(super) mod patch;
mod refusal;
mod shown;
mod slice;
#[cfg(test)]
mod tests;

use axum::http::Method;

use super::Routes;
use crate::app::App;
pub(super) use as_of::{Waited, as_of, store_problem, wanted};
pub(super) use enter::{Envelope, Head, check_feed};
pub(super) use found::{found, own_tickets};
pub(super) use list::{check_find, present_all};
pub(super) use patch::{PatchTicket, bulk_change, check_bulk};
pub(super) use refusal::problem;

/// Every route of tickets.
#[must_use]
pub fn routes() -> Routes<App> {
    Routes::new()
        .on(Method::POST, "/v1/tickets", open::post)
        .on(Method::GET, "/v1/tickets", list::get)
        .on(Method::GET, "/v1/tickets/count", count::get)
        .on(Method::GET, "/v1/tickets/{id}", get::get)
        .on(Method::PATCH, "/v1/tickets/{id}", patch::patch)
        .on(Method::POST, "/v1/tickets/{id}/messages", add_message::post)
        .on(Method::GET, "/v1/tickets/{id}/messages", list_messages::get)
        .on(Method::POST, "/v1/tickets/{id}/claim", claim::post)
        .on(Method::DELETE, "/v1/tickets/{id}/claim", claim::delete)
        .on(Method::POST, "/v1/tickets/{id}/merge", merge::merge)
        .on(Method::POST, "/v1/tickets/{id}/unmerge", merge::unmerge)
        .on(Method::PUT, "/v1/tickets/{id}/followers/{person}", followers::put)
        .on(Method::DELETE, "/v1/tickets/{id}/followers/{person}", followers::delete)
        .on(Method::GET, "/v1/tickets/{id}/events", history::get)
}
