//! Whether one JSON Schema follows another by additions alone, so that what matched still matches.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// Keywords that only describe: they may change freely.
const ANNOTATIONS: [&str; 5] = ["title", "description", "examples", "$comment", "deprecated"];
/// Keywords whose value maps names to schemas: entries may be added.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords whose value is one schema.
const SINGLE: [&str; 4] = ["items", "additionalProperties", "propertyNames", "contains"];
/// Keywords whose value is a list of alternatives: alternatives may be added.
const ALTERNATIVES: [&str; 2] = ["oneOf", "anyOf"];
/// Keywords whose value is a list of schemas with fixed places.
const PLACED: [&str; 2] = ["allOf", "prefixItems"];

/// One way in which a schema breaks its predecessor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Break {
    /// JSON Pointer to the place in the schema.
    at: String,
    what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}: {}", self.at, self.what)
    }
}

/// Every change from `old` to `new` that is no addition. Additions are: an optional property, a
/// definition, a value of an enumeration, an alternative, and any text that only describes.
pub(crate) fn breaks(old: &Value, new: &Value) -> Vec<Break> {
    let mut found = Vec::new();
    compare(old, new, "", &mut found);
    found
}

fn compare(old: &Value, new: &Value, at: &str, found: &mut Vec<Break>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            found.push(Break { at: at.to_owned(), what: format!("{old} became {new}") });
        }
        return;
    };
    let keywords: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for keyword in keywords {
        let at = format!("{at}/{keyword}");
        compare_keyword(keyword, old.get(keyword), new.get(keyword), &at, found);
    }
}

fn compare_keyword(
    keyword: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    at: &str,
    found: &mut Vec<Break>,
) {
    let mut broken = |what: String| found.push(Break { at: at.to_owned(), what });
    match (old, new) {
        _ if ANNOTATIONS.contains(&keyword) => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) if NAMED.contains(&keyword) => {
            compare_named(old, new, at, found);
        }
        (None, Some(Value::Object(_))) if NAMED.contains(&keyword) => {}
        (old, new) if keyword == "required" => {
            let (old, new) = (words(old), words(new));
            new.difference(&old).for_each(|name| broken(format!("{name} became required")));
            old.difference(&new).for_each(|name| broken(format!("{name} became optional")));
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if keyword == "enum" => {
            let gone = old.iter().filter(|value| !new.contains(value));
            gone.for_each(|value| broken(format!("{value} is gone")));
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if ALTERNATIVES.contains(&keyword) => {
            compare_alternatives(old, new, at, found);
        }
        (Some(Value::Array(old)), Some(Value::Array(new)))
            if PLACED.contains(&keyword) && old.len() == new.len() =>
        {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(old, new, &format!("{at}/{index}"), found);
            }
        }
        (Some(old), Some(new)) if SINGLE.contains(&keyword) => compare(old, new, at, found),
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => broken(format!("{old} became {new}")),
        (Some(old), None) => broken(format!("{old} is gone")),
        (None, Some(new)) => broken(format!("{new} is new")),
        (None, None) => {}
    }
}

fn compare_named(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    found: &mut Vec<Break>,
) {
    for (name, schema) in old {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match new.get(name) {
            Some(new) => compare(schema, new, &at, found),
            None => found.push(Break { at, what: "is gone".to_owned() }),
        }
    }
}

/// Every old alternative lives on in some new one, wherever that stands.
fn compare_alternatives(old: &[Value], new: &[Value], at: &str, found: &mut Vec<Break>) {
    for (index, alternative) in old.iter().enumerate() {
        if new.iter().any(|candidate| breaks(alternative, candidate).is_empty()) {
            continue;
        }
        let at = format!("{at}/{index}");
        match new.get(index) {
            Some(same_place) => compare(alternative, same_place, &at, found),
            None => found.push(Break { at, what: "the alternative is gone".to_owned() }),
        }
    }
}

fn words(list: Option<&Value>) -> BTreeSet<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn follows(old: &Value, new: &Value) {
        assert_eq!(breaks(old, new), Vec::new());
    }

    #[track_caller]
    fn broken(old: &Value, new: &Value, expected: &str) {
        let found: Vec<String> = breaks(old, new).iter().map(ToString::to_string).collect();
        assert_eq!(found, [expected]);
    }

    fn ticket() -> Value {
        json!({
            "title": "Opened",
            "type": "object",
            "properties": {
                "subject": {"type": "string"},
                "status": {"$ref": "#/$defs/Status"},
                "origin": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["subject"],
            "$defs": {"Status": {"enum": ["new", "open"]}},
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut schema = ticket();
        *schema.pointer_mut(pointer).expect("the pointer names a place in the ticket") = value;
        schema
    }

    #[test]
    fn a_schema_follows_itself() {
        follows(&ticket(), &ticket());
    }

    #[test]
    fn an_optional_property_is_an_addition() {
        let mut new = ticket();
        new["properties"]["tags"] = json!({"type": "array"});
        follows(&ticket(), &new);
    }

    #[test]
    fn the_first_properties_and_definitions_are_additions() {
        let new = json!({"type": "object", "properties": {"a": true}, "$defs": {"A": true}});
        follows(&json!({"type": "object"}), &new);
    }

    #[test]
    fn a_value_of_an_enumeration_is_an_addition() {
        follows(&ticket(), &with("/$defs/Status/enum", json!(["open", "hold", "new"])));
    }

    #[test]
    fn an_alternative_is_an_addition_wherever_it_stands() {
        let alternatives = json!([{"type": "integer"}, {"type": "string"}, {"type": "null"}]);
        follows(&ticket(), &with("/properties/origin/anyOf", alternatives));
    }

    #[test]
    fn a_description_may_change() {
        follows(&ticket(), &with("/title", json!("A ticket was opened")));
    }

    #[test]
    fn a_property_that_is_gone_breaks() {
        let mut new = ticket();
        new["properties"].as_object_mut().expect("properties").remove("subject");
        broken(&ticket(), &new, "#/properties/subject: is gone");
    }

    #[test]
    fn a_changed_type_breaks_wherever_it_stands() {
        let new = with("/properties/subject/type", json!("integer"));
        broken(&ticket(), &new, r##"#/properties/subject/type: "string" became "integer""##);
    }

    #[test]
    fn a_new_required_property_breaks() {
        let new = with("/required", json!(["subject", "status"]));
        broken(&ticket(), &new, "#/required: status became required");
    }

    #[test]
    fn a_property_that_became_optional_breaks() {
        broken(&ticket(), &with("/required", json!([])), "#/required: subject became optional");
    }

    #[test]
    fn a_value_that_left_an_enumeration_breaks() {
        let new = with("/$defs/Status/enum", json!(["open"]));
        broken(&ticket(), &new, r##"#/$defs/Status/enum: "new" is gone"##);
    }

    #[test]
    fn an_alternative_that_is_gone_breaks() {
        let new = with("/properties/origin/anyOf", json!([{"type": "string"}]));
        broken(&ticket(), &new, "#/properties/origin/anyOf/1: the alternative is gone");
    }

    #[test]
    fn a_new_limit_breaks() {
        let new = with("/properties/subject", json!({"type": "string", "maxLength": 9}));
        broken(&ticket(), &new, "#/properties/subject/maxLength: 9 is new");
    }

    #[test]
    fn a_changed_reference_breaks() {
        let new = with("/properties/status/$ref", json!("#/$defs/Other"));
        broken(
            &ticket(),
            &new,
            r##"#/properties/status/$ref: "#/$defs/Status" became "#/$defs/Other""##,
        );
    }
}
