//! One pass over the documents of tickets, for what only they know: the order by a value, and the facets.

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::DocAddress;
use tantivy::columnar::ColumnValues;

use super::coded;
use super::evaluate::Scope;
use super::schema::column;
use super::shard::{Named, Shard};
use super::ticket_set::TicketSet;
use super::top::{Ranked, Top};
use crate::port::{Direction, Facet, FacetCounts, Question, Rank, Reader, Sort, SortKey};

/// What a pass found.
pub(super) struct Passed {
    /// The first results, where the order is by a value.
    pub(super) top: Vec<Ranked<DocAddress>>,
    /// The facets that were asked for.
    pub(super) facets: Vec<(Facet, FacetCounts)>,
}

/// Most values of one facet that are answered, the most frequent ones.
const FACET_VALUES_MAX: usize = 100;

/// Looks at the document of every ticket in `found`.
pub(super) fn pass(
    scope: &Scope<'_>,
    found: &TicketSet,
    question: &Question,
) -> tantivy::Result<Passed> {
    let public = matches!(question.reader, Reader::Customer(_));
    let shown = |facet: &Facet| !public || facet.is_public();
    let facets: Vec<Facet> = question.facets.iter().copied().filter(shown).collect();
    let order = match question.sort {
        Sort::By(key, direction) => Some((key, direction)),
        Sort::Relevance => None,
    };
    let parts = scope.shards.map(|number, shard| {
        let order = order.map(|order| Order::open(shard, order, public)).transpose()?;
        let mut tally = Tally::open(shard, &facets, public)?;
        let mut top = Top::new(question.size + 1, question.after);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        shard.each_ticket(found, |ticket, document, row| {
            if let Some(order) = &order {
                let rank = Rank { key: order.key(row), ticket };
                top.offer(rank, DocAddress::new(number, document));
            }
            tally.count(row);
        })?;
        Ok((top, tally.finish()?))
    })?;
    let mut top = Top::new(question.size + 1, question.after);
    let mut counts: BTreeMap<Facet, BTreeMap<String, u64>> = BTreeMap::new();
    for (part, tally) in parts {
        top.add(part);
        for (facet, value, count) in tally {
            *counts.entry(facet).or_default().entry(value).or_default() += count;
        }
    }
    let counted = |facet: &Facet| (*facet, most_frequent(counts.remove(facet).unwrap_or_default()));
    Ok(Passed { top: top.finish(), facets: question.facets.iter().map(counted).collect() })
}

fn most_frequent(counts: BTreeMap<String, u64>) -> FacetCounts {
    let mut counts: FacetCounts = counts.into_iter().collect();
    counts.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    counts.truncate(FACET_VALUES_MAX);
    counts
}

/// The order of one segment's tickets.
struct Order {
    values: Values,
    sign: i64,
}

enum Values {
    Time(Arc<dyn ColumnValues<i64>>),
    Coded(Arc<dyn ColumnValues<u64>>),
}

impl Order {
    fn open(
        shard: &Shard<'_>,
        (key, direction): (SortKey, Direction),
        public: bool,
    ) -> tantivy::Result<Self> {
        let time =
            |name| -> tantivy::Result<_> { Ok(Values::Time(shard.column::<i64>(name)?.values)) };
        let values = match key {
            SortKey::Created => time(column::CREATED)?,
            SortKey::Updated if public => time(column::PUBLIC_UPDATED)?,
            SortKey::Updated => time(column::UPDATED)?,
            SortKey::Priority => Values::Coded(shard.column(column::CODED)?.values),
        };
        let sign = match direction {
            Direction::Ascending => -1,
            Direction::Descending => 1,
        };
        Ok(Self { values, sign })
    }

    fn key(&self, row: u32) -> i64 {
        let value = match &self.values {
            Values::Time(values) => values.get_val(row),
            Values::Coded(values) => coded::priority(values.get_val(row)),
        };
        value.saturating_mul(self.sign)
    }
}

/// The counts of one segment's tickets.
struct Tally {
    public: bool,
    coded: Arc<dyn ColumnValues<u64>>,
    small: Vec<(Facet, [u64; coded::VALUES])>,
    named: Vec<(Facet, Named, Vec<u64>)>,
}

impl Tally {
    fn open(shard: &Shard<'_>, facets: &[Facet], public: bool) -> tantivy::Result<Self> {
        let coded = shard.column(column::CODED)?.values;
        let mut tally = Self { public, coded, small: Vec::new(), named: Vec::new() };
        for facet in facets {
            let name = match facet {
                Facet::Tag => column::TAG,
                Facet::Group => column::GROUP,
                Facet::Assignee => column::ASSIGNEE,
                _ => {
                    tally.small.push((*facet, [0; coded::VALUES]));
                    continue;
                }
            };
            if let Some(named) = shard.named(name)? {
                let counts = vec![0; named.column.num_terms()];
                tally.named.push((*facet, named, counts));
            }
        }
        Ok(tally)
    }

    fn count(&mut self, row: u32) {
        if !self.small.is_empty() {
            let coded = self.coded.get_val(row);
            for (facet, counts) in &mut self.small {
                if let Some(value) = coded::value(coded, *facet, self.public) {
                    counts[value] += 1;
                }
            }
        }
        for (_, named, counts) in &mut self.named {
            for value in named.ordinals.of_row(row) {
                counts[*value as usize] += 1;
            }
        }
    }

    fn finish(self) -> tantivy::Result<Vec<(Facet, String, u64)>> {
        let mut found = Vec::new();
        for (facet, counts) in self.small {
            let named = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            found.extend(named.filter_map(|(value, count)| {
                Some((facet, coded::name(facet, value)?.to_owned(), *count))
            }));
        }
        for (facet, named, counts) in self.named {
            let counted = (0_u64..).zip(counts).filter(|(_, count)| *count > 0);
            let (values_found, counts): (Vec<u64>, Vec<u64>) = counted.unzip();
            let mut counts = counts.into_iter();
            named.column.dictionary().sorted_ords_to_term_cb(&values_found, |name| {
                let name = String::from_utf8_lossy(name).into_owned();
                found.extend(counts.next().map(|count| (facet, name, count)));
            })?;
        }
        Ok(found)
    }
}
