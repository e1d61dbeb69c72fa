//! The analysis as Tantivy calls it: each token stands behind its tenant, so that no tenant's words touch another's.

use std::sync::Arc;

use docket_schemas::Tenant;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};

use super::schema::{KEYS, SIEVE, WORDS};
use crate::text::{Kind, Stems, Tokens, pair, sieve_key};

/// Parts tenant and text, and tenant and token; no tenant contains it.
const PART: char = '\0';

/// A text as a field takes it.
pub(super) fn scoped(tenant: &Tenant, text: &str) -> String {
    format!("{tenant}{PART}{text}")
}

/// Adds the tokenizers of the schema.
pub(super) fn register(manager: &TokenizerManager) {
    manager.register(WORDS, Scoped(Yields::Words));
    manager.register(KEYS, Scoped(Yields::Keys(Arc::default())));
    manager.register(SIEVE, Scoped(Yields::Sieve));
}

/// Takes apart what [`scoped`] put together.
#[derive(Clone)]
struct Scoped(Yields);

/// What a text comes to.
#[derive(Clone)]
enum Yields {
    /// Its tokens.
    Words,
    /// Stems, the same for all clones, and pairs of single characters.
    Keys(Arc<Stems>),
    /// What two tokens side by side are sieved by.
    Sieve,
}

struct ScopedStream<'a> {
    tokens: Tokens<'a>,
    yields: &'a Yields,
    /// The token before the present one; empty before the first.
    last: String,
    /// Where it stands.
    last_position: usize,
    /// Bytes of the tenant, with what parts it from the token.
    scope: usize,
    token: Token,
}

impl Tokenizer for Scoped {
    type TokenStream<'a> = ScopedStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ScopedStream<'a> {
        let scope = text.find(PART).map_or(0, |end| end + PART.len_utf8());
        let (scope_text, text) = text.split_at(scope);
        let token = Token { text: scope_text.to_owned(), ..Token::default() };
        let (tokens, last) = (Tokens::of(text), String::new());
        ScopedStream { tokens, yields: &self.0, last, last_position: 0, scope, token }
    }
}

impl ScopedStream<'_> {
    /// Puts what the present token comes to behind the scope; false where that is nothing.
    fn push(&mut self) -> bool {
        let found = self.tokens.token();
        let text = &mut self.token.text;
        match self.yields {
            Yields::Words => text.push_str(&found.text),
            Yields::Keys(stems) if found.kind == Kind::Word => {
                return stems.push(&found.text, text);
            }
            Yields::Keys(_) => return self.push_pair(pair),
            Yields::Sieve => return self.push_pair(sieve_key),
        }
        true
    }

    /// Puts the key of the last token and the present one there, where they stand side by side and have one.
    fn push_pair(&mut self, key: impl Fn(&str, &str) -> Option<String>) -> bool {
        let found = self.tokens.token();
        let beside = !self.last.is_empty() && found.position == self.last_position + 1;
        let key = if beside { key(&self.last, &found.text) } else { None };
        self.last.clone_from(&found.text);
        self.last_position = found.position;
        key.is_some_and(|key| {
            self.token.text.push_str(&key);
            true
        })
    }
}

impl TokenStream for ScopedStream<'_> {
    fn advance(&mut self) -> bool {
        while self.tokens.advance() {
            self.token.text.truncate(self.scope);
            self.token.position = self.tokens.token().position;
            if self.push() {
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
