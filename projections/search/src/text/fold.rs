//! A character in the form by which it is found: lower case, of ordinary width, without its accents.

use unicode_normalization::char::{compose, decompose_compatible};

use super::script::{Script, is_han, script};

/// Letters that no decomposition takes apart.
const LETTERS: [(char, &str); 13] = [
    ('ß', "ss"),
    ('æ', "ae"),
    ('œ', "oe"),
    ('ø', "o"),
    ('đ', "d"),
    ('ð', "d"),
    ('ħ', "h"),
    ('ı', "i"),
    ('ł', "l"),
    ('ŋ', "n"),
    ('þ', "th"),
    ('ŧ', "t"),
    ('ς', "σ"),
];

/// Marks that are left out, first and last: accents, Hebrew points, Arabic vowel signs.
const MARKS: [(char, char); 4] = [
    ('\u{300}', '\u{36F}'),
    ('\u{591}', '\u{5C7}'),
    ('\u{64B}', '\u{65F}'),
    ('\u{670}', '\u{670}'),
];

/// Appends the folded form of one character, which may be empty or longer than one.
pub(super) fn fold(character: char, out: &mut String) {
    if character.is_ascii() {
        out.push(character.to_ascii_lowercase());
        return;
    }
    if is_han(character) || is_composed(character) {
        out.push(character);
        return;
    }
    decompose_compatible(character, |part| part.to_lowercase().for_each(|part| put(part, out)));
}

/// Characters that a decomposition would take apart although readers see one: hangul syllables and voiced kana.
const fn is_composed(character: char) -> bool {
    matches!(character, '\u{AC00}'..='\u{D7A3}' | '\u{3041}'..='\u{30FF}')
}

fn put(part: char, out: &mut String) {
    // A kana in a square comes apart into the kana and its mark.
    if let (Some(mark), Some(kana)) = (voicing_mark(part), out.chars().next_back())
        && let Some(voiced) = voiced(kana, mark)
    {
        out.pop();
        out.push(voiced);
        return;
    }
    if MARKS.iter().any(|(first, last)| (*first..=*last).contains(&part)) {
        return;
    }
    if let Some((_, plain)) = LETTERS.iter().find(|(letter, _)| *letter == part) {
        out.push_str(plain);
    } else if matches!(script(part), Script::Word | Script::Single) {
        out.push(part);
    }
}

/// What a reader sees as one character with the one before it: a kana with the mark that voices it, a hangul syllable in
/// parts. Some systems write both apart.
pub(super) fn composed(character: char, next: char) -> Option<char> {
    match (voicing_mark(next), next) {
        (Some(mark), _) => voiced(character, mark),
        (None, '\u{1161}'..='\u{11C2}') => compose(character, next),
        _ => None,
    }
}

/// The combining form of a mark that voices the kana before it.
const fn voicing_mark(character: char) -> Option<char> {
    match character {
        '\u{FF9E}' | '\u{3099}' => Some('\u{3099}'),
        '\u{FF9F}' | '\u{309A}' => Some('\u{309A}'),
        _ => None,
    }
}

/// A kana with its mark, as one character.
fn voiced(kana: char, mark: char) -> Option<char> {
    let mut wide = kana;
    decompose_compatible(kana, |part| wide = part);
    compose(wide, mark)
}
