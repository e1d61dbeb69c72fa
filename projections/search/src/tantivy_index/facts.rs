//! Facts: one term for each thing that a filter can ask of a ticket.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_schemas::{PersonId, Tenant};
use tantivy::Term;
use tantivy::query::{EmptyQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;

use std::ops::Bound;

use super::schema::Fields;
use super::tokenizer::scoped;
use crate::document::TicketDocument;
use crate::port::Reader;
use crate::query::{Filter, Person, Span};

/// The value of a field that has none; no value that callers give contains it.
const NONE: &str = "\0";

/// Every fact of a ticket.
pub(super) fn facts(ticket: &TicketDocument) -> Vec<String> {
    let of = |kind: char, value: &str| fact(&ticket.tenant, kind, value);
    let or_none = |value: Option<&str>| value.unwrap_or(NONE).to_owned();
    let person = |person: Option<PersonId>| or_none(person.map(brief).as_deref());
    let mut facts = vec![
        of('*', ""),
        of('s', ticket.status.as_str()),
        of('S', ticket.public_status().as_str()),
        of('p', ticket.priority.as_str()),
        of('y', &or_none(ticket.ticket_type.map(|value| value.as_str()))),
        of('k', ticket.kind.as_str()),
        of('c', ticket.channel.as_str()),
        of('g', &or_none(ticket.group.as_deref())),
        of('a', &person(ticket.assignee)),
        of('q', &person(Some(ticket.requester))),
    ];
    facts.extend(ticket.tags.iter().map(|tag| of('t', tag)));
    if ticket.tags.is_empty() {
        facts.push(of('t', NONE));
    }
    let mut readers = ticket.followers.clone();
    readers.push(ticket.requester);
    readers.sort_unstable();
    readers.dedup();
    facts.extend(readers.into_iter().map(|reader| of('r', &person(Some(reader)))));
    facts
}

/// A person's id in as few bytes as a term can have: most tickets have a requester of their own, and the bytes of terms that
/// stand once are what an index's dictionary costs.
fn brief(person: PersonId) -> String {
    URL_SAFE_NO_PAD.encode(person.uuid().as_bytes())
}

fn fact(tenant: &Tenant, kind: char, value: &str) -> String {
    scoped(tenant, &format!("{kind}{value}"))
}

/// Asks tickets for what a reader may ask of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) fields: Fields,
    pub(super) tenant: &'a Tenant,
    pub(super) reader: Reader,
}

impl Asking<'_> {
    /// The tickets that the reader may know of.
    pub(super) fn all(&self) -> Box<dyn Query> {
        match self.reader {
            Reader::Staff(_) => self.has('*', ""),
            Reader::Customer(person) => self.has('r', &brief(person)),
        }
    }

    /// The tickets that pass a filter, among others that the reader may not know of. A filter on what a customer does not
    /// see matches nothing.
    pub(super) fn filter(&self, filter: &Filter) -> Box<dyn Query> {
        let customer = matches!(self.reader, Reader::Customer(_));
        let or_none = |value: &Option<String>| value.as_deref().unwrap_or(NONE).to_owned();
        match filter {
            Filter::Status(status) if customer => self.has('S', status.as_str()),
            Filter::Status(status) => self.has('s', status.as_str()),
            Filter::Priority(priority) => self.has('p', priority.as_str()),
            Filter::Type(value) => self.has('y', value.map_or(NONE, |value| value.as_str())),
            Filter::Channel(channel) => self.has('c', channel.as_str()),
            Filter::Assignee(Person::None) => self.has('a', NONE),
            Filter::Assignee(person) => self.person('a', person),
            Filter::Requester(person) => self.person('q', person),
            Filter::Created(span) => within(self.fields.created, span),
            Filter::Updated(span) if customer => within(self.fields.public_updated, span),
            Filter::Updated(span) => within(self.fields.updated, span),
            Filter::Tag(_) | Filter::Group(_) | Filter::Kind(_) if customer => Box::new(EmptyQuery),
            Filter::Tag(tag) => self.has('t', &or_none(tag)),
            Filter::Group(group) => self.has('g', &or_none(group)),
            Filter::Kind(kind) => self.has('k', kind.as_str()),
        }
    }

    fn person(&self, kind: char, person: &Person) -> Box<dyn Query> {
        let id = match person {
            Person::Me => self.reader.person(),
            Person::Known(id) => *id,
            Person::None | Person::Named(_) => None,
        };
        id.map_or_else(|| Box::new(EmptyQuery) as Box<dyn Query>, |id| self.has(kind, &brief(id)))
    }

    fn has(&self, kind: char, value: &str) -> Box<dyn Query> {
        let term = Term::from_field_text(self.fields.fact, &fact(self.tenant, kind, value));
        Box::new(TermQuery::new(term, IndexRecordOption::Basic))
    }
}

/// The term that every ticket of a tenant has.
pub(super) fn every_ticket(fields: Fields, tenant: &Tenant) -> Term {
    Term::from_field_text(fields.fact, &fact(tenant, '*', ""))
}

fn within(field: tantivy::schema::Field, span: &Span) -> Box<dyn Query> {
    let from = Bound::Included(Term::from_field_i64(field, span.from.micros()));
    let until = span.until.map_or(Bound::Unbounded, |until| {
        Bound::Excluded(Term::from_field_i64(field, until.micros()))
    });
    Box::new(RangeQuery::new(from, until))
}
