//! The parameters of a search beside its query: order, facets, and the cursors of its pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_schemas::canonical::Fields;
use docket_schemas::{PersonId, Tenant};
use docket_search::document::Place;
use docket_search::port::{Direction, Facet, Rank, Rarity, Reader, Sort, SortKey};
use docket_search::query::Query as Asked;

use crate::http::place_cursor::PlaceCursor;
use crate::problem::{Code, Problem};

/// The order that `sort` names. Where there is none: the best first, or what changed last for a query without words.
pub(super) fn sort(text: Option<&str>, asked: &Asked) -> Result<Sort, Problem> {
    let Some(text) = text else {
        let worded = asked.wanted_texts().next().is_some();
        return Ok(if worded {
            Sort::Relevance
        } else {
            Sort::By(SortKey::Updated, Direction::Descending)
        });
    };
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    match name {
        "relevance" if direction == Direction::Ascending => Ok(Sort::Relevance),
        "created_at" => Ok(Sort::By(SortKey::Created, direction)),
        "updated_at" => Ok(Sort::By(SortKey::Updated, direction)),
        "priority" => Ok(Sort::By(SortKey::Priority, direction)),
        _ => Err(Problem::invalid(
            "sort",
            "is not relevance, nor created_at, updated_at or priority, each with or without `-`",
        )),
    }
}

/// The facets that are named, with commas between them.
pub(super) fn facets(text: Option<&str>) -> Result<Vec<Facet>, Problem> {
    let names = text.unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let mut facets = Vec::new();
    for name in names {
        let known = Facet::ALL.into_iter().find(|facet| facet.as_str() == name);
        let Some(facet) = known else {
            let known = Facet::ALL.map(Facet::as_str).join(", ");
            return Err(Problem::invalid(
                "facets",
                format!("names a facet that is none of {known}"),
            ));
        };
        if !facets.contains(&facet) {
            facets.push(facet);
        }
    }
    Ok(facets)
}

/// The cursors of a search, good for the same search and nothing else.
pub(super) struct SearchCursors(PlaceCursor);

impl SearchCursors {
    const FORMAT: u8 = 3;
    const DETAIL: &str = "a page's cursor goes on with the query and the order of its page";

    /// Those of one search.
    pub(super) fn of(tenant: &Tenant, reader: Reader, query: &str, sort: Sort) -> Self {
        let who = match reader {
            Reader::Staff(_) => None,
            Reader::Customer(person) => Some(person),
        };
        let order = match sort {
            Sort::Relevance => [u8::MAX; 2],
            Sort::By(key, direction) => [key as u8, direction as u8],
        };
        let question = Fields::new("docket/search/1")
            .field(tenant.as_str())
            .optional(who.as_ref().map(PersonId::as_bytes))
            .field(query)
            .field(order);
        Self(PlaceCursor::bound(Self::FORMAT, question, Self::DETAIL))
    }

    /// The cursor behind a result, with what scores were computed from where that matters.
    pub(super) fn write(&self, rank: Rank, rarity: Option<&Rarity>) -> String {
        let place = self.0.write(rank.key, rank.ticket.number().to_be_bytes());
        let Some(rarity) = rarity else { return place };
        let mut bytes = rarity.documents.to_be_bytes().to_vec();
        for (word, frequency) in &rarity.frequencies {
            bytes.extend_from_slice(&word.to_be_bytes());
            bytes.extend_from_slice(&frequency.to_be_bytes());
        }
        place + &URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The result that a cursor stands behind: 400 where it is none of this search's.
    pub(super) fn read(&self, text: &str) -> Result<(Rank, Option<Rarity>), Problem> {
        // Every place is as long as any other.
        let length = self.0.write(0, [0; size_of::<u64>()]).len();
        let (place, rarity) = match text.split_at_checked(length) {
            None | Some((_, "")) => (text, None),
            Some((place, rarity)) => {
                let malformed = || Problem::new(Code::CursorMalformed).detail(Self::DETAIL);
                (place, Some(read_rarity(rarity).ok_or_else(malformed)?))
            }
        };
        let (key, ticket) = self.0.read(place)?;
        Ok((Rank { key, ticket: Place::from_number(u64::from_be_bytes(ticket)) }, rarity))
    }
}

fn read_rarity(text: &str) -> Option<Rarity> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (documents, rest) = bytes.split_first_chunk()?;
    let (numbers, []) = rest.as_chunks() else { return None };
    let (words, []) = numbers.as_chunks::<2>() else { return None };
    let number = |bytes: [u8; size_of::<u32>()]| u32::from_be_bytes(bytes);
    let frequencies = words.iter().map(|[word, frequency]| (number(*word), number(*frequency)));
    Some(Rarity { documents: u64::from_be_bytes(*documents), frequencies: frequencies.collect() })
}

#[cfg(test)]
mod tests {
    use docket_search::query::parse;

    use super::*;

    #[test]
    fn a_cursor_goes_on_with_its_own_search_alone() {
        let tenant: Tenant = "default".parse().unwrap();
        let of = |query, sort| SearchCursors::of(&tenant, Reader::Staff(None), query, sort);
        let rank = Rank { key: -7, ticket: Place::from_number(42) };
        let text = of("fire", Sort::Relevance).write(rank, None);
        assert_eq!(of("fire", Sort::Relevance).read(&text).unwrap(), (rank, None));
        let by = Sort::By(SortKey::Updated, Direction::Descending);
        for other in [of("smoke", Sort::Relevance), of("fire", by)] {
            assert_eq!(other.read(&text).unwrap_err().code(), Code::CursorMalformed);
        }
        for wrong in ["", "Aw", &text[1..], &format!("{text}AA"), "💥"] {
            let refused = of("fire", Sort::Relevance).read(wrong).unwrap_err();
            assert_eq!(refused.code(), Code::CursorMalformed, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_by_relevance_says_what_scores_were_computed_from() {
        let tenant: Tenant = "default".parse().unwrap();
        let cursors = SearchCursors::of(&tenant, Reader::Staff(None), "fire", Sort::Relevance);
        let rank = Rank { key: 7, ticket: Place::from_number(42) };
        let frequencies = [(3, 9), (u32::MAX, 0)].into_iter().collect();
        let rarity = Rarity { documents: 1 << 40, frequencies };
        let text = cursors.write(rank, Some(&rarity));
        assert_eq!(cursors.read(&text).unwrap(), (rank, Some(rarity)));
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        for wrong in ["💥", &text[..text.len() - 1], &format!("{text}AA"), &format!("{text}.")] {
            assert_eq!(cursors.read(wrong).unwrap_err().code(), Code::CursorMalformed, "{wrong}");
        }
    }

    #[test]
    fn an_order_without_words_is_by_time() {
        let by_time = Sort::By(SortKey::Updated, Direction::Descending);
        let (words, filters) = (parse("fire -smoke").unwrap(), parse("status:open -fire").unwrap());
        assert_eq!(sort(None, &words).unwrap(), Sort::Relevance);
        assert_eq!(sort(None, &filters).unwrap(), by_time);
        assert_eq!(sort(Some("-updated_at"), &words).unwrap(), by_time);
        for wrong in ["", "subject", "-relevance", "--updated_at"] {
            assert_eq!(sort(Some(wrong), &words).unwrap_err().code(), Code::Invalid, "{wrong}");
        }
    }

    #[test]
    fn facets_are_known_names_between_commas() {
        assert_eq!(facets(None).unwrap(), []);
        assert_eq!(facets(Some("tag,status,tag")).unwrap(), [Facet::Tag, Facet::Status]);
        assert_eq!(facets(Some("subject")).unwrap_err().code(), Code::Invalid);
    }
}
