//! English stems, by which `printers` is found as `printer`.

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};

/// The stem of a folded word; none for a word that is not of English letters alone.
#[must_use]
pub fn stem(word: &str) -> Option<Cow<'_, str>> {
    let english = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    english.then(|| Stemmer::new(Algorithm::English).stem(word))
}
