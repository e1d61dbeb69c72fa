//! How texts are taken apart.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = tokens(text).into_iter().map(|token| token.text).collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn check_positions(text: &str, expected: &[usize]) {
    let found: Vec<usize> = tokens(text).iter().map(|token| token.position).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn words_are_runs_of_letters_and_digits_in_lower_case() {
    check(
        "The Printer (HP-4250) is ON FIRE!",
        &["the", "printer", "hp", "4250", "is", "on", "fire"],
    );
    check(
        "ann@example.com 10.0.0.1 v2.3",
        &["ann", "example", "com", "10", "0", "0", "1", "v2", "3"],
    );
    check("INC0000045 snake_case can't", &["inc0000045", "snake", "case", "can", "t"]);
    check("", &[]);
    check(" … — !\u{0}", &[]);
}

#[test]
fn accents_widths_and_ligatures_make_no_difference() {
    check(
        "Café CAFE\u{301} Straße ﬁle Ærø Łódź İstanbul",
        &["cafe", "cafe", "strasse", "file", "aero", "lodz", "istanbul"],
    );
    check("ＡＢＣ１２３ №5", &["abc123", "5"]);
    check("ёлка Ελλάς ΕΛΛΑΣ", &["елка", "ελλασ", "ελλασ"]);
}

#[test]
fn characters_of_scripts_without_spaces_are_tokens_of_their_own() {
    check("机票打印", &["机", "票", "打", "印"]);
    check("HP打印机offline了", &["hp", "打", "印", "机", "offline", "了"]);
    check(
        "プリンタ ﾌﾟﾘﾝﾀ 프린터",
        &["プ", "リ", "ン", "タ", "プ", "リ", "ン", "タ", "프", "린", "터"],
    );
    check(
        "\u{1111}\u{1173}\u{1105}\u{1175}\u{11AB}\u{1110}\u{1165} 프린터",
        &["프", "린", "터", "프", "린", "터"],
    );
    check("㈠网 ㊀〸", &["一", "网", "一", "十"]);
    check("🔥着火", &["🔥", "着", "火"]);
    check("🈓 🈔 ポ", &["デ", "二", "ポ"]);
}

#[test]
fn only_single_characters_that_stand_side_by_side_follow_one_another() {
    check_positions("打印机", &[0, 1, 2]);
    check_positions("打印，机", &[0, 1, 3]);
    check_positions("打\u{200B}印", &[0, 1]);
    check_positions("the printer, again", &[0, 1, 2]);
    check_positions("HP 打印", &[0, 1, 2]);
}

#[test]
fn places_are_counted_in_characters() {
    let found = tokens("né 打印 ok");
    let places: Vec<_> = found.iter().map(|token| (token.start, token.end)).collect();
    assert_eq!(places, [(0, 2), (3, 4), (4, 5), (6, 8)]);
    let joined: Vec<_> = found.iter().map(|token| token.joined).collect();
    assert_eq!(joined, [false, false, true, false]);
}

#[test]
fn a_word_without_end_is_known_by_its_beginning() {
    let long = "x".repeat(100_000);
    let found = tokens(&long);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].text.len(), found[0].end), (WORD_CHARS_MAX, 100_000));
}

/// An index holds stems: these change only together with [`ANALYSIS_VERSION`].
#[test]
fn stems_are_those_of_the_index() {
    for (word, expected) in [
        ("printers", "printer"),
        ("printing", "print"),
        ("running", "run"),
        ("policies", "polici"),
        ("failed", "fail"),
        ("the", "the"),
        ("university", "universiti"),
    ] {
        assert_eq!(stem(word).as_deref(), Some(expected), "{word}");
    }
    for word in ["", "inc0000045", "打", "елка"] {
        assert_eq!(stem(word), None, "{word}");
    }
}

/// As [stems are](stems_are_those_of_the_index).
#[test]
fn pairs_have_one_key_each() {
    for (first, second, pair_key, sieved) in [
        ("printer", "offline", None, Some("^B")),
        ("打", "疼", None, Some("fH")),
        ("vpn", "连", None, Some("L\u{7f}")),
        ("打", "连", Some("打连"), None),
    ] {
        assert_eq!(pair(first, second).as_deref(), pair_key, "{first} {second}");
        assert_eq!(sieve_key(first, second).as_deref(), sieved, "{first} {second}");
    }
}

proptest! {
    #[test]
    fn every_text_comes_apart_in_order(text in any::<String>()) {
        let length = text.chars().count();
        let found = tokens(&text);
        for pair in found.windows(2) {
            prop_assert!(pair[0].position < pair[1].position);
            prop_assert!(pair[0].end <= pair[1].start);
        }
        for token in &found {
            prop_assert!(token.start < token.end && token.end <= length);
            prop_assert!(!token.text.is_empty() && token.text.chars().count() <= WORD_CHARS_MAX * 18);
        }
    }

    #[test]
    fn a_folded_word_folds_to_itself(text in "\\PC{0,12}") {
        for token in tokens(&text) {
            let again: String = tokens(&token.text).into_iter().map(|token| token.text).collect();
            prop_assert_eq!(again, token.text);
        }
    }
}
