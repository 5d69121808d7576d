//! Whether a value is as a schema says: what JSON Schema (draft 2020-12) defines, as far as our schemas use
//! it. A keyword that is not known here is a fault of the test, not ignored.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::Value as Json;

use super::walk::target;

/// What the schema has against the value: where, and by which keyword. Empty for nothing.
pub(in crate::config) fn faults(root: &Json, value: &Json) -> Vec<String> {
    let mut faults = Vec::new();
    check(root, root, value, "", &mut faults);
    faults
}

fn is_valid(root: &Json, schema: &Json, value: &Json) -> bool {
    let mut faults = Vec::new();
    check(root, schema, value, "", &mut faults);
    faults.is_empty()
}

fn check(root: &Json, schema: &Json, value: &Json, at: &str, faults: &mut Vec<String>) {
    let schema = match schema {
        Json::Bool(true) => return,
        Json::Bool(false) => return faults.push(format!("{at}: nothing may be here")),
        Json::Object(schema) => schema,
        Json::Null | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            panic!("{schema} is no schema")
        }
    };
    for (keyword, says) in schema {
        let before = faults.len();
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" => true,
            "$ref" => {
                let reference = Json::Object(schema.clone());
                check(root, target(root, &reference).unwrap(), value, at, faults);
                true
            }
            "type" => types(says).any(|kind| is_of(kind, value)),
            "enum" => says.as_array().unwrap().contains(value),
            "const" => says == value,
            "anyOf" => variants(says).any(|one| is_valid(root, one, value)),
            "oneOf" => variants(says).filter(|one| is_valid(root, one, value)).count() == 1,
            "allOf" => variants(says).all(|one| is_valid(root, one, value)),
            "not" => !is_valid(root, says, value),
            "if" => {
                let branch = if is_valid(root, says, value) { "then" } else { "else" };
                schema.get(branch).is_none_or(|branch| is_valid(root, branch, value))
            }
            "then" | "else" => schema.contains_key("if"),
            "pattern" => value.as_str().is_none_or(|text| pattern(says).is_match(text)),
            "minLength" => length(value).is_none_or(|length| length >= number(says)),
            "maxLength" => length(value).is_none_or(|length| length <= number(says)),
            "minimum" => value.as_f64().is_none_or(|value| value >= says.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|value| value <= says.as_f64().unwrap()),
            "items" | "minItems" | "maxItems" | "uniqueItems" => {
                in_list(root, keyword, says, value, at, faults)
            }
            "properties"
            | "additionalProperties"
            | "propertyNames"
            | "required"
            | "dependentRequired"
            | "maxProperties" => in_table(root, schema, keyword, value, at, faults),
            other => panic!("the keyword {other} is not known to this test"),
        };
        if !holds && faults.len() == before {
            faults.push(format!("{at}: {keyword}"));
        }
    }
}

fn in_list(
    root: &Json,
    keyword: &str,
    says: &Json,
    value: &Json,
    at: &str,
    faults: &mut Vec<String>,
) -> bool {
    let Some(list) = value.as_array() else { return true };
    match keyword {
        "items" => {
            for (index, item) in list.iter().enumerate() {
                check(root, says, item, &format!("{at}[{index}]"), faults);
            }
            true
        }
        "minItems" => list.len() >= number(says),
        "maxItems" => list.len() <= number(says),
        _ => list.iter().enumerate().all(|(index, item)| !list[..index].contains(item)),
    }
}

fn in_table(
    root: &Json,
    schema: &serde_json::Map<String, Json>,
    keyword: &str,
    value: &Json,
    at: &str,
    faults: &mut Vec<String>,
) -> bool {
    let Some(table) = value.as_object() else { return true };
    let says = &schema[keyword];
    let has = |names: &Json| {
        names.as_array().unwrap().iter().all(|name| table.contains_key(name.as_str().unwrap()))
    };
    match keyword {
        "properties" => {
            for (key, below) in says.as_object().unwrap() {
                if let Some(value) = table.get(key) {
                    check(root, below, value, &format!("{at}.{key}"), faults);
                }
            }
            true
        }
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Json::as_object);
            for (key, value) in table {
                if known.is_none_or(|known| !known.contains_key(key)) {
                    check(root, says, value, &format!("{at}.{key}"), faults);
                }
            }
            true
        }
        "propertyNames" => table.keys().all(|key| is_valid(root, says, &Json::from(key.as_str()))),
        "required" => has(says),
        "dependentRequired" => says
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, names)| !table.contains_key(key) || has(names)),
        _ => table.len() <= number(says),
    }
}

fn types(says: &Json) -> impl Iterator<Item = &str> {
    let one = says.as_str().into_iter();
    one.chain(says.as_array().into_iter().flatten().map(|kind| kind.as_str().unwrap()))
}

fn is_of(kind: &str, value: &Json) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn variants(says: &Json) -> impl Iterator<Item = &Json> {
    says.as_array().unwrap().iter()
}

thread_local! {
    /// To make one takes longer than all the rest.
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::default();
}

fn pattern(says: &Json) -> Regex {
    let text = says.as_str().unwrap();
    PATTERNS.with_borrow_mut(|patterns| {
        let made = || Regex::new(text).unwrap();
        patterns.entry(text.to_owned()).or_insert_with(made).clone()
    })
}

fn length(value: &Json) -> Option<usize> {
    Some(value.as_str()?.chars().count())
}

fn number(says: &Json) -> usize {
    usize::try_from(says.as_u64().unwrap()).unwrap()
}

#[test]
fn the_keywords_mean_what_they_say() {
    let schema = serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["a"],
        "not": { "required": ["b", "c"] },
        "dependentRequired": { "d": ["b"] },
        "properties": {
            "a": { "type": ["integer", "string"], "minimum": 1, "maximum": 3, "pattern": "^[0-9]+$" },
            "b": { "anyOf": [{ "const": "off" }, { "$ref": "#/$defs/list" }] },
            "c": { "type": "object", "propertyNames": { "maxLength": 1 }, "maxProperties": 1, "additionalProperties": { "enum": [1] } },
            "d": { "oneOf": [{ "type": "string", "minLength": 2 }, { "type": "string", "pattern": "^x" }] },
            "e": { "if": { "const": 1 }, "then": false, "else": { "type": "integer" } }
        },
        "$defs": { "list": { "type": "array", "items": { "type": "boolean" }, "minItems": 1, "maxItems": 2, "uniqueItems": true } }
    });
    for (value, expected) in [
        (r#"{"a": 1}"#, true),
        (r#"{"a": "77"}"#, true),
        (r#"{"a": 4}"#, false),
        (r#"{"a": 0}"#, false),
        (r#"{"a": 1.5}"#, false),
        (r#"{"a": "x"}"#, false),
        (r#"{"a": null}"#, false),
        ("{}", false),
        ("[]", false),
        (r#"{"a": 1, "z": 1}"#, false),
        (r#"{"a": 1, "b": "off"}"#, true),
        (r#"{"a": 1, "b": [true, false]}"#, true),
        (r#"{"a": 1, "b": [true, true]}"#, false),
        (r#"{"a": 1, "b": []}"#, false),
        (r#"{"a": 1, "b": [1]}"#, false),
        (r#"{"a": 1, "c": {"x": 1}}"#, true),
        (r#"{"a": 1, "c": {"xx": 1}}"#, false),
        (r#"{"a": 1, "c": {"x": 2}}"#, false),
        (r#"{"a": 1, "c": {"x": 1, "y": 1}}"#, false),
        (r#"{"a": 1, "b": "off", "c": {}}"#, false),
        (r#"{"a": 1, "d": "x"}"#, false),
        (r#"{"a": 1, "b": "off", "d": "x"}"#, true),
        (r#"{"a": 1, "b": "off", "d": "yy"}"#, true),
        (r#"{"a": 1, "b": "off", "d": "x2"}"#, false),
        (r#"{"a": 1, "e": 2}"#, true),
        (r#"{"a": 1, "e": 1}"#, false),
    ] {
        let value: Json = serde_json::from_str(value).unwrap();
        let faults = faults(&schema, &value);
        assert_eq!(faults.is_empty(), expected, "{value}: {faults:?}");
    }
}
