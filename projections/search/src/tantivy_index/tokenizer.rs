//! The analysis as Tantivy calls it: each token stands behind its tenant, so that no tenant's words touch another's.

use std::sync::Arc;

use docket_schemas::Tenant;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};

use super::schema::{KEYS, WORDS};
use crate::text::{Kind, Stems, Tokens, pair};

/// Parts tenant and text, and tenant and token; no tenant contains it.
const PART: char = '\0';

/// A text as a field takes it.
pub(super) fn scoped(tenant: &Tenant, text: &str) -> String {
    format!("{tenant}{PART}{text}")
}

/// Adds the tokenizers of the schema.
pub(super) fn register(manager: &TokenizerManager) {
    manager.register(WORDS, Scoped { stems: None });
    manager.register(KEYS, Scoped { stems: Some(Arc::default()) });
}

/// Takes apart what [`scoped`] put together.
#[derive(Clone)]
struct Scoped {
    /// For keys alone, and the same for all clones.
    stems: Option<Arc<Stems>>,
}

struct ScopedStream<'a> {
    tokens: Tokens<'a>,
    stems: Option<&'a Stems>,
    /// The last token, while it is a single character.
    single: String,
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
        let (tokens, single) = (Tokens::of(text), String::new());
        ScopedStream { tokens, stems: self.stems.as_deref(), single, scope, token }
    }
}

impl ScopedStream<'_> {
    /// Puts the key that ends with the present token behind the scope; false where there is none.
    fn key(&mut self, stems: &Stems) -> bool {
        let found = self.tokens.token();
        if found.kind == Kind::Single {
            let pair = if found.joined { pair(&self.single, &found.text) } else { None };
            self.token.text.push_str(pair.as_deref().unwrap_or_default());
            self.single.clone_from(&found.text);
            return pair.is_some();
        }
        self.single.clear();
        stems.push(&found.text, &mut self.token.text)
    }
}

impl TokenStream for ScopedStream<'_> {
    fn advance(&mut self) -> bool {
        while self.tokens.advance() {
            self.token.text.truncate(self.scope);
            self.token.position = self.tokens.token().position;
            let found = match self.stems {
                Some(stems) => self.key(stems),
                None => {
                    self.token.text.push_str(&self.tokens.token().text);
                    true
                }
            };
            if found {
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
