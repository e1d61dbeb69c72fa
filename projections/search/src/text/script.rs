//! What a character is to the search: part of a word, a token of its own, or nothing.

use unicode_normalization::char::is_combining_mark;

/// The part that a character plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// A letter or digit of a script that puts spaces between words.
    Word,
    /// A character that is a token of its own.
    Single,
    /// Invisible: words go on behind it.
    Ignored,
    /// Anything else.
    Separator,
}

/// First and last of the characters that are tokens of their own.
const SINGLES: [(u32, u32); 34] = [
    (0x0E01, 0x0E3A),   // Thai
    (0x0E40, 0x0E4E),   // Thai vowels and tones
    (0x0E81, 0x0EBD),   // Lao
    (0x0EC0, 0x0ECE),   // Lao vowels and tones
    (0x0EDC, 0x0EDF),   // Lao
    (0x1000, 0x103F),   // Myanmar
    (0x1050, 0x108F),   // Myanmar
    (0x1100, 0x11FF),   // Hangul jamo
    (0x1780, 0x17D3),   // Khmer
    (0x2600, 0x27BF),   // Symbols and dingbats
    (0x2B1B, 0x2B1C),   // Squares
    (0x2B50, 0x2B55),   // Star, circle
    (0x2E80, 0x2FDF),   // Han radicals
    (0x3005, 0x3007),   // Han iteration marks, zero
    (0x3021, 0x3029),   // Hangzhou numerals
    (0x3038, 0x303B),   // Hangzhou tens, vertical iteration mark
    (0x3041, 0x3096),   // Hiragana
    (0x309D, 0x309F),   // Hiragana iteration marks
    (0x30A1, 0x30FA),   // Katakana
    (0x30FC, 0x30FF),   // Katakana length and iteration marks
    (0x3105, 0x312F),   // Bopomofo
    (0x3131, 0x318E),   // Hangul compatibility jamo
    (0x3190, 0x31BF),   // Kanbun, bopomofo extended
    (0x31F0, 0x31FF),   // Katakana phonetic extensions
    (0x3220, 0x3247),   // Han in parentheses and circles
    (0x3280, 0x32B0),   // Han in circles
    (0x3400, 0x4DBF),   // Han extension A
    (0x4E00, 0x9FFF),   // Han
    (0xA960, 0xA97C),   // Hangul jamo extended A
    (0xAC00, 0xD7A3),   // Hangul syllables
    (0xF900, 0xFAFF),   // Han compatibility
    (0xFF66, 0xFFDC),   // Katakana and hangul of half width
    (0x1F000, 0x1FAFF), // Emoji
    (0x20000, 0x323AF), // Han extensions B to H
];

/// First and last of the characters that are not seen.
const IGNORED: [(u32, u32); 8] = [
    (0x00AD, 0x00AD),   // Soft hyphen
    (0x180B, 0x180F),   // Mongolian variation selectors
    (0x200B, 0x200F),   // Zero width
    (0x202A, 0x202E),   // Direction
    (0x2060, 0x2064),   // Word joiner and invisible operators
    (0xFE00, 0xFE0F),   // Variation selectors
    (0xFEFF, 0xFEFF),   // Byte order mark
    (0xE0100, 0xE01EF), // Variation selectors
];

/// The block of Han characters that nearly all Chinese text is made of.
pub(super) const fn is_han(character: char) -> bool {
    matches!(character, '\u{4E00}'..='\u{9FFF}')
}

/// What a character is.
pub(super) fn script(character: char) -> Script {
    if character.is_ascii() {
        return if character.is_ascii_alphanumeric() { Script::Word } else { Script::Separator };
    }
    if is_han(character) {
        return Script::Single;
    }
    let code = u32::from(character);
    if within(&SINGLES, code) {
        Script::Single
    } else if within(&IGNORED, code) {
        Script::Ignored
    } else if character.is_alphanumeric() || is_combining_mark(character) {
        Script::Word
    } else {
        Script::Separator
    }
}

fn within(ranges: &[(u32, u32)], code: u32) -> bool {
    let index = ranges.partition_point(|(_, last)| *last < code);
    ranges.get(index).is_some_and(|(first, _)| *first <= code)
}
