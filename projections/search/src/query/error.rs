//! Why a query cannot be read: what is wrong, where, what to do about it.

use super::{
    ALTERNATIVES_MAX, DISTANCE_MAX, FUZZY_WORDS_MAX, PHRASE_TOKENS_MAX, PREFIX_CHARS_MIN,
    QUERY_CHARS_MAX, TERMS_MAX,
};

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{mistake}, at character {}", .at + 1)]
pub struct QueryError {
    /// The first character that is wrong, from 0, in Unicode characters; at most the query's length.
    pub at: usize,
    /// What is wrong.
    pub mistake: Mistake,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Nothing in it can be looked for.
    #[error("there is nothing to search for: give a word or a filter")]
    Empty,
    /// Too long.
    #[error("the query is longer than {QUERY_CHARS_MAX} characters")]
    Long,
    /// Too many terms.
    #[error("there are more than {TERMS_MAX} terms")]
    ManyTerms,
    /// Too many words in a phrase.
    #[error("the phrase has more than {PHRASE_TOKENS_MAX} words or characters")]
    LongPhrase,
    /// Too many combinations of words and filters.
    #[error(
        "words and filters are joined by OR in more than {ALTERNATIVES_MAX} combinations: ask in several queries"
    )]
    ManyAlternatives,
    /// A quote without its other half.
    #[error("the quote is not closed: add a \" or leave this one out")]
    OpenQuote,
    /// Quotes with nothing in them that can be looked for.
    #[error("there is no letter or digit between the quotes")]
    EmptyPhrase,
    /// A `*` or `?` before a word.
    #[error(
        "a wildcard cannot stand first: begin with at least {PREFIX_CHARS_MIN} letters, as in print*"
    )]
    LeadingWildcard,
    /// A `*` within a word.
    #[error("a wildcard stands only at the end of a word, as in print*")]
    InnerWildcard,
    /// A `*` at either end of a filter's value.
    #[error(
        "a wildcard goes with words alone; a value that has a * in it stands in quotes, as in tag:\"c*\""
    )]
    FilterWildcard,
    /// Too few letters before a `*`.
    #[error("at least {PREFIX_CHARS_MIN} letters or digits have to stand before a *")]
    ShortPrefix,
    /// A `~` without a word, or with a distance that is none.
    #[error(
        "behind ~ stands 1 or {DISTANCE_MAX}, and before it one word of letters or digits, as in wrod~1"
    )]
    BadDistance,
    /// Too many words with a `~`.
    #[error("there are more than {FUZZY_WORDS_MAX} words with a ~")]
    ManyFuzzy,
    /// A word that is too short for its distance.
    #[error("the word is too short for ~{0}: it needs at least {1} letters")]
    ShortFuzzy(u8, usize),
    /// A `-` with nothing behind it.
    #[error("- leaves out the term right behind it: add one, as in -spam")]
    LoneMinus,
    /// An `OR` or `AND` without a term on each side.
    #[error("{0} stands between two terms: put \"{0}\" into quotes to find the word")]
    LoneOperator(&'static str),
    /// `NOT`.
    #[error("write -word instead of NOT word; put \"NOT\" into quotes to find the word")]
    Not,
    /// A parenthesis.
    #[error(
        "parentheses do not group: OR joins the two terms beside it; put the text into quotes to find it"
    )]
    Parenthesis,
    /// A filter on a field that there is not.
    #[error(
        "there is no field `{0}`: known are status, priority, type, tag, assignee, group, requester, channel, kind, created, updated; put the text into quotes to find it"
    )]
    UnknownField(String),
    /// A filter without a value.
    #[error("there is no value behind `{0}`")]
    NoValue(&'static str),
    /// A value that the field does not have.
    #[error("`{field}` is one of {allowed}")]
    UnknownValue {
        /// Which field.
        field: &'static str,
        /// Its values.
        allowed: String,
    },
    /// A date field without a comparison.
    #[error("a date is compared, as in {0}>2026-11-20 or {0}<2026-11-20T12:00:00Z")]
    NotCompared(&'static str),
    /// A comparison of a field that is no date.
    #[error("`{0}` takes a colon, as in {0}:value")]
    NotADate(&'static str),
    /// A text that is no date.
    #[error(
        "this is neither a date such as 2026-11-20 nor an RFC 3339 time such as 2026-11-20T12:00:00Z"
    )]
    BadDate,
}

impl Mistake {
    /// The mistake with its place.
    pub(super) const fn at(self, at: usize) -> QueryError {
        QueryError { at, mistake: self }
    }

    /// The limit that was exceeded, where it is one.
    #[must_use]
    pub const fn limit(&self) -> Option<usize> {
        match self {
            Self::Long => Some(QUERY_CHARS_MAX),
            Self::ManyTerms => Some(TERMS_MAX),
            Self::LongPhrase => Some(PHRASE_TOKENS_MAX),
            Self::ManyAlternatives => Some(ALTERNATIVES_MAX),
            Self::ManyFuzzy => Some(FUZZY_WORDS_MAX),
            _ => None,
        }
    }
}
