//! What of a text a query finds, shown as a part of the text with the places in it.

use levenshtein_automata::{DFA, Distance};

use crate::query::{Query, Text};
use crate::tantivy_index::text_query::near;
use crate::text::{Token, stem, tokens};

/// Most characters of a text that are shown.
pub const SNIPPET_CHARS_MAX: usize = 200;
/// Characters shown before the first place, where there is room.
const LEAD_CHARS: usize = 40;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// At most [`SNIPPET_CHARS_MAX`] characters of it.
    pub text: String,
    /// Where the query is found, in Unicode characters of `text`: the first, and the one behind the last. In order, apart.
    pub ranges: Vec<[usize; 2]>,
}

/// Finds a query's words in texts.
pub struct Highlighter {
    wanted: Vec<Wanted>,
}

enum Wanted {
    Word { word: String, stem: Option<String> },
    Phrase(Vec<(usize, String)>),
    Prefix(String),
    Near(Box<DFA>),
}

impl Highlighter {
    /// Looks for all that a query wants, not for what must be missing.
    #[must_use]
    pub fn of(query: &Query) -> Self {
        let wanted = query.wanted_texts().map(|text| match text {
            Text::Word(word) => {
                Wanted::Word { word: word.clone(), stem: stem(word).map(|stem| stem.into_owned()) }
            }
            Text::Phrase(tokens) => Wanted::Phrase(tokens.clone()),
            Text::Prefix(prefix) => Wanted::Prefix(prefix.clone()),
            Text::Fuzzy(word, distance) => Wanted::Near(Box::new(near(word, *distance))),
        });
        Self { wanted: wanted.collect() }
    }

    /// The part of a text in which most is found; none where nothing is.
    #[must_use]
    pub fn snippet(&self, text: &str) -> Option<Snippet> {
        let ranges = self.ranges(&tokens(text));
        let first = ranges.first()?;
        let length = text.chars().count();
        if length <= SNIPPET_CHARS_MAX {
            return Some(Snippet { text: text.to_owned(), ranges });
        }
        // The window that begins shortly before a place and holds the most of them; of equals the first.
        let window = |range: &[usize; 2]| {
            let start = range[0].saturating_sub(LEAD_CHARS).min(length - SNIPPET_CHARS_MAX);
            let end = start + SNIPPET_CHARS_MAX;
            let within = |range: &&[usize; 2]| range[0] >= start && range[1] <= end;
            (ranges.iter().filter(within).count(), start)
        };
        let mut best = window(first);
        for range in &ranges[1..] {
            let next = window(range);
            if next.0 > best.0 {
                best = next;
            }
        }
        let start = best.1;
        let end = start + SNIPPET_CHARS_MAX;
        let shown = ranges.iter().filter(|range| range[0] < end && range[1] > start);
        let shown = shown.map(|range| [range[0].max(start) - start, range[1].min(end) - start]);
        Some(Snippet {
            ranges: shown.collect(),
            text: text.chars().skip(start).take(SNIPPET_CHARS_MAX).collect(),
        })
    }

    /// Every place where something is found, in order, those that touch put together.
    fn ranges(&self, tokens: &[Token]) -> Vec<[usize; 2]> {
        let mut found = Vec::new();
        for wanted in &self.wanted {
            for (index, token) in tokens.iter().enumerate() {
                if let Some(end) = wanted.found(&tokens[index..]) {
                    found.push([token.start, end]);
                }
            }
        }
        found.sort_unstable();
        let mut ranges: Vec<[usize; 2]> = Vec::new();
        for range in found {
            match ranges.last_mut() {
                Some(last) if range[0] <= last[1] => last[1] = last[1].max(range[1]),
                _ => ranges.push(range),
            }
        }
        ranges
    }
}

impl Wanted {
    /// The end of what is found at the first of these tokens.
    fn found(&self, tokens: &[Token]) -> Option<usize> {
        let first = tokens.first()?;
        let is = |yes: bool| yes.then_some(first.end);
        match self {
            Self::Word { word, stem: wanted } => match (wanted, stem(&first.text)) {
                (Some(wanted), Some(found)) => is(*wanted == *found),
                _ => is(*word == first.text),
            },
            Self::Phrase(phrase) => phrase_end(phrase, tokens),
            Self::Prefix(prefix) => is(first.text.starts_with(prefix)),
            Self::Near(dfa) => is(matches!(dfa.eval(&first.text), Distance::Exact(_))),
        }
    }
}

fn phrase_end(phrase: &[(usize, String)], tokens: &[Token]) -> Option<usize> {
    let begin = tokens.first()?.position;
    let mut rest = tokens.iter();
    let mut end = 0;
    for (offset, text) in phrase {
        let token = rest.find(|token| token.position >= begin + offset)?;
        if token.position != begin + offset || token.text != *text {
            return None;
        }
        end = token.end;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::parse;

    /// The snippet with what is found in brackets.
    fn marked(query: &str, text: &str) -> Option<String> {
        let query = parse(query).expect("a query");
        let snippet = Highlighter::of(&query).snippet(text)?;
        let mut shown = String::new();
        for (place, character) in snippet.text.chars().enumerate() {
            if snippet.ranges.iter().any(|range| range[0] == place) {
                shown.push('[');
            }
            shown.push(character);
            if snippet.ranges.iter().any(|range| range[1] == place + 1) {
                shown.push(']');
            }
        }
        Some(shown)
    }

    #[track_caller]
    fn check(query: &str, text: &str, expected: &str) {
        assert_eq!(marked(query, text).as_deref(), Some(expected), "{query}");
    }

    #[test]
    fn what_is_found_is_marked() {
        check("printer", "Two PRINTERS, one printer", "Two [PRINTERS], one [printer]");
        check("\"on fire\"", "fire on fire", "fire [on fire]");
        check("打印机", "我的打印机坏了，打印，机", "我的[打印机]坏了，打印，机");
        check("打印机printer", "HP Printer 打印机", "HP [Printer] [打印机]");
        check("prin* wrod~1", "print word printing", "[print] [word] [printing]");
        check("cafe", "Le Café", "Le [Café]");
        check("ann@example.com", "mail <ann@example.com>!", "mail <[ann@example.com]>!");
        check("fire -smoke status:open OR printer", "smoke and fire", "smoke and [fire]");
        assert_eq!(marked("fire", "smoke"), None);
        assert_eq!(marked("status:open", "open"), None);
    }

    #[test]
    fn of_a_long_text_the_part_with_the_most_is_shown() {
        let text = format!(
            "{}fire {} fire and fire{}",
            "x ".repeat(300),
            "y ".repeat(300),
            " z".repeat(300)
        );
        let snippet = Highlighter::of(&parse("fire").expect("a query")).snippet(&text);
        let snippet = snippet.expect("a snippet");
        assert_eq!(snippet.text.chars().count(), SNIPPET_CHARS_MAX);
        assert_eq!(snippet.ranges, [[40, 44], [49, 53]]);
    }

    proptest! {
        #[test]
        fn ranges_lie_within_the_snippet(text in "(打|印|printer| |é|x){0,400}", query in "打印|printer|prin\\*|é") {
            let highlighter = Highlighter::of(&parse(&query).expect("a query"));
            if let Some(Snippet { text, ranges }) = highlighter.snippet(&text) {
                let length = text.chars().count();
                prop_assert!(length <= SNIPPET_CHARS_MAX && !ranges.is_empty());
                prop_assert!(ranges.iter().all(|range| range[0] < range[1] && range[1] <= length));
                prop_assert!(ranges.windows(2).all(|pair| pair[0][1] < pair[1][0]));
            }
        }
    }
}
