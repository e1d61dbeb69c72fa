//! What somebody asks: words, phrases and filters, all required, as read from one line of text.
//!
//! Terms stand side by side and are all required; `OR` joins the term before it with the one behind it. Words and
//! phrases are looked for within the subject or within one message, `-` and filters look at the whole ticket.

mod chunk;
mod date;
mod error;
mod filter;
mod parse;
mod words;

use docket_schemas::{Channel, Kind, PersonId, Priority, Status, TicketType, Timestamp};

pub use error::{Mistake, QueryError};
pub use parse::parse;

/// Most characters of a query.
pub const QUERY_CHARS_MAX: usize = 1_000;
/// Most terms of a query.
pub const TERMS_MAX: usize = 64;
/// Most ways to satisfy the groups that mix words with filters, multiplied over these groups.
pub const ALTERNATIVES_MAX: usize = 32;
/// Most words or single characters of a phrase.
pub const PHRASE_TOKENS_MAX: usize = 200;
/// Fewest characters before a `*`.
pub const PREFIX_CHARS_MIN: usize = 2;
/// Most words with a `~`: each may take two megabytes while it is looked for.
pub const FUZZY_WORDS_MAX: usize = 16;
/// Most letters by which a word behind `~` may differ.
pub const DISTANCE_MAX: u8 = 2;

/// A query: every group holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Never empty when it was parsed.
    pub groups: Vec<Group>,
}

/// One term, or several with `OR` between them: at least one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Never empty.
    pub any: Vec<Clause>,
}

/// A term, wanted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Whether a `-` stands before it.
    pub negated: bool,
    /// What it looks for.
    pub literal: Literal,
    /// Its first character in the query.
    pub at: usize,
}

/// What a term looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text: each within the same subject or message. Never empty.
    Text(Vec<Text>),
    /// A ticket's field.
    Filter(Filter),
}

/// A piece of text, by its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Text {
    /// A word, also by its English stem.
    Word(String),
    /// Tokens side by side, exactly as they are; each with its offset from the first. Never empty.
    Phrase(Vec<(usize, String)>),
    /// Words that begin like this.
    Prefix(String),
    /// Words that differ in at most so many letters; two swapped neighbours count as one.
    Fuzzy(String, u8),
}

/// A condition on a ticket's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `status:open`
    Status(Status),
    /// `priority:high`
    Priority(Priority),
    /// `type:incident`, `type:none`
    Type(Option<TicketType>),
    /// `tag:vip`, `tag:none`
    Tag(Option<String>),
    /// `group:billing`, `group:none`
    Group(Option<String>),
    /// `assignee:ann`, `assignee:me`, `assignee:none`
    Assignee(Person),
    /// `requester:cus_1`, `requester:me`
    Requester(Person),
    /// `channel:email`
    Channel(Channel),
    /// `kind:chat`
    Kind(Kind),
    /// `created>2026-11-20`
    Created(Span),
    /// `updated<2026-11-20`
    Updated(Span),
}

/// Whom a filter means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// Whoever asks.
    Me,
    /// Nobody.
    None,
    /// By the id that callers use.
    Named(String),
    /// By the id that the log knows; none for somebody whom nobody knows, who matches nothing.
    Known(Option<PersonId>),
}

/// Times from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first that counts.
    pub from: Timestamp,
    /// The first that does not count any more; none for no end.
    pub until: Option<Timestamp>,
}

impl Literal {
    /// The text, when it is one.
    #[must_use]
    pub fn text(&self) -> Option<&[Text]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Filter(_) => None,
        }
    }
}

impl Clause {
    /// The text that has to be found; none for a filter or what must be missing.
    #[must_use]
    pub fn wanted_text(&self) -> Option<&[Text]> {
        self.literal.text().filter(|_| !self.negated)
    }
}

impl Query {
    /// Every text, wanted or not.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let clauses = self.groups.iter().flat_map(|group| &group.any);
        clauses.filter_map(|clause| clause.literal.text()).flatten()
    }

    /// Every text that a hit may show: what is wanted, without what must be missing.
    pub fn wanted_texts(&self) -> impl Iterator<Item = &Text> {
        let clauses = self.groups.iter().flat_map(|group| &group.any);
        clauses.filter_map(Clause::wanted_text).flatten()
    }

    /// The persons that filters name by the ids that callers use.
    pub fn named_persons(&mut self) -> impl Iterator<Item = &mut Person> {
        let clauses = self.groups.iter_mut().flat_map(|group| &mut group.any);
        clauses.filter_map(|clause| match &mut clause.literal {
            Literal::Filter(Filter::Assignee(person) | Filter::Requester(person)) => Some(person),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
