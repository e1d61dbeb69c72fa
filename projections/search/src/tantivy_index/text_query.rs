//! The text of a query as Tantivy looks for it, within one tenant's terms.

use std::collections::HashMap;
use std::sync::Arc;

use docket_schemas::Tenant;
use levenshtein_automata::{DFA, Distance};
use tantivy::Term;
use tantivy::query::{
    AutomatonWeight, BooleanQuery, ConstScoreQuery, EnableScoring, Occur, PhraseQuery, Query,
    TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy_fst::Automaton;

use super::schema::Fields;
use super::tokenizer::scoped;
use crate::near::near;
use crate::port::Question;
use crate::query::Text;
use crate::text::{pair, sieve_key, stem};

/// Groups that all hold within one document, each by one of its alternatives, each of which is all of its texts.
pub(super) type TextGroups<'a> = Vec<Vec<&'a [Text]>>;

/// What the texts of a question are looked for with.
pub(super) struct Wording<'a> {
    fields: Fields,
    tenant: &'a Tenant,
    /// One for each word with `~`, however many ways to satisfy the query it is part of.
    near: HashMap<(&'a str, u8), Arc<DFA>>,
}

impl<'a> Wording<'a> {
    pub(super) fn of(fields: Fields, question: &'a Question) -> Self {
        let texts = question.query.texts().filter_map(|text| match text {
            Text::Fuzzy(word, distance) => Some((word.as_str(), *distance)),
            Text::Word(_) | Text::Phrase(_) | Text::Prefix(_) => None,
        });
        let near = texts.map(|key| (key, near(key.0, key.1))).collect();
        Self { fields, tenant: &question.tenant, near }
    }

    /// The query that all groups make.
    pub(super) fn groups(&self, groups: &TextGroups<'_>) -> Box<dyn Query> {
        let required = groups.iter().map(|alternatives| {
            let any = alternatives.iter().map(|texts| self.all(texts));
            joined(Occur::Should, any.collect())
        });
        joined(Occur::Must, required.collect())
    }

    /// A document that has all of the texts.
    pub(super) fn all(&self, texts: &[Text]) -> Box<dyn Query> {
        joined(Occur::Must, texts.iter().map(|text| self.one(text)).collect())
    }

    fn one(&self, text: &Text) -> Box<dyn Query> {
        let Self { fields, tenant, .. } = self;
        let term = |field, token: &str| Term::from_field_text(field, &scoped(tenant, token));
        let single = |term| -> Box<dyn Query> {
            Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
        };
        match text {
            // Every word of English letters stands in the index by its stem, so the stem alone finds the word as well.
            Text::Word(word) => match stem(word) {
                Some(stem) => single(term(fields.keys, &stem)),
                None => single(term(fields.words, word)),
            },
            Text::Phrase(tokens) => {
                let mut all: Vec<Box<dyn Query>> = Vec::new();
                let pairs = tokens.windows(2).filter_map(|two| key(two, pair)).take(PAIRS_MAX);
                all.extend(pairs.map(|pair| single(term(fields.keys, &pair))));
                match tokens.as_slice() {
                    [(_, token)] => all.push(single(term(fields.words, token))),
                    [_, _] if !all.is_empty() => {}
                    tokens => {
                        let keys = tokens.windows(2).filter_map(|two| key(two, sieve_key));
                        all.extend(keys.take(PAIRS_MAX).map(|key| sieve(term(fields.sieve, &key))));
                        let terms =
                            tokens.iter().map(|(at, token)| (*at, term(fields.words, token)));
                        all.push(Box::new(PhraseQuery::new_with_offset(terms.collect())));
                    }
                }
                joined(Occur::Must, all)
            }
            Text::Prefix(prefix) => Box::new(TermsQuery {
                field: fields.words,
                terms: Terms { before: scoped(tenant, prefix).into_bytes(), ending: Ending::Any },
            }),
            Text::Fuzzy(word, distance) => Box::new(TermsQuery {
                field: fields.words,
                terms: Terms {
                    before: scoped(tenant, "").into_bytes(),
                    ending: Ending::Near(Arc::clone(&self.near[&(word.as_str(), *distance)])),
                },
            }),
        }
    }
}

/// One query of several; a single one stays as it is.
pub(super) fn joined(occur: Occur, mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    if queries.len() == 1 {
        return queries.remove(0);
    }
    Box::new(BooleanQuery::new(queries.into_iter().map(|query| (occur, query)).collect()))
}

/// Whether a text is found by the positions of its tokens: one that is a single term is not.
pub(super) fn compares_positions(text: &Text) -> bool {
    match text {
        Text::Phrase(tokens) => match tokens.as_slice() {
            [_] => false,
            two @ [_, _] => key(two, pair).is_none(),
            _ => true,
        },
        Text::Word(_) | Text::Prefix(_) | Text::Fuzzy(..) => false,
    }
}

/// Pairs of a long phrase that are looked up before its positions are compared, of either kind.
const PAIRS_MAX: usize = 6;

/// The key under which two tokens stand in the index where they are side by side.
fn key(tokens: &[(usize, String)], of: fn(&str, &str) -> Option<String>) -> Option<String> {
    let [(first, a), (second, b)] = tokens else { return None };
    if *second == first + 1 { of(a, b) } else { None }
}

/// What has to be there, and says nothing of how well a document fits.
fn sieve(term: Term) -> Box<dyn Query> {
    let query = Box::new(TermQuery::new(term, IndexRecordOption::Basic));
    Box::new(ConstScoreQuery::new(query, 0.0))
}

/// Documents with any of the terms that an automaton knows.
#[derive(Debug, Clone)]
struct TermsQuery {
    field: Field,
    terms: Terms,
}

/// The terms that begin with these bytes and end as they should.
#[derive(Clone)]
struct Terms {
    before: Vec<u8>,
    ending: Ending,
}

#[derive(Clone)]
enum Ending {
    Any,
    Near(Arc<DFA>),
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terms(..)")
    }
}

impl Query for TermsQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(AutomatonWeight::new(self.field, self.terms.clone())))
    }
}

/// Where an automaton is within a term.
#[derive(Debug, Clone, Copy)]
enum State {
    /// So many bytes of the beginning are right.
    Before(usize),
    /// Behind the beginning.
    Ending(u32),
    /// No term begins like this.
    Lost,
}

impl Terms {
    fn behind(&self) -> State {
        match &self.ending {
            Ending::Any => State::Ending(0),
            Ending::Near(dfa) => State::Ending(dfa.initial_state()),
        }
    }
}

impl Automaton for Terms {
    type State = State;

    fn start(&self) -> State {
        if self.before.is_empty() { self.behind() } else { State::Before(0) }
    }

    fn is_match(&self, state: &State) -> bool {
        match (state, &self.ending) {
            (State::Ending(_), Ending::Any) => true,
            (State::Ending(state), Ending::Near(dfa)) => {
                matches!(dfa.distance(*state), Distance::Exact(_))
            }
            _ => false,
        }
    }

    fn can_match(&self, state: &State) -> bool {
        match (state, &self.ending) {
            (State::Lost, _) => false,
            (State::Ending(state), Ending::Near(_)) => *state != levenshtein_automata::SINK_STATE,
            _ => true,
        }
    }

    fn accept(&self, state: &State, byte: u8) -> State {
        match (*state, &self.ending) {
            (State::Before(right), _) if self.before.get(right) == Some(&byte) => {
                if right + 1 == self.before.len() {
                    self.behind()
                } else {
                    State::Before(right + 1)
                }
            }
            (State::Ending(state), Ending::Any) => State::Ending(state),
            (State::Ending(state), Ending::Near(dfa)) => State::Ending(dfa.transition(state, byte)),
            _ => State::Lost,
        }
    }
}
