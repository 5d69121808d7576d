//! No schema is stricter than its reader, however a value is spelt; and both refuse the usual mistakes.

use std::collections::BTreeMap;

use super::walk::places;
use super::*;

/// Values in every spelling that some reader takes, and some that none does.
#[rustfmt::skip]
const SPELLINGS: &[&str] = &[
    // Nothing, truths, numbers, and the same as text.
    "", "~", "null", "\"\"", "' '", "true", "false", "'true'", "True", "yes", "0", "1", "3", "5", "'3'", "012", "-1",
    "1.5", "1e3", "100", "404", "403", "'404'", "9223372036854775807", "99999999999999999999",
    // Durations and sizes.
    "0s", "5s", "1m", "250ms", "1h30m", "1d", "1m1ms", "007s", "'5s'", "5 s", "10m", "1024", "'65536'", "65536",
    "64KiB", "1MiB", "1GiB", "5B", "70000B", "1MB",
    // Words.
    "off", "on", "none", "any", "all", "none at all", "upstream", "GET", "get", "[GET, POST]", "[any]", "a", "abcd",
    "a.b-c_d", "A/b:c", "[a]", "[a, b]", "[5, true]", "[]", "[[]]", "{}", "{ any: [a, b] }", "{ any: a }",
    "{ a: b }", "{ a: 1, b: true }", "[abcd, 1234]", "urn:altinn:resource:abcd", "\"skatteetaten:a\"", "forward",
    "access-denied", "system-user", "[system-user, person]", "Permit",
    // Identifiers.
    "312714051", "\"312714051\"", "'0192:312714051'", "['312714051', 313750531]", "012345678",
    "a0000001-0000-4000-8000-000000000001", "A0000001-0000-4000-8000-00000000000A",
    "urn:altinn:party:uuid:a0000001-0000-4000-8000-000000000001", "/organisation/312714051",
    // Addresses, networks, paths, sources.
    "127.0.0.1:7091", "'[::1]:7091'", "localhost:7091", "unix:/run/a.sock", "[10.0.0.0/8, '::1']", "api.example.no:8443",
    "HTTPS://Api.Example.NO", "'/{orgnr}/a'", "path:orgnr", "[query:a, 'json:/a/b']", "'json:/a'", "token:consumer",
    "\"const:æ b\"", "xml:/p:a",
];

#[test]
fn what_a_reader_takes_its_schema_takes() {
    let mut taken = BTreeMap::<String, usize>::new();
    for kind in KINDS {
        let schema = kind.schema();
        for place in places(&schema, kind.beside) {
            // Once for each place, whatever stands behind its reference.
            if place.path.is_empty() || taken.contains_key(&place.path) {
                continue;
            }
            let mut count = 0;
            let own = [&place.schema["examples"], &place.schema["enum"]];
            let own = own.into_iter().flat_map(|own| own.as_array().into_iter().flatten());
            let own: Vec<String> = own.map(Json::to_string).collect();
            for spelling in SPELLINGS.iter().copied().chain(own.iter().map(String::as_str)) {
                let file = place.file(spelling);
                if kind.refusals(&file).is_empty() {
                    count += 1;
                    assert_eq!(validate::faults(&schema, &json(&file)), [""; 0], "{file}");
                }
            }
            taken.insert(place.path, count);
        }
    }
    let tried = taken.values().filter(|count| **count > 0).count();
    let untried: Vec<_> = taken.iter().filter(|(_, count)| **count == 0).collect();
    assert!(tried > 5 * untried.len(), "{untried:?}");
}

/// A mistake: what is written in place of what, in a file that is right.
struct Mistake(&'static str, &'static str);

const CONFIG_FILE: &str = "\
environment: tt02
server: { listen: 127.0.0.1:7080, hosts: [api.example.no], limits: { header_timeout: 5s, max_headers: 50, max_header_bytes: 64KiB } }
upstream: { url: http://127.0.0.1:8080, authorization: strip }
tokens: { issuers: [{ kind: maskinporten, algorithms: [RS256] }] }
pdp: { credential: { none: true }, system_user_authentication_level: 3, multi_request: on }
policies: ../policies
log: { format: human, decisions: off }
mode: shadow
";
const ROUTES_FILE: &str = "\
api: tax
case: insensitive
defaults: { resource: ske-mva-melding, scopes: { any: [a, b] } }
rules:
  - id: one
    match: { method: [GET, POST], path: '/mva/{orgnr}', query: { version: 2 } }
    action: write
    party: path:orgnr
    party_kinds: [organization, person]
    cache: { permit_ttl: 30s }
    max_body: 65536
    vendors: ['314330897']
  - id: two
    match: { method: any, path: /b }
    action: read
    party: { from: query:party, many: all, max: 20 }
    scopes: none
    cache: off
  - { id: three, match: { method: GET, path: /c }, protection: public }
";
const TESTS_FILE: &str = "\
callers:
  us: { system_user: a0000001-0000-4000-8000-000000000001, owner: '314242726', scopes: [a] }
tests:
  - { name: one, request: GET /a, claims: us, pdp: Permit, expect: forward }
  - name: two
    request: { method: POST, target: /a, headers: { X-A: [b, 5] }, body: { a: 1 } }
    claims: { broken: expired, of: us }
    pdp: { decision: Deny, minimum_level: 4 }
    expect: { outcome: token-expired, status: 401, question: { party: '312714051' } }
";

const MISTAKES: [(&str, &str, &[Mistake]); 3] = [
    (
        "config",
        CONFIG_FILE,
        &[
            Mistake("policies:", "policy:"),
            Mistake("header_timeout", "header_timeouts"),
            Mistake("5s", "5"),
            Mistake("5s", "5sec"),
            Mistake("5s", "[5s]"),
            Mistake("50", "fifty"),
            Mistake("50", "'50'"),
            Mistake("50", "7"),
            Mistake("64KiB", "64KB"),
            Mistake("127.0.0.1:7080", "127.0.0.1"),
            Mistake("127.0.0.1:7080", "[]"),
            Mistake("[api.example.no]", "{ a: b }"),
            Mistake("[api.example.no]", "[api/b]"),
            Mistake("tt02", "test"),
            Mistake("http://127.0.0.1:8080", "127.0.0.1:8080"),
            Mistake("strip", "remove"),
            Mistake("kind: maskinporten, ", ""),
            Mistake("maskinporten", "Maskinporten"),
            Mistake("[RS256]", "[HS256]"),
            Mistake("[RS256]", "RS256"),
            Mistake("[RS256]", "[]"),
            Mistake("none: true", "none: false"),
            Mistake("none: true", "none: yes"),
            Mistake("level: 3", "level: 5"),
            Mistake("multi_request: on", "multi_request: yes"),
            Mistake("human", "text"),
            Mistake("../policies", "''"),
            Mistake("../policies", "[a]"),
            Mistake("mode: shadow", "mode: off"),
        ],
    ),
    (
        "routes",
        ROUTES_FILE,
        &[
            Mistake("id: one\n    match", "match"),
            Mistake("id: one", "di: one"),
            Mistake("id: one", "id: one rule"),
            Mistake("api: tax", "apis: tax"),
            Mistake("api: tax\n", ""),
            Mistake("case: insensitive", "case: ignore"),
            Mistake("party: path:orgnr", "party: orgnr"),
            Mistake("party: path:orgnr", "party: [path:orgnr]"),
            Mistake("party: path:orgnr", "party: { from: path:orgnr, one_of: [query:a, query:b] }"),
            Mistake("party: path:orgnr", "party: cookie:a"),
            Mistake(", max: 20", ""),
            Mistake("max: 20", "max: 200"),
            Mistake("max: 20", "max: many"),
            Mistake("many: all", "many: some"),
            Mistake("[organization, person]", "[organisation]"),
            Mistake("scopes: none", "scopes: no"),
            Mistake("scopes: none", "scopes: a"),
            Mistake("scopes: none", "scopes: { all: [a] }"),
            Mistake("any: [a, b]", "any: a"),
            Mistake("cache: off", "cache: no"),
            Mistake("permit_ttl: 30s", "permit_ttl: 30"),
            Mistake("permit_ttl: 30s", "ttl: 30s"),
            Mistake("max_body: 65536", "max_body: large"),
            Mistake("'314330897'", "'31433089'"),
            Mistake("'/mva/{orgnr}'", "'mva/{orgnr}'"),
            Mistake("'/mva/{orgnr}'", "'/mva/{orgnr'"),
            Mistake("[GET, POST]", "[get]"),
            Mistake(", path: /c", ""),
            Mistake("protection: public", "protection: open"),
            Mistake("protection: public", "protected: false"),
            Mistake("action: read", "action: [read]"),
            Mistake("action: read", "action: to read"),
        ],
    ),
    (
        "tests",
        TESTS_FILE,
        &[
            Mistake("name: one, ", ""),
            Mistake("name: one", "names: one"),
            Mistake("GET /a", "/a"),
            Mistake("pdp: Permit", "pdp: permit"),
            Mistake("pdp: Permit", "pdb: Permit"),
            Mistake("expect: forward", "expect: permitted"),
            Mistake("expect: forward", "expect: [forward]"),
            Mistake(", expect: forward", ""),
            Mistake("broken: expired", "broken: old"),
            Mistake(", of: us", ""),
            Mistake("decision: Deny, ", ""),
            Mistake("minimum_level: 4", "minimum_level: 7"),
            Mistake("status: 401", "status: '401'"),
            Mistake("status: 401", "status: 4010"),
            Mistake("status: 401", "code: 401"),
            Mistake("'312714051'", "'31271405'"),
            Mistake("owner: '314242726', ", ""),
            Mistake("owner: '314242726'", "raw: {}, owner: '314242726'"),
            Mistake("owner: '314242726'", "owner: us"),
            Mistake("a0000001-0000-4000-8000-000000000001", "a0000001"),
            Mistake("scopes: [a]", "scopes: a"),
            Mistake("X-A: [b, 5]", "'X A': b"),
            Mistake(", target: /a", ""),
        ],
    ),
];

#[test]
fn the_usual_mistakes_are_refused_by_both() {
    for (name, right, mistakes) in MISTAKES {
        let kind = KINDS.into_iter().find(|kind| kind.name == name).unwrap();
        assert_eq!(kind.faults(right), [""; 0], "{name}");
        let refused = (kind.read)(right).errors;
        assert!(refused.is_empty(), "{name}: {refused:?}");
        for Mistake(from, to) in mistakes {
            let wrong = right.replacen(from, to, 1);
            assert_ne!(wrong, right, "{from}");
            assert!(!(kind.read)(&wrong).errors.is_empty(), "{name}: the reader takes `{to}`");
            assert!(!kind.faults(&wrong).is_empty(), "{name}: the schema takes `{to}`");
        }
    }
}
