//! English stems, by which `printers` is found as `printer`.

use std::borrow::Cow;
use std::collections::HashMap;

use frostem::{Algorithm, Stemmer};
use parking_lot::Mutex;

/// The stem of a folded word; none for a word that is not of English letters alone.
#[must_use]
pub fn stem(word: &str) -> Option<Cow<'_, str>> {
    let english = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    english.then(|| Stemmer::new(Algorithm::English).stem(word))
}

/// Most words whose stems are remembered: more than a language's common ones, and a few megabytes at most.
const STEMS_MAX: usize = 16_384;

/// Stems of words that were met lately: finding one takes ten times as long as looking it up, and most words of most texts
/// are among a few thousand.
#[derive(Debug, Default)]
pub struct Stems(Mutex<HashMap<Box<str>, Box<str>>>);

impl Stems {
    /// Puts the stem of a folded word behind a text; false for a word that has none.
    pub fn push(&self, word: &str, text: &mut String) -> bool {
        let mut known = self.0.lock();
        if let Some(stem) = known.get(word) {
            text.push_str(stem);
            return true;
        }
        let Some(stem) = stem(word) else { return false };
        text.push_str(&stem);
        if known.len() >= STEMS_MAX {
            known.clear();
        }
        known.insert(word.into(), stem.into());
        true
    }
}
