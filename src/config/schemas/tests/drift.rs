//! Keys, words, defaults, limits and examples: what the schema says, and what the reader does.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::walk::{Place, places, tables, target};
use super::*;

/// Where the reader does not list the words it takes.
const UNLISTED: [&str; 5] =
    ["defaults.scopes", "pdp.credential.none", "rules[].cache", "rules[].scopes", "server.workers"];

fn words_of(help: &str) -> Option<BTreeSet<String>> {
    let (_, known) = help.split_once("known here: ")?;
    Some(known.split(", ").map(|word| word.trim_matches('`').to_owned()).collect())
}

/// What the reader has against the value of this key or item, and not against others around it.
fn refusals_at(kind: Kind, place: &Place<'_>, file: &str) -> Vec<String> {
    let path = place.written();
    let about = |error: &Diagnostic| {
        error.message.starts_with(&format!("`{path}"))
            || error.message.contains(&format!(" `{path}"))
            || error.code == "invalid-rule"
    };
    let refusals = kind.refusals(file).into_iter().filter(about);
    refusals.map(|error| format!("{}: {} ({:?})", error.code, error.message, error.help)).collect()
}

#[test]
fn the_schemas_and_the_readers_know_the_same_keys() {
    for kind in KINDS {
        let tables = tables(&kind.schema(), kind.beside);
        assert!(tables.len() > 5, "{}", kind.name);
        for walk::Table { path, around: (before, after), keys } in tables {
            let file = format!("{before}a_key_that_nothing_knows: 1{after}");
            let found = (kind.read)(&file).errors;
            let unknown: Vec<_> =
                found.iter().filter(|found| found.code == "unknown-key").collect();
            let [unknown] = unknown[..] else { panic!("{}: {path}: {found:?}", kind.name) };
            let known = words_of(unknown.help.as_deref().unwrap()).unwrap();
            assert_eq!(known, keys, "{}: {path}", kind.name);
        }
    }
}

#[test]
fn every_key_is_described() {
    for kind in KINDS {
        let schema = kind.schema();
        for place in places(&schema, kind.beside).iter().filter(|place| place.is_property) {
            let own = place.schema.get("description");
            let behind = target(&schema, place.schema).and_then(|it| it.get("description"));
            let said = own.or(behind).and_then(Json::as_str).unwrap_or_default();
            assert!(said.ends_with('.'), "{}: `{said}`", place.path);
        }
    }
}

#[test]
fn the_schemas_and_the_readers_take_the_same_words() {
    let mut unlisted = BTreeSet::new();
    let of_others = Regex::new("^(unused-key|invalid-rule):").unwrap();
    for kind in KINDS {
        let schema = kind.schema();
        let mut words = BTreeMap::<String, (Place<'_>, BTreeSet<String>)>::new();
        for place in places(&schema, kind.beside) {
            let listed = place.schema["enum"].as_array().into_iter().flatten();
            let listed: Vec<_> = listed.chain(place.schema.get("const")).collect();
            for word in &listed {
                let refused = refusals_at(kind, &place, &place.file(&word.to_string()));
                assert!(refused.iter().all(|it| of_others.is_match(it)), "{word}: {refused:?}");
            }
            if !listed.is_empty() {
                let text = |word: &Json| word.as_str().map_or(word.to_string(), str::to_owned);
                let (_, words) =
                    words.entry(place.path.clone()).or_insert_with(|| (place.clone(), [].into()));
                words.extend(listed.into_iter().map(text));
            }
        }
        for (path, (place, words)) in words {
            let refusals = kind.refusals(&place.file("a-word-that-nothing-knows"));
            assert!(!refusals.is_empty(), "{path}");
            match refusals.iter().find_map(|error| words_of(error.help.as_deref()?)) {
                Some(known) => assert_eq!(known, words, "{path}"),
                None => assert!(unlisted.insert(path)),
            }
        }
    }
    assert_eq!(unlisted, UNLISTED.map(str::to_owned).into());
}

#[test]
fn the_defaults_of_the_schemas_are_those_of_the_readers() {
    let mut count = 0;
    for kind in KINDS {
        let schema = kind.schema();
        let places = places(&schema, kind.beside);
        for place in places.iter().filter(|place| place.schema.get("default").is_some()) {
            count += 1;
            let file = place.file(&place.schema["default"].to_string());
            let (stated, refused) = ((kind.read)(&file), kind.refusals(&file));
            assert!(refused.is_empty(), "{file}: {refused:?}");
            let absent = (kind.read)(place.without.as_ref().unwrap());
            assert_eq!(stated.read, absent.read, "{}", place.path);
            // And another would have been seen.
            let differs = |other: &Json| {
                let file = place.file(&other.to_string());
                let refused = refusals_at(kind, place, &file);
                // A rule that may not be so is left out, which shows too.
                refused.iter().all(|it| it.starts_with("invalid-rule"))
                    && (kind.read)(&file).read != absent.read
            };
            let others = others(&schema, place);
            let only = place.schema["enum"].as_array().is_some_and(|words| words.len() == 1);
            assert!(only || others.iter().any(differs), "{}: {others:?}", place.path);
        }
    }
    assert!(count > 50, "{count}");
}

/// Values that differ from the default.
fn others(schema: &Json, place: &Place<'_>) -> Vec<Json> {
    let mut at = vec![place.schema];
    at.extend(target(schema, place.schema));
    at.extend(place.schema["anyOf"].as_array().into_iter().flatten());
    let lists = at.iter().flat_map(|at| [&at["examples"], &at["enum"]]);
    let mut others: Vec<Json> =
        lists.flat_map(|list| list.as_array().cloned().unwrap_or_default()).collect();
    others.extend(at.iter().filter_map(|at| at.get("minimum").cloned()));
    others.extend([serde_json::json!("another"), serde_json::json!(true)]);
    others.retain(|other| *other != place.schema["default"]);
    others
}

#[test]
fn the_limits_of_the_schemas_are_those_of_the_readers() {
    let said = Regex::new("From `([^`]+)` to `([^`]+)`").unwrap();
    let must = Regex::new("must lie between ([^ ]+) and ([^ ]+)$").unwrap();
    let mut count = 0;
    for kind in KINDS {
        let schema = kind.schema();
        for place in places(&schema, kind.beside).iter().filter(|place| place.is_property) {
            let at = place.schema;
            let too_much = match at["$ref"].as_str() {
                Some("#/$defs/duration") => "99999d",
                Some("#/$defs/size") => "9999GiB",
                _ if at["type"] == "integer" => "99999999999",
                _ => continue,
            };
            count += 1;
            let description = at["description"].as_str().unwrap();
            let said = said.captures(description).unwrap_or_else(|| panic!("{}", place.path));
            let (least, most) = (&said[1], &said[2]);
            for limit in [least, most] {
                let refused = refusals_at(kind, place, &place.file(limit));
                let outside = |it: &String| must.is_match(it) || it.contains("is not from");
                assert!(!refused.iter().any(outside), "{refused:?}");
            }
            if at["type"] == "integer" {
                let stated = [at["minimum"].to_string(), at["maximum"].to_string()];
                assert_eq!(stated, [least, most], "{}", place.path);
                let below = at["minimum"].as_u64().unwrap().checked_sub(1);
                let above = at["maximum"].as_u64().unwrap() + 1;
                for outside in below.into_iter().chain([above]) {
                    let refused = kind.refusals(&place.file(&outside.to_string()));
                    assert!(!refused.is_empty(), "{}: {outside}", place.path);
                }
            }
            let refused = kind.refusals(&place.file(too_much));
            match refused.iter().find_map(|error| must.captures(&error.message)) {
                Some(must) => assert_eq!((&must[1], &must[2]), (least, most), "{}", place.path),
                // Judged with the rule, after it was read.
                None => assert_eq!(place.path, "rules[].party.max", "{refused:?}"),
            }
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn the_readers_and_the_schemas_take_every_example() {
    let mut count = 0;
    for kind in KINDS {
        let schema = kind.schema();
        let places = places(&schema, kind.beside);
        for place in &places {
            for example in place.schema["examples"].as_array().into_iter().flatten() {
                count += 1;
                let example = example.to_string();
                let taken =
                    |place: &Place<'_>| refusals_at(kind, place, &place.file(&example)).is_empty();
                // One of its own fits here, and one that is shared somewhere.
                let mut shared =
                    places.iter().filter(|other| std::ptr::eq(other.schema, place.schema));
                let refused = refusals_at(kind, place, &place.file(&example));
                assert!(shared.any(taken), "{}: {example}: {refused:?}", place.path);
                if refused.is_empty() {
                    assert_eq!(kind.faults(&place.file(&example)), [""; 0], "{example}");
                }
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn what_the_schemas_refer_to_is_there_and_used() {
    for (name, text) in
        [("directory", DIRECTORY)].into_iter().chain(KINDS.map(|kind| (kind.name, kind.text)))
    {
        let schema: Json = serde_json::from_str(text).unwrap();
        let mut missing: BTreeSet<&str> =
            schema["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
        for reference in text.split("\"#/$defs/").skip(1) {
            let reference = reference.split('"').next().unwrap();
            assert!(schema["$defs"].get(reference).is_some(), "{name}: {reference}");
            missing.remove(reference);
        }
        assert_eq!(missing, BTreeSet::new(), "{name}: never referred to");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
}
