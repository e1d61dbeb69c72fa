//! What of a text a query finds, shown as a part of the text with the places in it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use levenshtein_automata::{DFA, Distance};

use crate::near::near;
use crate::query::{Query, Text};
use crate::text::{Stems, Token, tokens};

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

/// A phrase: tokens, each with its offset from the first.
type Phrase = Vec<(usize, String)>;

/// Finds a query's words in texts. What a token costs does not depend on how many words and beginnings are wanted.
#[derive(Default)]
pub struct Highlighter {
    /// Words, by their stems where they have one.
    words: HashSet<String>,
    /// By their first tokens.
    phrases: HashMap<String, Vec<Phrase>>,
    /// None of them begins with another.
    prefixes: BTreeSet<String>,
    near: Vec<Arc<DFA>>,
    stems: Stems,
}

impl Highlighter {
    /// Looks for all that a query wants, not for what must be missing.
    #[must_use]
    pub fn of(query: &Query) -> Self {
        let mut wanted = Self::default();
        for text in query.wanted_texts() {
            match text {
                Text::Word(word) => {
                    let word = wanted.key(word);
                    wanted.words.insert(word);
                }
                Text::Phrase(tokens) => wanted.phrase(tokens),
                Text::Prefix(prefix) => wanted.prefix(prefix),
                Text::Fuzzy(word, distance) => wanted.near.push(near(word, *distance)),
            }
        }
        wanted
    }

    fn phrase(&mut self, tokens: &Phrase) {
        let Some((_, first)) = tokens.first() else { return };
        let same_first = self.phrases.entry(first.clone()).or_default();
        if !same_first.contains(tokens) {
            same_first.push(tokens.clone());
        }
    }

    fn prefix(&mut self, prefix: &str) {
        if !self.begins(prefix) {
            self.prefixes.retain(|longer| !longer.starts_with(prefix));
            self.prefixes.insert(prefix.to_owned());
        }
    }

    /// Whether a word begins with a wanted beginning: only the last of those that are not behind it can be one.
    fn begins(&self, word: &str) -> bool {
        let upto = (Bound::Unbounded, Bound::Included(word));
        self.prefixes.range::<str, _>(upto).next_back().is_some_and(|last| word.starts_with(last))
    }

    /// What a word is compared by.
    fn key(&self, word: &str) -> String {
        let mut key = String::new();
        if !self.stems.push(word, &mut key) {
            key.push_str(word);
        }
        key
    }

    /// The part of a text in which most is found; none where nothing is.
    #[must_use]
    pub fn snippet(&self, text: &str) -> Option<Snippet> {
        let ranges = self.ranges(&tokens(text));
        let length = text.chars().count();
        if ranges.is_empty() {
            return None;
        }
        if length <= SNIPPET_CHARS_MAX {
            return Some(Snippet { text: text.to_owned(), ranges });
        }
        let start = fullest_window(&ranges, length);
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
        let mut ranges: Vec<[usize; 2]> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let Some(end) = self.found(&tokens[index..]) else { continue };
            match ranges.last_mut() {
                Some(last) if token.start <= last[1] => last[1] = last[1].max(end),
                _ => ranges.push([token.start, end]),
            }
        }
        ranges
    }

    /// The furthest end of what is found at the first of these tokens.
    fn found(&self, tokens: &[Token]) -> Option<usize> {
        let first = tokens.first()?;
        let word = &first.text;
        let phrases = self.phrases.get(word).into_iter().flatten();
        let longest = phrases.filter_map(|phrase| phrase_end(phrase, tokens)).max();
        let alone = || {
            (!self.words.is_empty() && self.words.contains(&self.key(word)))
                || self.begins(word)
                || self.near.iter().any(|dfa| matches!(dfa.eval(word), Distance::Exact(_)))
        };
        longest.or_else(|| alone().then_some(first.end))
    }
}

/// Where the window begins that holds the most of the ranges, each of which may stand shortly behind its beginning; of
/// equals the first.
fn fullest_window(ranges: &[[usize; 2]], length: usize) -> usize {
    let (mut first, mut behind) = (0, 0);
    let mut best = (0, 0);
    for range in ranges {
        let start = range[0].saturating_sub(LEAD_CHARS).min(length - SNIPPET_CHARS_MAX);
        let end = start + SNIPPET_CHARS_MAX;
        while ranges.get(first).is_some_and(|range| range[0] < start) {
            first += 1;
        }
        while ranges.get(behind).is_some_and(|range| range[1] <= end) {
            behind += 1;
        }
        let within = behind.saturating_sub(first);
        if within > best.0 || best == (0, 0) {
            best = (within, start);
        }
    }
    best.1
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
        check("pri* print* fire", "priest printing prey", "[priest] [printing] prey");
        check("打* 打印机 OR 打印", "打印机, 打印", "[打印机], [打印]");
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

    #[test]
    fn a_text_that_is_full_of_places_is_gone_through_once() {
        let words: Vec<String> = (0..64).map(|number| format!("a{number}*")).collect();
        let highlighter = Highlighter::of(&parse(&words.join(" OR ")).expect("a query"));
        let text = "a1.b.".repeat(13_000);
        let snippet = highlighter.snippet(&text).expect("a snippet");
        assert_eq!((snippet.ranges.len(), snippet.ranges[0]), (40, [0, 2]));
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
