//! A text as the tokens by which it is found, each with the place where it stands.

mod fold;
mod frequent;
mod script;
mod sieve;
mod stem;

use fold::fold;
use frequent::is_frequent;
use script::{Script, script};
pub use sieve::sieve_key;
pub use stem::{Stems, stem};

/// Changes with every change of what a text is taken apart into; an index of another version is built anew.
pub const ANALYSIS_VERSION: u32 = 5;

/// Most characters of a word that count: what is longer is found by its beginning.
pub const WORD_CHARS_MAX: usize = 64;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A run of letters and digits, in lower case and without accents.
    Word,
    /// One character of a script that is written without spaces (Han, kana, hangul, Thai, …), or an emoji.
    Single,
}

/// Takes a text apart, one token after another.
///
/// Positions rise by one from token to token, whatever stands between two words; two single characters that do not stand
/// side by side are one further apart, so that a phrase of them is what a reader sees as one.
#[derive(Debug)]
pub struct Tokens<'a> {
    rest: &'a str,
    /// Characters read.
    read: usize,
    /// Whether a separator was read since the last token.
    parted: bool,
    last: Option<Kind>,
    token: Token,
}

/// A token: what [`Tokens`] stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// In its folded form.
    pub text: String,
    /// Word or single character.
    pub kind: Kind,
    /// Its place among the text's tokens.
    pub position: usize,
    /// Its first character in the text.
    pub start: usize,
    /// The character behind its last.
    pub end: usize,
    /// Whether nothing stands between it and the token before it.
    pub joined: bool,
}

impl<'a> Tokens<'a> {
    /// The tokens of a text.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let token = Token {
            text: String::new(),
            kind: Kind::Word,
            position: 0,
            start: 0,
            end: 0,
            joined: false,
        };
        Self { rest: text, read: 0, parted: true, last: None, token }
    }

    /// Goes to the next token; false behind the last.
    pub fn advance(&mut self) -> bool {
        loop {
            let Some(next) = self.next() else { return false };
            match script(next) {
                Script::Separator => {
                    self.parted = true;
                    self.skip(next);
                }
                Script::Ignored => self.skip(next),
                Script::Single => {
                    self.begin();
                    self.single(next);
                    return self.end(Kind::Single);
                }
                Script::Word => {
                    self.begin();
                    self.word();
                    // A character may fold to nothing, such as a lone accent.
                    if !self.token.text.is_empty() {
                        return self.end(Kind::Word);
                    }
                    self.parted = true;
                }
            }
        }
    }

    /// The token that it stands on, after [`Tokens::advance`].
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.token
    }

    fn next(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self, next: char) {
        self.rest = &self.rest[next.len_utf8()..];
        self.read += 1;
    }

    fn begin(&mut self) {
        self.token.text.clear();
        self.token.start = self.read;
    }

    fn single(&mut self, first: char) {
        self.skip(first);
        let mut whole = first;
        while let Some(next) = self.next()
            && let Some(composed) = fold::composed(whole, next)
        {
            whole = composed;
            self.skip(next);
        }
        fold(whole, &mut self.token.text);
    }

    fn word(&mut self) {
        let mut kept = 0;
        loop {
            kept += self.ascii(WORD_CHARS_MAX.saturating_sub(kept));
            let Some(next) = self.next() else { return };
            match script(next) {
                Script::Word if kept < WORD_CHARS_MAX => fold(next, &mut self.token.text),
                Script::Word | Script::Ignored => {}
                Script::Single | Script::Separator => return,
            }
            kept += 1;
            self.skip(next);
        }
    }

    /// Takes letters and digits of ASCII in one go, and keeps so many; answers how many there were.
    fn ascii(&mut self, keep: usize) -> usize {
        let length = self.rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (run, rest) = self.rest.split_at(length);
        let begin = self.token.text.len();
        self.token.text.push_str(&run[..length.min(keep)]);
        self.token.text[begin..].make_ascii_lowercase();
        self.rest = rest;
        self.read += length;
        length
    }

    fn end(&mut self, kind: Kind) -> bool {
        let token = &mut self.token;
        token.kind = kind;
        token.end = self.read;
        token.joined = !self.parted && self.last.is_some();
        if let Some(last) = self.last {
            let apart = self.parted && last == Kind::Single && kind == Kind::Single;
            token.position += 1 + usize::from(apart);
        }
        self.last = Some(kind);
        self.parted = false;
        true
    }
}

/// Two single characters that stand side by side as one key; none where one of them is rare: keys of every pair would make the
/// index half as large again.
#[must_use]
pub fn pair(first: &str, second: &str) -> Option<String> {
    is_pair(first, second).then(|| format!("{first}{second}"))
}

fn is_pair(first: &str, second: &str) -> bool {
    is_frequent(first) && is_frequent(second)
}

/// All tokens of a text.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Tokens::of(text);
    let mut all = Vec::new();
    while tokens.advance() {
        all.push(tokens.token().clone());
    }
    all
}

#[cfg(test)]
mod tests;
