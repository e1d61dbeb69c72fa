//! What queries mean, and where broken ones break.

use proptest::prelude::*;

use super::*;

/// A query written out again, in a form that shows how it was understood.
fn shown(query: &Query) -> String {
    let groups = query.groups.iter().map(|group| {
        let any = group.any.iter().map(|clause| {
            let sign = if clause.negated { "-" } else { "" };
            match &clause.literal {
                Literal::Text(texts) => {
                    let texts: Vec<_> = texts.iter().map(shown_text).collect();
                    format!("{sign}{}", texts.join("&"))
                }
                Literal::Filter(filter) => format!("{sign}{filter:?}"),
            }
        });
        any.collect::<Vec<_>>().join("|")
    });
    groups.collect::<Vec<_>>().join(" ")
}

fn shown_text(text: &Text) -> String {
    match text {
        Text::Word(word) => word.clone(),
        Text::Phrase(tokens) => {
            let mut next = 0;
            let mut parts = Vec::new();
            for (offset, token) in tokens {
                parts.extend(std::iter::repeat_n("_", offset - next));
                parts.push(token);
                next = offset + 1;
            }
            format!("[{}]", parts.join(" "))
        }
        Text::Prefix(prefix) => format!("{prefix}*"),
        Text::Fuzzy(word, distance) => format!("{word}~{distance}"),
    }
}

#[track_caller]
fn check(query: &str, meaning: &str) {
    assert_eq!(parse(query).map(|query| shown(&query)).as_deref(), Ok(meaning), "{query}");
}

#[track_caller]
fn refused(query: &str, at: usize, mistake: Mistake) {
    assert_eq!(parse(query), Err(QueryError { at, mistake }), "{query}");
}

#[test]
fn words_stand_side_by_side_and_or_joins_its_neighbours() {
    check("printer fire", "printer fire");
    check("Printer OR Scanner fire", "printer|scanner fire");
    check("a OR b OR c d", "a|b|c d");
    check("a AND b", "a b");
    check("or And", "or and");
    check("fire status:open OR status:new", "fire Status(Open)|Status(New)");
}

#[test]
fn phrases_prefixes_and_near_words() {
    check("\"printer on fire\"", "[printer on fire]");
    check("“打印机”", "[打 印 机]");
    check("-\"on fire\"", "-[on fire]");
    check("print* wrod~1 wrod~ colour~2", "print* wrod~1 wrod~1 colour~2");
    check("say\"hello world\"", "say [hello world]");
    check("\"a\"\"b\"", "[a] [b]");
}

#[test]
fn a_run_of_single_characters_is_a_phrase() {
    check("打印机", "[打 印 机]");
    check("票", "[票]");
    check("HP打印机offline", "hp&[打 印 机]&offline");
    check("网络，故障", "[网 络]&[故 障]");
    check("打印*", "[打 印]");
    check("\"网络 故障\"", "[网 络 _ 故 障]");
    check("网络\u{3000}故障", "[网 络] [故 障]");
}

#[test]
fn what_only_punctuation_parts_stays_together() {
    check("ann@example.com", "[ann example com]");
    check("10.0.0.1 can't", "[10 0 0 1] [can t]");
    check("http://example.com/a", "[http example com a]");
    check("user@exam*", "user&exam*");
    check("INC0000045 inc00*", "inc0000045 inc00*");
    check("--verbose -x 12:30 a>b 错误:超时", "verbose -x [12 30] [a b] [错 误]&[超 时]");
    check("printer & fire ?", "printer fire");
}

#[test]
fn filters_take_values_and_dates() {
    check("status:Open PRIORITY:urgent", "Status(Open) Priority(Urgent)");
    check("type:none -type:incident", "Type(None) -Type(Some(Incident))");
    check(
        "tag:\"two words\" tag:none tag:\"none\"",
        "Tag(Some(\"two words\")) Tag(None) Tag(Some(\"none\"))",
    );
    check("assignee:me assignee:none", "Assignee(Me) Assignee(None)");
    check(
        "requester:ann@example.com assignee:\"me\"",
        "Requester(Named(\"ann@example.com\")) Assignee(Named(\"me\"))",
    );
    check(
        "channel:email kind:chat group:billing",
        "Channel(Email) Kind(Chat) Group(Some(\"billing\"))",
    );
}

#[track_caller]
fn check_span(query: &str, from: Option<&str>, until: Option<&str>) {
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let Ok(parsed) = parse(query) else { panic!("{query} is refused") };
    let span = match &parsed.groups[0].any[0].literal {
        Literal::Filter(Filter::Created(span) | Filter::Updated(span)) => *span,
        other => panic!("{other:?}"),
    };
    let from = from.map_or(Timestamp::from_micros(i64::MIN), time);
    assert_eq!((span.from, span.until), (from, until.map(time)), "{query}");
}

#[test]
fn a_date_is_a_whole_day_and_a_time_a_moment() {
    check_span("created>2026-11-20", Some("2026-11-21T00:00:00Z"), None);
    check_span("created>=2026-11-20", Some("2026-11-20T00:00:00Z"), None);
    check_span("updated<2026-11-20", None, Some("2026-11-20T00:00:00Z"));
    check_span("updated<=2026-11-20", None, Some("2026-11-21T00:00:00Z"));
    check_span("updated>2026-11-20T12:00:00+02:00", Some("2026-11-20T10:00:00.000001Z"), None);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    refused("", 0, Mistake::Empty);
    refused(" & ", 0, Mistake::Empty);
    refused("打印 \"网络", 3, Mistake::OpenQuote);
    refused("24\" monitor", 2, Mistake::OpenQuote);
    refused("a \"\"", 2, Mistake::EmptyPhrase);
    refused("fire *rinter", 5, Mistake::LeadingWildcard);
    refused("*", 0, Mistake::LeadingWildcard);
    refused("-*x", 1, Mistake::LeadingWildcard);
    refused("?rinter", 0, Mistake::LeadingWildcard);
    refused("pr*ter", 2, Mistake::InnerWildcard);
    refused("pr**", 2, Mistake::InnerWildcard);
    refused("fire tag:*vip", 9, Mistake::FilterWildcard);
    refused("tag:vip*", 4, Mistake::FilterWildcard);
    refused("-requester:*", 11, Mistake::FilterWildcard);
    refused("p*", 1, Mistake::ShortPrefix);
    refused("word~3", 4, Mistake::BadDistance);
    refused("~1", 0, Mistake::BadDistance);
    refused("a.b~1", 3, Mistake::BadDistance);
    refused("打~1", 1, Mistake::BadDistance);
    refused("ab~1", 2, Mistake::ShortFuzzy(1, 3));
    refused("a -", 2, Mistake::LoneMinus);
    refused("OR a", 0, Mistake::LoneOperator("OR"));
    refused("a OR", 2, Mistake::LoneOperator("OR"));
    refused("a OR OR b", 5, Mistake::LoneOperator("OR"));
    refused("a AND", 2, Mistake::LoneOperator("AND"));
    refused("NOT a", 0, Mistake::Not);
    refused("a (b OR c)", 2, Mistake::Parenthesis);
    refused("打印 colour:red", 3, Mistake::UnknownField("colour".to_owned()));
    refused("-colour:red", 1, Mistake::UnknownField("colour".to_owned()));
    refused("status:", 7, Mistake::NoValue("status"));
    refused("tag:\"\"", 4, Mistake::NoValue("tag"));
    refused("created:2026-11-20", 0, Mistake::NotCompared("created"));
    refused("status>open", 0, Mistake::NotADate("status"));
    refused("created>yesterday", 8, Mistake::BadDate);
    refused("created>2026-02-30", 8, Mistake::BadDate);
    let allowed = "new, open, pending, snoozed, hold, solved, closed".to_owned();
    refused("a status:ope", 9, Mistake::UnknownValue { field: "status", allowed });
}

#[test]
fn every_limit_is_named() {
    refused(&"x".repeat(10_000), QUERY_CHARS_MAX, Mistake::Long);
    assert!(parse(&"打".repeat(PHRASE_TOKENS_MAX)).is_ok());
    refused(&"打".repeat(PHRASE_TOKENS_MAX + 1), 0, Mistake::LongPhrase);
    refused(&"a ".repeat(TERMS_MAX + 1), TERMS_MAX * 2, Mistake::ManyTerms);
    assert!(parse(&"wrod~ ".repeat(FUZZY_WORDS_MAX)).is_ok());
    refused(&"wrod~ ".repeat(FUZZY_WORDS_MAX + 1), FUZZY_WORDS_MAX * 6, Mistake::ManyFuzzy);
    refused(&"a OR status:new ".repeat(6), 80, Mistake::ManyAlternatives);
    let error = parse(&"x".repeat(10_000)).expect_err("too long");
    assert_eq!(error.to_string(), "the query is longer than 1000 characters, at character 1001");
}

const PIECES: [&str; 30] = [
    "printer",
    "打印",
    "\"",
    "“",
    "-",
    "*",
    "~",
    "~1",
    "OR",
    "AND",
    "NOT",
    " ",
    " ",
    "status:",
    "open",
    "tag:",
    "none",
    "me",
    "assignee:",
    "created>",
    "2026-11-20",
    ":",
    "(",
    ")",
    "é",
    "🔥",
    "\u{0}",
    "ａ",
    "wrod~1",
    "foo:",
];

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            prop_assert!(error.at <= text.chars().count());
        }
    }

    #[test]
    fn no_mixture_of_its_own_signs_breaks_it(parts in prop::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = parts.into_iter().map(|part| PIECES[part]).collect();
        match parse(&text) {
            Ok(query) => {
                prop_assert!(!query.groups.is_empty());
                let empty = query.wanted_texts().any(|text| matches!(text, Text::Phrase(tokens) if tokens.is_empty()));
                prop_assert!(!empty);
            }
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
    }
}
