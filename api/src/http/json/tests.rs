//! What is read, and how refusals read.

use std::collections::BTreeMap;

use docket_schemas::{Scalar, Status};
use serde_json::{Value, json};

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    subject: String,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    requester: Option<Requester>,
    #[serde(default)]
    custom_fields: BTreeMap<String, Scalar>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requester {
    id: String,
}

#[track_caller]
fn refusal(document: impl AsRef<[u8]>) -> Value {
    let problem = parse::<Body>(document.as_ref()).unwrap_err();
    serde_json::to_value(&problem).unwrap()
}

#[track_caller]
fn check_field(document: &str, field: &str, message: &str) {
    let refusal = refusal(document);
    assert_eq!(refusal["code"], "invalid", "{document}: {refusal}");
    assert_eq!(refusal["errors"][0]["field"], field, "{document}: {refusal}");
    let said = refusal["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains(message), "{document}: {said}");
}

#[track_caller]
fn check_malformed(document: impl AsRef<[u8]>, line: u32, column: u32) {
    let refusal = refusal(document);
    let place = (&refusal["code"], &refusal["line"], &refusal["column"]);
    assert_eq!(place, (&json!("malformed_json"), &json!(line), &json!(column)), "{refusal}");
}

#[test]
fn a_body_of_the_right_shape_is_read() {
    let document = r#"{"subject":"a\u00e9","status":"open","tags":["x"],"requester":{"id":"c"},
        "custom_fields":{"a":1,"b":-1.5,"c":null,"d":true,"e":"text"}}"#;
    let body: Body = parse(document.as_bytes()).unwrap();
    assert_eq!((body.subject.as_str(), body.status), ("aé", Some(Status::Open)));
    assert_eq!(body.custom_fields["a"], Scalar::Integer(1));
    assert_eq!(body.custom_fields["c"], Scalar::Null);
    assert_eq!(body.requester, Some(Requester { id: "c".into() }));
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    check_malformed("", 1, 0);
    check_malformed("{\"subject\":\n\"a\",}", 2, 5);
    check_malformed("{\"subject\":\"a\"} x", 1, 17);
    check_malformed(r#"{"subject":"\ud800"}"#, 1, 19);
    check_malformed(b"{\"subject\":\"\xff\"}", 1, 13);
    check_malformed(r#"{"subject":1e999}"#, 1, 16);
    assert_eq!(refusal("[".repeat(100_000))["code"], "malformed_json");
}

#[test]
fn a_field_of_the_wrong_shape_is_named_by_its_path() {
    check_field("[]", "", "expected an object");
    check_field("{}", "subject", "required");
    check_field(r#"{"subject":null}"#, "subject", "is null");
    check_field(r#"{"subject":7}"#, "subject", "is a number");
    check_field(r#"{"subject":"a","extra":1}"#, "extra", "not a known field");
    check_field(r#"{"subject":"a","requester":{"id":"c","x":1}}"#, "requester.x", "not a known");
    check_field(r#"{"subject":"a","requester":["c"]}"#, "requester", "expected an object");
    check_field(r#"{"subject":"a","requester":{}}"#, "requester.id", "required");
    check_field(r#"{"subject":"a","tags":["x",1]}"#, "tags[1]", "is a number");
    check_field(r#"{"subject":"a","status":"gone"}"#, "status", "one of new, open");
    check_field(r#"{"subject":"a","status":{"open":null}}"#, "status", "one of new, open");
    check_field(
        r#"{"subject":"a","custom_fields":{"k":[]}}"#,
        "custom_fields.k",
        "neither a string",
    );
}

#[test]
fn keys_given_twice_are_refused_wherever_they_stand() {
    check_field(r#"{"subject":"a","subject":"a"}"#, "subject", "twice");
    check_field(r#"{"subject":"a","\u0073ubject":"a"}"#, "subject", "twice");
    check_field(r#"{"subject":"a","custom_fields":{"k":1,"k":1}}"#, "custom_fields.k", "twice");
    let many: Vec<_> = (0..40).map(|number| format!("\"k{}\":1", number % 39)).collect();
    let document = format!(r#"{{"subject":"a","custom_fields":{{{}}}}}"#, many.join(","));
    check_field(&document, "custom_fields.k0", "twice");
}

#[test]
fn nul_characters_are_refused_in_texts_and_keys() {
    check_field(r#"{"subject":"a\u0000b"}"#, "subject", "NUL");
    check_field(r#"{"subject":"a","tags":["x","\u0000"]}"#, "tags[1]", "NUL");
    check_field(r#"{"subject":"a","custom_fields":{"k\u0000":1}}"#, "custom_fields.k\\0", "NUL");
}

#[test]
fn a_body_of_too_many_values_is_refused_before_it_takes_memory() {
    let document = format!(r#"{{"tags":[{}1]}}"#, "1,".repeat(JSON_VALUES_MAX));
    check_field(&document, &format!("tags[{}]", JSON_VALUES_MAX - 2), "too many");
    assert_eq!(refusal(&document)["errors"][0]["limit"], JSON_VALUES_MAX);
}

#[test]
fn a_finding_repeats_no_more_than_the_beginning_of_a_long_key() {
    let key = "ü".repeat(40_000);
    let cut = format!("{}…", "ü".repeat(100));
    check_field(&format!(r#"{{"{key}":{{"a":"\u0000"}}}}"#), &format!("{cut}.a"), "NUL");
    check_field(&format!(r#"{{"{key}":1,"{key}":2}}"#), &cut, "twice");
    check_field(&format!(r#"{{"{key}\u0000":1}}"#), &cut, "NUL");
    let whole = "k".repeat(100);
    check_field(&format!(r#"{{"{whole}":1,"{whole}":1}}"#), &whole, "twice");
}

#[test]
fn thousands_of_findings_below_a_long_key_cost_no_more_than_those_that_are_named() {
    let key = "k".repeat(40_000);
    let named = |inner: &str| {
        let document = format!(r#"{{"{key}":{{{}}}}}"#, inner.repeat(1_000) + r#""end":1"#);
        refusal(document)["errors"].as_array().map_or(0, Vec::len)
    };
    for inner in [r#""a\u0000":1,"#, r#""a":"\u0000","#, r#""a":1,"#] {
        assert_eq!(named(inner), 20, "{inner}");
    }
}
