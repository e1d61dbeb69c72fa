//! The index against a straightforward reading of every text.

use std::collections::BTreeMap;

use docket_schemas::PersonId;
use proptest::prelude::*;

use super::world::{Indexed, SORTS, STAFF, known, person, question, random};
use crate::document::{TicketDocument, TicketWrite};
use crate::near::near;
use crate::port::{Direction, Question, Rank, Reader, Sort, SortKey};
use crate::query::{Clause, Filter, Literal, Person, Query, Span, Text};
use crate::text::{stem, tokens};

/// Whether a text holds a piece of text.
fn holds(text: &str, wanted: &Text) -> bool {
    let tokens = tokens(text);
    let any = |fits: &dyn Fn(&str) -> bool| tokens.iter().any(|token| fits(&token.text));
    match wanted {
        Text::Word(word) => any(&|token| {
            token == word || stem(word).is_some_and(|s| stem(token).is_some_and(|t| t == s))
        }),
        Text::Prefix(prefix) => any(&|token| token.starts_with(prefix)),
        Text::Fuzzy(word, distance) => {
            let dfa = near(word, *distance);
            any(&|token| matches!(dfa.eval(token), levenshtein_automata::Distance::Exact(_)))
        }
        Text::Phrase(phrase) => tokens.iter().any(|first| {
            phrase.iter().all(|(offset, text)| {
                tokens
                    .iter()
                    .any(|token| token.position == first.position + offset && token.text == *text)
            })
        }),
    }
}

/// What a reader may look at: a ticket's texts, one by one.
fn texts(write: &TicketWrite, reader: Reader) -> Vec<&str> {
    let customer = matches!(reader, Reader::Customer(_));
    let messages = write.messages.iter().filter(|message| message.public || !customer);
    let bodies = messages.filter_map(|message| message.body.as_deref());
    write.ticket.subject.as_deref().into_iter().chain(bodies).collect()
}

fn is_own(ticket: &TicketDocument, reader: Reader) -> bool {
    match reader {
        Reader::Staff(_) => true,
        Reader::Customer(person) => {
            ticket.requester == person || ticket.followers.contains(&person)
        }
    }
}

fn passes(ticket: &TicketDocument, filter: &Filter, reader: Reader) -> bool {
    let customer = matches!(reader, Reader::Customer(_));
    let is = |wanted: &Person, person: Option<PersonId>| match wanted {
        Person::Me => reader.person().is_some() && person == reader.person(),
        Person::None => person.is_none(),
        Person::Known(wanted) => wanted.is_some() && person == *wanted,
        Person::Named(_) => false,
    };
    let within = |span: &Span, at| span.from <= at && span.until.is_none_or(|until| at < until);
    match filter {
        Filter::Status(status) if customer => ticket.public_status() == *status,
        Filter::Status(status) => ticket.status == *status,
        Filter::Priority(priority) => ticket.priority == *priority,
        Filter::Type(value) => ticket.ticket_type == *value,
        Filter::Tag(_) | Filter::Group(_) | Filter::Kind(_) if customer => false,
        Filter::Tag(Some(tag)) => ticket.tags.contains(tag),
        Filter::Tag(None) => ticket.tags.is_empty(),
        Filter::Group(group) => ticket.group == *group,
        Filter::Kind(kind) => ticket.kind == *kind,
        Filter::Channel(channel) => ticket.channel == *channel,
        Filter::Assignee(wanted) => is(wanted, ticket.assignee),
        Filter::Requester(wanted) => is(wanted, Some(ticket.requester)),
        Filter::Created(span) => within(span, ticket.created_at),
        Filter::Updated(span) if customer => within(span, ticket.public_updated_at),
        Filter::Updated(span) => within(span, ticket.updated_at),
    }
}

/// Whether a ticket fits: there is one text for which every group has a clause that holds.
fn fits(write: &TicketWrite, query: &Query, reader: Reader) -> bool {
    let texts = texts(write, reader);
    let holds_in = |text: &str, wanted: &[Text]| wanted.iter().all(|piece| holds(text, piece));
    let clause = |clause: &Clause, within: Option<&str>| match (&clause.literal, clause.negated) {
        (Literal::Filter(filter), negated) => passes(&write.ticket, filter, reader) != negated,
        (Literal::Text(wanted), true) => !texts.iter().any(|text| holds_in(text, wanted)),
        (Literal::Text(wanted), false) => within.is_some_and(|text| holds_in(text, wanted)),
    };
    let all = |within| query.groups.iter().all(|group| group.any.iter().any(|c| clause(c, within)));
    is_own(&write.ticket, reader) && (all(None) || texts.iter().any(|text| all(Some(text))))
}

fn key(ticket: &TicketDocument, key: SortKey, reader: Reader) -> i64 {
    match key {
        SortKey::Created => ticket.created_at.micros(),
        SortKey::Updated if matches!(reader, Reader::Customer(_)) => {
            ticket.public_updated_at.micros()
        }
        SortKey::Updated => ticket.updated_at.micros(),
        SortKey::Priority => ticket.priority as i64,
    }
}

async fn check(tickets: &[TicketWrite], query: &str, reader: Reader) {
    let indexed = Indexed::of(tickets.to_vec()).await;
    let parsed = known(query);
    let fitting: Vec<&TicketWrite> =
        tickets.iter().filter(|write| fits(write, &parsed, reader)).collect();
    let mut expected: Vec<u64> = fitting.iter().map(|write| write.number()).collect();
    assert_eq!(indexed.finds(reader, query).await, expected, "{query} for {reader:?}");
    for sort in SORTS {
        let whole = Question { sort, ..question(reader, query) };
        let found = indexed.ask(whole.clone()).await;
        let order: Vec<u64> = found.hits.iter().map(|hit| hit.rank.ticket.number()).collect();
        if let Sort::By(by, direction) = sort {
            let sign = if direction == Direction::Descending { -1 } else { 1 };
            let mut sorted = fitting.clone();
            sorted.sort_by_key(|write| {
                (sign * key(&write.ticket, by, reader), std::cmp::Reverse(write.number()))
            });
            let sorted: Vec<u64> = sorted.iter().map(|write| write.number()).collect();
            assert_eq!(order, sorted, "{query} by {sort:?}");
        }
        assert!(!found.more);
        // Page by page it is the same walk.
        let (mut walked, mut after): (Vec<u64>, Option<Rank>) = (Vec::new(), None);
        let mut rarity = None;
        loop {
            let page = Question { size: 2, after, rarity: rarity.take(), ..whole.clone() };
            let page = indexed.ask(page).await;
            rarity.clone_from(&page.rarity);
            assert_eq!(page.count, found.count);
            walked.extend(page.hits.iter().map(|hit| hit.rank.ticket.number()));
            after = page.hits.last().map(|hit| hit.rank);
            if !page.more {
                break;
            }
        }
        assert_eq!(walked, order, "{query} by {sort:?} in pages");
        expected.sort_unstable();
    }
    facets(&indexed, &fitting, query, reader).await;
}

async fn facets(indexed: &Indexed, fitting: &[&TicketWrite], query: &str, reader: Reader) {
    let found = indexed.ask(question(reader, query)).await;
    let customer = matches!(reader, Reader::Customer(_));
    let count = |of: &dyn Fn(&TicketDocument) -> Vec<String>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for value in fitting.iter().flat_map(|write| of(&write.ticket)) {
            *counts.entry(value).or_default() += 1;
        }
        counts
    };
    for (facet, counts) in found.facets {
        let expected = match facet.as_str() {
            _ if customer && !facet.is_public() => BTreeMap::new(),
            "status" if customer => count(&|ticket| vec![ticket.public_status().to_string()]),
            "status" => count(&|ticket| vec![ticket.status.to_string()]),
            "priority" => count(&|ticket| vec![ticket.priority.to_string()]),
            "type" => count(&|ticket| ticket.ticket_type.iter().map(ToString::to_string).collect()),
            "kind" => count(&|ticket| vec![ticket.kind.to_string()]),
            "channel" => count(&|ticket| vec![ticket.channel.to_string()]),
            "tag" => count(&|ticket| ticket.tags.clone()),
            "group" => count(&|ticket| ticket.group.iter().cloned().collect()),
            _ => count(&|ticket| ticket.assignee.iter().map(ToString::to_string).collect()),
        };
        assert_eq!(
            counts.into_iter().collect::<BTreeMap<_, _>>(),
            expected,
            "{facet:?} of {query}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(60)))]
    #[test]
    fn the_index_finds_what_a_reader_of_every_text_finds(
        tickets in random::tickets(),
        query in random::query(),
        who in 0..4_u128,
    ) {
        let reader = if who == 0 { STAFF } else { Reader::Customer(person(who)) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(check(&tickets, &query, reader));
    }
}
