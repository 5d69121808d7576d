use std::collections::BTreeSet;

use super::*;

fn load(text: &str) -> (Vec<RuleTest>, Vec<String>) {
    let files = Files::memory([("t/a.yaml", text.to_owned())]);
    let mut diagnostics = Diagnostics::new();
    let tests = read_rule_tests(&files, Path::new("t"), &mut diagnostics);
    let found =
        diagnostics.sorted().iter().map(|it| format!("{} {}", it.code, it.origin)).collect();
    (tests, found)
}

#[test]
fn the_tests_of_the_examples_permit_and_refuse_by_every_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut diagnostics = Diagnostics::new();
    let tests = read_rule_tests(&Files::Disk, &folder.join("tests"), &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.to_json_lines());
    let by = |forwarded: bool| -> BTreeSet<String> {
        let fits =
            |test: &&RuleTest| (test.expect.outcome == ExpectedOutcome::Forward) == forwarded;
        tests.iter().filter(fits).filter_map(|test| test.expect.rule.clone()).collect()
    };
    let mut rules = BTreeSet::new();
    for path in Files::Disk.list(&folder.join("routes"), "yaml").unwrap() {
        let root = positions::read(&Files::Disk, &path, &mut diagnostics).unwrap();
        let super::super::tree::Value::List(listed) = &root.get("rules").unwrap().value else {
            panic!()
        };
        for rule in listed {
            let super::super::tree::Value::Scalar(id) = &rule.get("id").unwrap().value else {
                panic!()
            };
            rules.insert(id.text().to_owned());
        }
    }
    assert_eq!(by(true), rules);
    // Nothing refuses what is public.
    rules.remove("health");
    assert!(rules.is_subset(&by(false)), "{:?}", by(false));
}

#[test]
fn short_and_long_forms_are_read() {
    let (tests, found) = load(
        r#"
callers:
  us: { system_user: a0000001-0000-4000-8000-000000000001, owner: "314242726", scopes: [a, b] }
tests:
  - { name: short, request: GET /a?b=c, claims: us, pdp: Permit, expect: forward }
  - name: long
    request: { method: POST, target: /a, host: api.example.no, headers: { X-A: [b, c] }, body: { a: "1", b: 2 } }
    claims: { broken: expired, of: us }
    pdp: { decision: Permit, minimum_level: 4, unknown_obligation: true }
    expect: { rule: r, outcome: access-denied, status: 403, decision: Deny, question: { party: ["312714051"], action: read } }
  - { name: raw, request: GET /, claims: { raw: { iss: x, n: [1, true, null] } }, pdp: embedded, expect: token-missing }
  - { name: nobody, request: GET /, claims: none, expect: token-missing }
"#,
    );
    assert_eq!(found, [""; 0]);
    let [short, long, raw, nobody] = &tests[..] else { panic!() };
    assert_eq!(
        (short.request.target.as_str(), &short.expect.outcome),
        ("/a?b=c", &ExpectedOutcome::Forward)
    );
    assert_eq!(short.origin.to_string(), "t/a.yaml:5:13");
    assert_eq!(long.request.body, r#"{"a":"1","b":2}"#);
    let headers: Vec<_> = long.request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["x-a", "x-a", "content-type"]);
    let TestClaims::Broken(BrokenToken::Expired, TokenClaims::SystemUser { scopes, .. }) =
        &long.claims
    else {
        panic!()
    };
    assert_eq!(scopes.len(), 2);
    assert_eq!(long.expect.outcome, ExpectedOutcome::Refused(DenialCode::AccessDenied));
    let TestClaims::Sound(TokenClaims::Raw(claims)) = &raw.claims else { panic!() };
    assert_eq!(Json::Object(claims.clone()).to_string(), r#"{"iss":"x","n":[1,true,null]}"#);
    assert_eq!((&nobody.claims, &nobody.pdp), (&TestClaims::Nobody, &None));
}

#[test]
fn mistakes_are_found_at_their_place_and_the_other_tests_stand() {
    let good = "  - { name: good, request: GET /, claims: none, expect: forward }\n";
    for (keys, expected) in [
        ("request: GET /, claims: none, expect: forward", "missing-key t/a.yaml:3:5"),
        ("name: a, request: GET, claims: none, expect: forward", "invalid-value t/a.yaml:3:25"),
        ("name: a, request: GET /, claims: us, expect: forward", "invalid-value t/a.yaml:3:40"),
        ("name: a, request: GET /, claims: none, expect: denied", "invalid-value t/a.yaml:3:54"),
        (
            "name: a, request: GET /, claims: none, pdp: permit, expect: forward",
            "invalid-value t/a.yaml:3:51",
        ),
        (
            "name: a, request: GET /, claims: none, expect: { outcome: access-denied, status: 401 }",
            "invalid-value t/a.yaml:3:80",
        ),
        (
            "name: a, request: GET /, claims: none, expect: { outcome: forward, status: 403 }",
            "invalid-value t/a.yaml:3:74",
        ),
        (
            "name: a, request: GET /, claims: none, expect: forward, pdb: Deny",
            "unknown-key t/a.yaml:3:63",
        ),
        (
            "name: a, request: GET /, claims: { raw: {}, owner: x }, expect: forward",
            "unused-key t/a.yaml:3:51",
        ),
    ] {
        let (tests, found) = load(&format!("tests:\n{good}  - {{ {keys} }}\n"));
        assert_eq!(found, [expected], "{keys}");
        assert_eq!(tests[0].name, "good");
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let files = Files::memory([("t/a.yaml", bytes)]);
        read_rule_tests(&files, Path::new("t"), &mut Diagnostics::new());
    }
}
