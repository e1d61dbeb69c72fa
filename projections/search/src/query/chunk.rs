//! A query cut at its spaces and quotes, before anything in it is understood.

use super::error::{Mistake, QueryError};

/// What stands between spaces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its first character in the query, the `-` where there is one.
    pub(super) at: usize,
    /// Whether a `-` stands before it.
    pub(super) negated: bool,
    /// What stands before the quote, or everything where there is none.
    pub(super) bare: Vec<char>,
    /// The first character of `bare`.
    pub(super) bare_at: usize,
    /// What stands in quotes.
    pub(super) quoted: Option<Quoted>,
}

/// The inside of quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Where the opening quote stands.
    pub(super) at: usize,
    /// Without the quotes.
    pub(super) text: String,
}

const fn is_quote(character: char) -> bool {
    matches!(character, '"' | '“' | '”' | '„' | '＂')
}

/// Cuts a query up.
pub(super) fn chunks(query: &[char]) -> Result<Vec<Chunk>, QueryError> {
    let mut chunks = Vec::new();
    let mut place = 0;
    while place < query.len() {
        if query[place].is_whitespace() {
            place += 1;
            continue;
        }
        let (chunk, next) = chunk(query, place)?;
        chunks.push(chunk);
        place = next;
    }
    Ok(chunks)
}

fn chunk(query: &[char], at: usize) -> Result<(Chunk, usize), QueryError> {
    // Two dashes or more are a program's option, and text.
    let negated = query[at] == '-' && query.get(at + 1) != Some(&'-');
    let bare_at = at + usize::from(negated);
    let ends = |character: &char| character.is_whitespace() || is_quote(*character);
    let length = query[bare_at..].iter().position(ends).unwrap_or(query.len() - bare_at);
    let end = bare_at + length;
    let bare = query[bare_at..end].to_vec();
    // A quote belongs to what stands right before it only where a value may: behind the `-` or the colon of a filter.
    let opens = query.get(end).copied().is_some_and(is_quote);
    let takes_quote = bare.is_empty() || bare.last() == Some(&':');
    let mut chunk = Chunk { at, negated, bare, bare_at, quoted: None };
    if !(opens && takes_quote) {
        return Ok((chunk, end));
    }
    let inside = &query[end + 1..];
    let length = inside.iter().position(|character| is_quote(*character));
    let length = length.ok_or_else(|| Mistake::OpenQuote.at(end))?;
    chunk.quoted = Some(Quoted { at: end, text: inside[..length].iter().collect() });
    Ok((chunk, end + length + 2))
}
