//! Whether two tickets may be merged, or taken apart, as they stand.

use super::Refusal;
use super::author::AuthorError;
use super::merge::MERGED_SOURCES_MAX;
use crate::ticket::Ticket;
use docket_schemas::{Status, TicketId};

const _: () = assert!(MERGED_SOURCES_MAX == 500, "a refusal names the limit");

const fn no(reason: &'static str) -> Refusal {
    Refusal::NotMergeable { reason }
}

/// Whether a ticket may go into another, and how many tickets it brings: itself, and those that it shows.
pub(super) fn check_merges(source: &Ticket) -> Result<u64, Refusal> {
    let merges = source.merges();
    match merges.merged() {
        _ if merges.underway().is_some() => Err(no("the ticket is being merged or unmerged")),
        Some(_) => Err(no("the ticket is merged already")),
        None if merges.holds_slot() => Err(no("the ticket is held by another merge")),
        None => Ok(1 + merges.sources_shown()),
    }
}

/// Whether another may come into a ticket, with as many as it brings.
pub(super) fn check_takes(target: &mut Ticket, brings: u64) -> Result<(), AuthorError> {
    let merges = target.merges();
    if merges.underway().is_some() {
        return Err(no("the other ticket is being merged or unmerged").into());
    }
    if merges.merged().is_some() {
        return Err(no("the other ticket is itself merged into another").into());
    }
    if merges.holds_slot() {
        return Err(no("the other ticket is held by another merge").into());
    }
    if merges.sources_shown() + brings > MERGED_SOURCES_MAX {
        return Err(no("the other ticket would show more than 500 merged tickets").into());
    }
    check_open(target)
}

/// Whether a target shows another status than `closed`.
pub(super) fn check_open(target: &mut Ticket) -> Result<(), AuthorError> {
    match target.resolve()?.status {
        Status::Closed => Err(no("the other ticket is closed").into()),
        _ => Ok(()),
    }
}

/// Whether a ticket may come out of the one that it is merged into.
pub(super) fn check_leaves(source: &Ticket, into: TicketId) -> Result<(), Refusal> {
    let merges = source.merges();
    match merges.merged() {
        _ if merges.underway().is_some() => Err(no("the ticket is being merged or unmerged")),
        None => Err(no("the ticket is not merged")),
        Some(merged) if merged.into != into => Err(no("the ticket is merged into another one")),
        Some(_) => Ok(()),
    }
}

/// Whether a ticket may leave its target: last in, first out.
pub(super) fn check_lets_go(target: &Ticket) -> Result<(), Refusal> {
    let merges = target.merges();
    if merges.underway().is_some() {
        return Err(no("the ticket that it is merged into is being merged or unmerged"));
    }
    if merges.merged().is_some() {
        return Err(no(
            "the ticket that it is merged into is itself merged: unmerge that one first",
        ));
    }
    if merges.holds_slot() {
        return Err(no("the ticket that it is merged into is held by another merge"));
    }
    Ok(())
}
