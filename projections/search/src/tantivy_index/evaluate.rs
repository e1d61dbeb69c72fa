//! A query as sets of tickets: texts give one, filters another, and the answer is algebra on them.

use tantivy::query::{AllQuery, BooleanQuery, Occur, Query};

use super::facts::Asking;
use super::schema::Fields;
use super::shard::{Cost, Few, Shards, Shown};
use super::statistics::Statistics;
use super::text_query::{self, TextGroups, Wording, joined};
use super::ticket_set::TicketSet;
use crate::port::{Question, Reader, Sort};
use crate::query::{Clause, Filter, Group, Literal, Text};

/// What a question may look at.
pub(super) struct Scope<'a> {
    pub(super) shards: &'a Shards<'a>,
    pub(super) asking: Asking<'a>,
    wording: Wording<'a>,
    /// The tickets that a customer may know of; none for staff, who may know of all.
    pub(super) own: Option<TicketSet>,
    /// What scores are computed from.
    pub(super) statistics: Statistics<'a>,
    /// Whether the best come first.
    ranked: bool,
}

/// One way to satisfy a query: its text within one document, everything else on the ticket.
pub(super) struct Branch {
    /// What its text looks for; none where it has none.
    pub(super) text: Option<Box<dyn Query>>,
    /// By segment the documents that have this text, whatever else the ticket has to be.
    pub(super) documents: Vec<Few>,
    /// The tickets that satisfy it.
    pub(super) tickets: TicketSet,
}

/// The clauses of a branch, sorted by how they are answered.
#[derive(Default, Clone)]
struct Parts<'q> {
    texts: TextGroups<'q>,
    tickets: Vec<&'q [Clause]>,
}

impl<'a> Scope<'a> {
    /// The scope of a question.
    pub(super) fn open(
        shards: &'a Shards<'a>,
        fields: Fields,
        question: &'a Question,
    ) -> tantivy::Result<Self> {
        let asking = Asking { fields, tenant: &question.tenant, reader: question.reader };
        let own = match asking.reader {
            Reader::Staff(_) => None,
            Reader::Customer(_) => Some(shards.tickets(&*asking.all(), |_| true)?),
        };
        let statistics = Statistics::of(shards.searcher, asking.fields, question)?;
        let wording = Wording::of(fields, question);
        let ranked = matches!(question.sort, Sort::Relevance);
        Ok(Self { shards, asking, wording, own, statistics, ranked })
    }

    /// Whether the answer may come from a document.
    pub(super) fn covers(&self, shown: Shown) -> bool {
        self.own.as_ref().is_none_or(|own| shown.public && own.has(shown.ticket))
    }

    /// Every way to satisfy the groups, with the tickets that do.
    pub(super) fn branches(&self, groups: &[Group]) -> tantivy::Result<Vec<Branch>> {
        let mut branches = vec![Parts::default()];
        for group in groups {
            if group.is_mixed() {
                let ways = branches.iter().flat_map(|branch| {
                    group.any.iter().map(|clause| {
                        let mut way = branch.clone();
                        way.require(std::slice::from_ref(clause));
                        way
                    })
                });
                branches = ways.collect();
            } else {
                branches.iter_mut().for_each(|branch| branch.require(&group.any));
            }
        }
        let ways = branches.len();
        branches.iter().map(|parts| self.branch(parts, ways)).collect()
    }

    /// One of so many branches.
    fn branch(&self, parts: &Parts<'_>, ways: usize) -> tantivy::Result<Branch> {
        let text = (!parts.texts.is_empty()).then(|| self.wording.groups(&parts.texts));
        let (mut tickets, documents) = match &text {
            Some(query) => {
                let covers = |shown| self.covers(shown);
                let scores = self.ranked.then_some(&self.statistics);
                let (set, few) =
                    self.shards.documents(&**query, (parts.cost(), ways), scores, covers)?;
                (Some(set), few)
            }
            None => (None, Vec::new()),
        };
        let (simple, other): (Vec<_>, Vec<_>) =
            parts.tickets.iter().partition(|clauses| clauses.iter().all(|c| filter(c).is_some()));
        // What is known to be required first, so that what must be missing is taken from few.
        if !simple.is_empty() || tickets.is_none() {
            let passed = self.shards.tickets(&*self.filters(&simple), |_| true)?;
            tickets = Some(both(tickets, passed));
        }
        let mut tickets = tickets.unwrap_or_default();
        for clauses in other {
            if let [Clause { negated: true, literal: Literal::Text(texts), .. }] = clauses {
                tickets.remove(&self.texts(texts)?);
                continue;
            }
            let mut any = TicketSet::default();
            for clause in *clauses {
                any.add(self.clause(clause)?);
            }
            tickets.keep(&any);
        }
        Ok(Branch { text, documents, tickets })
    }

    /// The tickets that satisfy one clause.
    fn clause(&self, clause: &Clause) -> tantivy::Result<TicketSet> {
        let fitting = match &clause.literal {
            Literal::Filter(filter) => {
                let query: Vec<(Occur, Box<dyn Query>)> = vec![
                    (Occur::Must, self.asking.all()),
                    (Occur::Must, self.asking.filter(filter)),
                ];
                self.shards.tickets(&BooleanQuery::new(query), |_| true)?
            }
            Literal::Text(texts) => self.texts(texts)?,
        };
        if !clause.negated {
            return Ok(fitting);
        }
        let mut rest = match &self.own {
            Some(own) => own.clone(),
            None => self.shards.tickets(&*self.asking.all(), |_| true)?,
        };
        rest.remove(&fitting);
        Ok(rest)
    }

    fn texts(&self, texts: &[Text]) -> tantivy::Result<TicketSet> {
        let query = self.wording.all(texts);
        self.shards.tickets(&*query, |shown| self.covers(shown))
    }

    /// Groups of filters, all of which hold, as one query on tickets.
    fn filters(&self, groups: &[&&[Clause]]) -> Box<dyn Query> {
        // A filter by value names the tenant itself; what is left out, or compared with a date, does not.
        let by_value = |group: &&&[Clause]| match group {
            [clause] => {
                let dated = matches!(filter(clause), Some(Filter::Created(_) | Filter::Updated(_)));
                !clause.negated && !dated
            }
            _ => false,
        };
        let scoped = self.own.is_none() && groups.iter().copied().any(|group| by_value(&group));
        let mut all = Vec::new();
        if !scoped {
            all.push((Occur::Must, self.asking.all()));
        }
        for group in groups {
            let any: Vec<_> =
                group.iter().filter_map(|clause| Some((clause, filter(clause)?))).collect();
            match any.as_slice() {
                [(clause, filter)] if clause.negated => {
                    all.push((Occur::MustNot, self.asking.filter(filter)));
                }
                any => {
                    let any = any.iter().map(|(clause, filter)| {
                        let query = self.asking.filter(filter);
                        if clause.negated { except(query) } else { query }
                    });
                    all.push((Occur::Must, joined(Occur::Should, any.collect())));
                }
            }
        }
        Box::new(BooleanQuery::new(all))
    }
}

impl<'q> Parts<'q> {
    fn cost(&self) -> Cost {
        let mut texts = self.texts.iter().flatten().copied().flatten();
        if texts.any(text_query::compares_positions) { Cost::Positions } else { Cost::Terms }
    }

    fn require(&mut self, any: &'q [Clause]) {
        let texts: Vec<_> = any.iter().filter_map(Clause::wanted_text).collect();
        if texts.is_empty() { self.tickets.push(any) } else { self.texts.push(texts) }
    }
}

fn filter(clause: &Clause) -> Option<&Filter> {
    match &clause.literal {
        Literal::Filter(filter) => Some(filter),
        Literal::Text(_) => None,
    }
}

fn except(query: Box<dyn Query>) -> Box<dyn Query> {
    let all: Box<dyn Query> = Box::new(AllQuery);
    Box::new(BooleanQuery::new(vec![(Occur::Must, all), (Occur::MustNot, query)]))
}

fn both(tickets: Option<TicketSet>, other: TicketSet) -> TicketSet {
    match tickets {
        Some(mut tickets) => {
            tickets.keep(&other);
            tickets
        }
        None => other,
    }
}
