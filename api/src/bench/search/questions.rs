//! Questions to the index, each confirmed by the view as `GET /v1/search` has it confirmed.

use std::sync::Arc;

use docket_projections::query::Viewer;
use docket_projections::store::ViewStore;
use docket_schemas::Tenant;
use docket_search::port::{Direction, Facet, Question, Reader, SearchIndex, Sort, SortKey};
use docket_search::query::parse;

use super::corpus::busy;
use super::times::{Answered, Times};
use super::words::{CHINESE, CHINESE_SINGLE, Dice, ENGLISH, Words};
use crate::wire::WireError;

/// Results of a page.
const PAGE: usize = 50;
/// Where the questions begin; every way asks the same ones.
const SEED: u64 = 7;

type Make = fn(&Words, &mut Dice) -> String;

/// What people look for.
pub(super) const KINDS: [(&str, Make); 17] = [
    ("English word", |words, dice| words.english(dice.zipf(ENGLISH)).to_owned()),
    ("English word of the 50 commonest", |words, dice| words.english(dice.below(50)).to_owned()),
    ("two English words", |words, dice| {
        format!("{} {}", words.english(dice.zipf(ENGLISH)), words.english(dice.zipf(ENGLISH)))
    }),
    ("either of two English words", |words, dice| {
        format!("{} OR {}", words.english(dice.zipf(ENGLISH)), words.english(dice.zipf(ENGLISH)))
    }),
    ("English phrase", |words, dice| {
        format!("\"{} {}\"", words.english(dice.zipf(500)), words.english(dice.zipf(500)))
    }),
    ("English prefix", |words, dice| format!("{}*", words.english(50 + dice.zipf(ENGLISH - 50)))),
    ("English word without another", |words, dice| {
        format!("{} -{}", words.english(dice.zipf(ENGLISH)), words.english(dice.below(50)))
    }),
    ("misspelt English word", |words, dice| format!("{}n~1", words.english(100 + dice.below(900)))),
    ("Chinese character", |words, dice| words.chinese(dice.below(CHINESE_SINGLE)).to_owned()),
    ("Chinese word", |words, dice| {
        words.chinese(CHINESE_SINGLE + dice.zipf(CHINESE - CHINESE_SINGLE)).to_owned()
    }),
    ("Chinese word of the 50 commonest", |words, dice| {
        words.chinese(CHINESE_SINGLE + dice.below(50)).to_owned()
    }),
    ("two Chinese words", |words, dice| {
        format!("{} {}", words.chinese(dice.zipf(CHINESE)), words.chinese(dice.zipf(CHINESE)))
    }),
    ("Chinese words side by side", |words, dice| {
        format!("{}{}", words.chinese(dice.zipf(CHINESE)), words.chinese(dice.zipf(CHINESE)))
    }),
    ("English word and filters", |words, dice| {
        format!("{} status:open priority:high", words.english(dice.zipf(ENGLISH)))
    }),
    ("two filters", |_, dice| format!("status:open group:\"group {}\"", dice.below(40))),
    ("one filter", |_, _| "status:open".to_owned()),
    ("all without a word", |words, dice| format!("-{}", words.english(dice.zipf(ENGLISH)))),
];

/// In which ways each of them is asked.
struct Way {
    name: &'static str,
    reader: Reader,
    sort: Sort,
    facets: &'static [Facet],
}

fn ways() -> [Way; 4] {
    let staff = Reader::Staff(None);
    let newest = Sort::By(SortKey::Updated, Direction::Descending);
    [
        Way { name: "best first", reader: staff, sort: Sort::Relevance, facets: &[] },
        Way { name: "newest first", reader: staff, sort: newest, facets: &[] },
        Way {
            name: "with facets",
            reader: staff,
            sort: Sort::Relevance,
            facets: &[Facet::Status, Facet::Tag],
        },
        Way {
            name: "a customer",
            reader: Reader::Customer(busy()),
            sort: Sort::Relevance,
            facets: &[],
        },
    ]
}

/// The questions of a kind, the same ones each time.
pub(super) fn asked(words: &Words, make: Make, count: u32) -> impl Iterator<Item = String> + '_ {
    let mut dice = Dice(SEED);
    (0..count).map(move |_| make(words, &mut dice))
}

/// Whom the questions go to.
pub(super) struct Asking {
    pub(super) index: Arc<dyn SearchIndex>,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) tenant: Tenant,
    pub(super) words: Arc<Words>,
    /// Questions of each kind, each asked in every way.
    pub(super) asked: u32,
}

impl Asking {
    /// How long searches take.
    pub(super) async fn searches(&self) -> Result<Vec<Answered>, WireError> {
        let mut answered = Vec::new();
        for (kind, make) in KINDS {
            for way in ways() {
                let (mut times, mut found) = (Times::default(), 0);
                for text in asked(&self.words, make, self.asked) {
                    found += times.take(self.search(&text, &way)).await?;
                }
                let kind = format!("{kind}, {}", way.name);
                answered.push(times.answered(kind, found / u64::from(self.asked)));
            }
        }
        Ok(answered)
    }

    /// One search; answers how many tickets there are.
    async fn search(&self, text: &str, way: &Way) -> Result<u64, WireError> {
        let question = Question {
            tenant: self.tenant.clone(),
            reader: way.reader,
            query: parse(text).map_err(|error| format!("{text}: {error:?}"))?,
            sort: way.sort,
            after: None,
            rarity: None,
            size: PAGE,
            facets: way.facets.to_vec(),
        };
        let found = self.index.search(question).await?;
        let viewer = match way.reader {
            Reader::Staff(_) => Viewer::Staff,
            Reader::Customer(person) => Viewer::Customer(person),
        };
        let ids: Vec<_> = found.hits.iter().map(|hit| hit.ticket).collect();
        let seen = self.store.tickets(&self.tenant, viewer, &ids).await?;
        if seen.len() == ids.len() {
            Ok(found.count)
        } else {
            Err(format!("{text}: the view confirms {} of {} tickets", seen.len(), ids.len()).into())
        }
    }
}
