//! Each schema against its reader.

mod drift;
mod files;
mod page;
mod spellings;
mod validate;
pub(in crate::config) mod walk;

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::super::diagnostic::{Diagnostic, Diagnostics, Origin, Severity};
use super::super::field::Located;
use super::super::files::Files;
use super::super::layers::Environment;
use super::super::reader::read_table;
use super::super::routes::Around;
use super::super::rule_tests::read_rule_tests;
use super::super::sections::Brought;
use super::super::{positions, routes, sections};
use super::*;
use crate::domain::{CheckDigits, UnixSeconds};
use walk::{Beside, Keys};

/// A kind of file: its schema, and who reads it.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    text: &'static str,
    beside: Beside,
    read: fn(&str) -> Reading,
}

struct Reading {
    /// What was read, without places.
    read: String,
    errors: Vec<Diagnostic>,
}

const KINDS: [Kind; 3] = [
    Kind { name: "config", text: CONFIG, beside: beside_config, read: read_config },
    Kind { name: "routes", text: ROUTES, beside: beside_routes, read: read_routes },
    Kind { name: "tests", text: TESTS, beside: beside_tests, read: read_tests },
];

/// Errors that are not about the value that was written: what it names is not on this machine, or meets
/// another value.
const NOT_OF_THE_VALUE: [&str; 5] = [
    "unreadable-file",
    "unreadable-secret",
    "unusable-certificate",
    "same-address",
    "upstream-is-ourselves",
];

impl Kind {
    fn schema(self) -> Json {
        serde_json::from_str(self.text).unwrap()
    }

    /// The errors that are about values.
    fn refusals(self, file: &str) -> Vec<Diagnostic> {
        // Of the configuration another file may say what is missing, but not what an item of a list lacks.
        let elsewhere = |error: &Diagnostic| {
            self.name == "config" && error.code == "missing-key" && !error.message.contains("[0]")
        };
        let mut errors = (self.read)(file).errors;
        errors.retain(|error| !NOT_OF_THE_VALUE.contains(&error.code) && !elsewhere(error));
        errors
    }

    /// What the schema has against a file.
    fn faults(self, file: &str) -> Vec<String> {
        validate::faults(&self.schema(), &json(file))
    }
}

/// A file as JSON, as an editor takes it.
fn json(file: &str) -> Json {
    let mut diagnostics = Diagnostics::new();
    let root = positions::parse(Path::new("a.yaml"), file.as_bytes(), &mut diagnostics);
    root.and_then(|root| root.to_json())
        .unwrap_or_else(|| panic!("{file}: {}", diagnostics.to_json_lines()))
}

/// Where something was read.
static PLACES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"File\(Place \{[^}]*\}[^)]*\)|Variable\([^)]*\)|Nowhere").unwrap()
});
/// Whether it was stated, for what counts in any case.
static STATED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(party_kinds|subjects): (None|Some\([^)]*\)\)?), ").unwrap());

fn reading(read: &str, diagnostics: &Diagnostics) -> Reading {
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error);
    Reading { read: PLACES.replace_all(read, "").into_owned(), errors: errors.cloned().collect() }
}

fn read_config(file: &str) -> Reading {
    let files = Files::memory([("a.yaml", file.to_owned())]);
    let mut diagnostics = Diagnostics::new();
    let variables = Environment::default();
    let settings =
        positions::read(&files, Path::new("a.yaml"), &mut diagnostics).and_then(|root| {
            read_table(&root, &mut diagnostics, |table| {
                Some(sections::read(table, &variables, Brought::default(), UnixSeconds(0)))
            })
        });
    reading(&format!("{settings:?}"), &diagnostics)
}

fn read_routes(file: &str) -> Reading {
    let files = Files::memory([("p/routes/a.yaml", file.to_owned())]);
    let policies =
        Located { value: "p".into(), path: "policies".to_owned(), origin: Origin::Nowhere };
    let around = Around {
        issuers: &[],
        check_digits: CheckDigits::Lenient,
        policies: None,
        decides_by_policies: false,
        upstream: None,
    };
    let mut diagnostics = Diagnostics::new();
    let (table, _) = routes::read(&files, &policies, around, &mut diagnostics);
    let heeded: Vec<_> =
        table.rules().iter().map(|rule| (rule.party_kinds(), rule.subjects())).collect();
    let table = format!("{table:?}");
    reading(&format!("{heeded:?} {}", STATED.replace_all(&table, "")), &diagnostics)
}

fn read_tests(file: &str) -> Reading {
    let files = Files::memory([("t/a.yaml", file.to_owned())]);
    let mut diagnostics = Diagnostics::new();
    let tests = read_rule_tests(&files, Path::new("t"), &mut diagnostics);
    reading(&format!("{tests:?}"), &diagnostics)
}

fn pairs<const N: usize>(pairs: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    pairs.map(|(key, value)| (key, value.to_owned())).into()
}

/// So that nothing is missing, and what is looked at has an effect.
fn beside_config(path: &str, _: &Keys, key: &str) -> Vec<(&'static str, String)> {
    match (path, key) {
        ("", _) => pairs([
            ("environment", "tt02"),
            ("policies", "../policies"),
            ("upstream", "{ url: 'http://127.0.0.1:8080' }"),
        ]),
        ("upstream", "ca_file") => pairs([("url", "'https://127.0.0.1'")]),
        ("upstream", _) => pairs([("url", "'http://127.0.0.1:8080'")]),
        ("pdp", "mode" | "resources" | "directory") => pairs([("kind", "embedded")]),
        ("pdp", "kind" | "credential") => Vec::new(),
        ("pdp", _) => pairs([("credential", "{ none: true }")]),
        ("pdp.credential.maskinporten", "key_file") => pairs([("client_id", "a")]),
        ("pdp.credential.maskinporten", _) => {
            let key = crate::pdp::credential::samples::sample_key().jwk.to_string();
            vec![("client_id", "a".to_owned()), ("key", format!("'{key}'"))]
        }
        ("tokens.issuers[]", _) => pairs([("kind", "maskinporten")]),
        ("log", "rotate") => pairs([("decisions", "decisions.json")]),
        _ => Vec::new(),
    }
}

const RULE: [(&str, &str); 7] = [
    ("id", "a"),
    ("match", "{ method: GET, path: '/{orgnr}/{id}/{task}' }"),
    // So that not every capture must be read.
    ("object", "upstream"),
    ("resource", "abcd"),
    ("action", "read"),
    ("party", "path:orgnr"),
    ("scopes", "[a]"),
];

/// So that the rule is whole.
fn beside_routes(path: &str, _: &Keys, key: &str) -> Vec<(&'static str, String)> {
    let with = |others: Vec<(&'static str, String)>| {
        let mut rule = pairs(RULE);
        rule.retain(|(key, _)| !others.iter().any(|(other, _)| other == key));
        rule.extend(others);
        rule
    };
    match (path, key) {
        ("", _) => {
            let rule: Vec<_> = RULE.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            vec![("api", "a".to_owned()), ("rules", format!("[{{ {} }}]", rule.join(", ")))]
        }
        ("rules[]", "max_decompressed" | "content_encoding") => with(pairs([
            ("match", "{ method: POST, path: '/' }"),
            ("party", "json:/a"),
            ("content_encoding", "gzip"),
        ])),
        ("rules[]", "namespaces") => with(pairs([("party", "'xml:/p:a'")])),
        ("rules[]", _) => pairs(RULE),
        ("rules[].match", _) => pairs([("method", "GET"), ("path", "'/{orgnr}'")]),
        ("rules[].resource" | "defaults.resource", "map") => pairs([("from", "query:r")]),
        ("rules[].resource" | "defaults.resource", _) => {
            pairs([("from", "query:r"), ("allow", "[abcd]")])
        }
        ("rules[].party", "max" | "many") => {
            pairs([("from", "query:p"), ("many", "all"), ("max", "3")])
        }
        ("rules[].party", "one_of") => Vec::new(),
        ("rules[].party", _) => pairs([("from", "query:p")]),
        ("rules[].instance", _) => pairs([("from", "path:id"), ("as", "resource-instance")]),
        _ => Vec::new(),
    }
}

/// So that the test is whole.
fn beside_tests(path: &str, keys: &Keys, key: &str) -> Vec<(&'static str, String)> {
    match (path, key) {
        ("", "tests") => pairs([("callers", "{ accountant: { raw: {} } }")]),
        ("", _) => pairs([("tests", "[]")]),
        ("tests[]", _) => {
            pairs([("name", "a"), ("request", "GET /"), ("claims", "none"), ("expect", "forward")])
        }
        ("tests[].request", _) => pairs([("method", "GET"), ("target", "/")]),
        ("tests[].pdp", _) => pairs([("decision", "Permit")]),
        ("tests[].expect", "status") => pairs([("outcome", "access-denied")]),
        ("tests[].expect", _) => pairs([("outcome", "forward")]),
        (_, "raw") => Vec::new(),
        _ if keys.contains("broken") => pairs([("broken", "expired"), ("of", "{ raw: {} }")]),
        _ if keys.contains("raw") => pairs([
            ("system_user", "a0000001-0000-4000-8000-000000000001"),
            ("owner", "'314242726'"),
        ]),
        _ => Vec::new(),
    }
}
