//! A line of text read as a query.

use super::chunk::{Chunk, chunks};
use super::error::{Mistake, QueryError};
use super::filter::{self, filter};
use super::words::{phrase, words};
use super::{
    ALTERNATIVES_MAX, Clause, FUZZY_WORDS_MAX, Group, Literal, QUERY_CHARS_MAX, Query, TERMS_MAX,
    Text,
};

/// Reads a query.
///
/// # Errors
/// What is wrong first, with its place.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    let query: Vec<char> = text.chars().take(QUERY_CHARS_MAX + 1).collect();
    if query.len() > QUERY_CHARS_MAX {
        return Err(Mistake::Long.at(QUERY_CHARS_MAX));
    }
    let mut reader = Reader::default();
    for chunk in chunks(&query)? {
        reader.take(&chunk)?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    groups: Vec<Group>,
    terms: usize,
    /// Words with a `~`.
    fuzzy: usize,
    /// An operator that waits for the term behind it, and where it stands.
    pending: Option<(Operator, usize)>,
    /// Whether the last chunk was a term, so that an operator may follow.
    operand: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
}

impl Operator {
    const fn name(self) -> &'static str {
        match self {
            Self::Or => "OR",
            Self::And => "AND",
        }
    }
}

impl Reader {
    fn take(&mut self, chunk: &Chunk) -> Result<(), QueryError> {
        let bare: String = chunk.bare.iter().collect();
        let plain = !chunk.negated && chunk.quoted.is_none();
        match bare.as_str() {
            "OR" if plain => self.operator(Operator::Or, chunk.at),
            "AND" if plain => self.operator(Operator::And, chunk.at),
            "NOT" if plain => Err(Mistake::Not.at(chunk.at)),
            _ => match literal(chunk, &bare)? {
                Some(literal) => self.term(chunk, literal),
                // Punctuation alone.
                None => Ok(()),
            },
        }
    }

    fn operator(&mut self, operator: Operator, at: usize) -> Result<(), QueryError> {
        if !self.operand {
            return Err(Mistake::LoneOperator(operator.name()).at(at));
        }
        self.operand = false;
        self.pending = Some((operator, at));
        Ok(())
    }

    fn term(&mut self, chunk: &Chunk, literal: Literal) -> Result<(), QueryError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(Mistake::ManyTerms.at(chunk.at));
        }
        let fuzzy = |text: &&Text| matches!(text, Text::Fuzzy(..));
        self.fuzzy += literal.text().into_iter().flatten().filter(fuzzy).count();
        if self.fuzzy > FUZZY_WORDS_MAX {
            return Err(Mistake::ManyFuzzy.at(chunk.at));
        }
        let clause = Clause { negated: chunk.negated, literal, at: chunk.at };
        let joined = matches!(self.pending.take(), Some((Operator::Or, _)));
        match self.groups.last_mut().filter(|_| joined) {
            Some(group) => group.any.push(clause),
            None => self.groups.push(Group { any: vec![clause] }),
        }
        self.operand = true;
        Ok(())
    }

    fn finish(self) -> Result<Query, QueryError> {
        if let Some((operator, at)) = self.pending {
            return Err(Mistake::LoneOperator(operator.name()).at(at));
        }
        if self.groups.is_empty() {
            return Err(Mistake::Empty.at(0));
        }
        let mut alternatives = 1;
        for group in self.groups.iter().filter(|group| group.is_mixed()) {
            alternatives *= group.any.len();
            if alternatives > ALTERNATIVES_MAX {
                return Err(Mistake::ManyAlternatives.at(group.any[0].at));
            }
        }
        Ok(Query { groups: self.groups })
    }
}

impl Group {
    /// Whether it joins wanted text with anything else: such a group cannot be answered by looking at messages alone,
    /// nor at tickets alone.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        let texts = self.any.iter().filter(|clause| clause.wanted_text().is_some()).count();
        texts > 0 && texts < self.any.len()
    }
}

/// What a chunk looks for; none where there is nothing in it that can be looked for.
fn literal(chunk: &Chunk, bare: &str) -> Result<Option<Literal>, QueryError> {
    if let Some(field) = filter::field(&chunk.bare, chunk.bare_at)? {
        return filter(&field, chunk).map(|filter| Some(Literal::Filter(filter)));
    }
    if let Some(quoted) = &chunk.quoted {
        // Before a quote stands a `-`, a field, or text that ends with a colon.
        let mut texts = words(bare, chunk.bare_at)?;
        texts.push(phrase(quoted)?);
        return Ok(Some(Literal::Text(texts)));
    }
    if bare.is_empty() {
        return Err(Mistake::LoneMinus.at(chunk.at));
    }
    let texts = words(bare, chunk.bare_at)?;
    Ok((!texts.is_empty()).then_some(Literal::Text(texts)))
}
