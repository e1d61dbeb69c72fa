//! Five small values of a ticket in one number, so that a pass over all tickets reads one column.

use docket_schemas::{Channel, Kind, Priority, Status, TicketType};

use crate::document::TicketDocument;
use crate::port::Facet;

/// Bits for each value; none has more than seven.
const BITS: u32 = 3;
const MASK: u64 = (1 << BITS) - 1;

/// Which value stands where.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Part {
    Priority = 0,
    Status = 1,
    PublicStatus = 2,
    Type = 3,
    Kind = 4,
    Channel = 5,
}

/// The number of a ticket.
pub(super) fn coded(ticket: &TicketDocument) -> u64 {
    let ticket_type = ticket.ticket_type.map_or(0, |value| 1 + index(TicketType::ALL, value));
    [
        (Part::Priority, index(Priority::ALL, ticket.priority)),
        (Part::Status, index(Status::ALL, ticket.status)),
        (Part::PublicStatus, index(Status::ALL, ticket.public_status())),
        (Part::Type, ticket_type),
        (Part::Kind, index(Kind::ALL, ticket.kind)),
        (Part::Channel, index(Channel::ALL, ticket.channel)),
    ]
    .into_iter()
    .fold(0, |number, (part, value)| number | value << (part as u32 * BITS))
}

fn index<T: PartialEq>(all: &[T], value: T) -> u64 {
    all.iter().position(|item| *item == value).unwrap_or_default() as u64
}

fn part(coded: u64, part: Part) -> u64 {
    coded >> (part as u32 * BITS) & MASK
}

/// The priority's rank.
pub(super) fn priority(coded: u64) -> i64 {
    part(coded, Part::Priority).cast_signed()
}

/// How many values a facet of this number can have.
pub(super) const VALUES: usize = 1 << BITS;

/// The facet's value as an index below [`VALUES`]; none where the facet is no part of the number.
pub(super) fn value(coded: u64, facet: Facet, public: bool) -> Option<usize> {
    let which = match facet {
        Facet::Status if public => Part::PublicStatus,
        Facet::Status => Part::Status,
        Facet::Priority => Part::Priority,
        Facet::Type => Part::Type,
        Facet::Kind => Part::Kind,
        Facet::Channel => Part::Channel,
        Facet::Tag | Facet::Group | Facet::Assignee => return None,
    };
    usize::try_from(part(coded, which)).ok()
}

/// The name of a facet's value; none for a type that is not given.
pub(super) fn name(facet: Facet, value: usize) -> Option<&'static str> {
    match facet {
        Facet::Status => Status::ALL.get(value).map(|item| item.as_str()),
        Facet::Priority => Priority::ALL.get(value).map(|item| item.as_str()),
        Facet::Type => {
            value.checked_sub(1).and_then(|v| TicketType::ALL.get(v)).map(|t| t.as_str())
        }
        Facet::Kind => Kind::ALL.get(value).map(|item| item.as_str()),
        Facet::Channel => Channel::ALL.get(value).map(|item| item.as_str()),
        Facet::Tag | Facet::Group | Facet::Assignee => None,
    }
}
