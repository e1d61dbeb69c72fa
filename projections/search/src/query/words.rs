//! The text of a query as the tokens that it looks for.

use super::chunk::Quoted;
use super::error::{Mistake, QueryError};
use super::{DISTANCE_MAX, PHRASE_TOKENS_MAX, PREFIX_CHARS_MIN, Text};
use crate::text::{Kind, Token, tokens};

/// A phrase in quotes: its tokens, exactly as they stand.
pub(super) fn phrase(quoted: &Quoted) -> Result<Text, QueryError> {
    let found = tokens(&quoted.text);
    let Some(first) = found.first() else { return Err(Mistake::EmptyPhrase.at(quoted.at)) };
    let first = first.position;
    if found.len() > PHRASE_TOKENS_MAX {
        return Err(Mistake::LongPhrase.at(quoted.at));
    }
    Ok(Text::Phrase(found.into_iter().map(|token| (token.position - first, token.text)).collect()))
}

/// What stands between two spaces: a word, a run of single characters, several of them, with `*` or `~` at the end.
pub(super) fn words(bare: &str, at: usize) -> Result<Vec<Text>, QueryError> {
    let first = bare.chars().next();
    if first == Some('(') {
        return Err(Mistake::Parenthesis.at(at));
    }
    let wild = |character: char| matches!(character, '*' | '?');
    let leading = first.is_some_and(wild) && (first == Some('*') || !tokens(bare).is_empty());
    if leading {
        return Err(Mistake::LeadingWildcard.at(at));
    }
    if let Some(place) = bare.chars().position(|character| character == '*') {
        let Some(stem) = bare.strip_suffix('*').filter(|stem| !stem.contains('*')) else {
            return Err(Mistake::InnerWildcard.at(at + place));
        };
        return prefix(stem, at + place);
    }
    match bare.rsplit_once('~') {
        Some((word, distance)) if !word.is_empty() && is_distance(distance) => {
            fuzzy(word, distance, at + word.chars().count())
        }
        Some(("", distance)) if is_distance(distance) => Err(Mistake::BadDistance.at(at)),
        _ => plain(tokens(bare), at),
    }
}

/// A number or nothing: text behind a `~` that is neither makes it a mark like any other.
fn is_distance(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Runs of single characters are phrases, and so are words that only punctuation parts (`ann@example.com`); a word alone
/// is found by its stem too.
fn plain(found: Vec<Token>, at: usize) -> Result<Vec<Text>, QueryError> {
    let mut runs: Vec<Vec<Token>> = Vec::new();
    for token in found {
        let follows =
            |last: &Token| last.kind == token.kind && (token.joined || token.kind == Kind::Word);
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(follows) => run.push(token),
            _ => runs.push(vec![token]),
        }
    }
    runs.into_iter().map(|run| text_of(run, at)).collect()
}

fn text_of(mut run: Vec<Token>, at: usize) -> Result<Text, QueryError> {
    if run.len() > PHRASE_TOKENS_MAX {
        return Err(Mistake::LongPhrase.at(at + run[0].start));
    }
    if run.len() == 1 && run[0].kind == Kind::Word {
        return Ok(Text::Word(run.remove(0).text));
    }
    let first = run[0].position;
    Ok(Text::Phrase(run.into_iter().map(|token| (token.position - first, token.text)).collect()))
}

/// The last token is what words begin with; characters that are tokens of their own have no beginning, and are all of it.
fn prefix(bare: &str, star: usize) -> Result<Vec<Text>, QueryError> {
    let mut found = tokens(bare);
    let at = star - bare.chars().count();
    match found.last() {
        None => Err(Mistake::ShortPrefix.at(star)),
        Some(last) if last.kind == Kind::Single => plain(found, at),
        Some(last) if last.text.chars().count() < PREFIX_CHARS_MIN => {
            Err(Mistake::ShortPrefix.at(star))
        }
        Some(_) => {
            let last = found.pop().map(|token| token.text).unwrap_or_default();
            let mut texts = plain(found, at)?;
            texts.push(Text::Prefix(last));
            Ok(texts)
        }
    }
}

fn fuzzy(word: &str, distance: &str, tilde: usize) -> Result<Vec<Text>, QueryError> {
    let distance = if distance.is_empty() { Some(1) } else { distance.parse().ok() };
    let distance = distance.filter(|distance| (1..=DISTANCE_MAX).contains(distance));
    let found = tokens(word);
    let (Some(distance), [token]) = (distance, found.as_slice()) else {
        return Err(Mistake::BadDistance.at(tilde));
    };
    if token.kind == Kind::Single {
        return Err(Mistake::BadDistance.at(tilde));
    }
    // At least two letters stay as they are.
    let needed = usize::from(distance) + 2;
    if token.text.chars().count() < needed {
        return Err(Mistake::ShortFuzzy(distance, needed).at(tilde));
    }
    Ok(vec![Text::Fuzzy(token.text.clone(), distance)])
}
