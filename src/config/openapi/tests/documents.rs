//! Documents as agencies write them: what is proposed of each, and what is found when rules are held against it.

use super::*;

/// A document of these paths, in which callers need a token.
fn with(paths: &str) -> String {
    format!("openapi: 3.1.0\ninfo: {{ title: a }}\nsecurity: [{{ m: ['s:a'] }}]\npaths:\n{paths}\n")
}

/// What is proposed: everything after the heading.
fn proposed(paths: &str) -> String {
    let (document, found) = document(&with(paths));
    let document = document.unwrap_or_else(|| panic!("{}", found.to_human(Colour::Plain)));
    let yaml = propose(&document, &Wishes::default()).to_yaml();
    yaml.split_once("rules:\n").unwrap().1.to_owned()
}

/// What is said of these rules before an API with these paths.
fn said(paths: &str, rules: &str) -> Vec<String> {
    let (document, found) = document(&with(paths));
    let document = document.unwrap_or_else(|| panic!("{}", found.to_human(Colour::Plain)));
    let rules = format!(
        "api: a\ndefaults: {{ resource: ske-mva-melding, scopes: ['s:a'] }}\nrules:\n{rules}\n"
    );
    checked(&rules, &document).1
}

#[test]
fn what_asks_for_a_token_is_never_proposed_without() {
    for path in ["/m/{id}.pdf", "/m/{x}-{y}", "/m/{id}:cancel", r"/m/{orgnr:[0-9]{9}}/x"] {
        let paths = format!("  '{path}': {{ get: {{}} }}");
        let rules = proposed(&paths);
        assert!(!rules.contains("protection: TODO"), "{rules}");
        let document = document(&with(&paths)).0.unwrap();
        let tests = propose(&document, &Wishes::default()).tests_to_yaml();
        assert!(tests.contains("outcome: token-missing"), "{tests}");
    }
    let party = proposed(r"  '/m/{orgnr:[0-9]{9}}/x': { get: {} }");
    assert!(party.contains("path: \"/m/{orgnr}/x\"") && party.contains("party: path:orgnr"));
    let part = proposed("  '/m/{orgnr}.pdf': { get: {} }");
    assert!(part.contains("`orgnr` in a part of a segment, which no rule reads"), "{part}");
    assert!(part.contains("protection: token") && part.contains("object: upstream"), "{part}");
}

#[test]
fn operations_that_no_rule_tells_apart_share_one() {
    let rules = proposed(
        "  '/m/{id}:cancel': { post: {} }\n  '/m/{id}:approve': { post: { security: [{ m: ['s:b'] }] }, get: {} }",
    );
    assert_eq!(rules.matches("  - id: ").count(), 2, "{rules}");
    assert!(rules.contains("also `POST /m/{id}:approve`, which no rule tells apart"), "{rules}");
    assert!(rules.contains("scopes: TODO"), "{rules}");
}

#[test]
fn a_guess_is_told_with_its_rivals() {
    let number = r"schema: { type: string, pattern: '^\d{9}$' }";
    let body = |media: &str, properties: &str, required: &str| {
        format!(
            "requestBody: {{ content: {{ {media}: {{ schema: {{ type: object, required: [{required}], properties: {{ {properties} }} }} }} }} }}"
        )
    };
    for (path, operation, expected) in [
        ("/a/{orgnr}", String::new(), &["the party is `path:orgnr` by its name"][..]),
        ("/a/{sender}", String::new(), &["the party is `path:sender` by its name"]),
        (
            "/a/{saknr}",
            format!("parameters: [{{ in: path, name: saknr, {number} }}]"),
            &["the party is `path:saknr` by its pattern alone"],
        ),
        (
            "/a/{saknr}",
            format!("parameters: [{{ in: path, name: saknr, {number} }}, {{ in: query, name: orgnr, required: true }}]"),
            &["the party may be `path:saknr`, `query:orgnr`", "party: TODO"],
        ),
        (
            "/a/{orgnr}",
            body("application/json", "skattepliktig: { type: string }", "skattepliktig"),
            &["the party may be `path:orgnr`, `json:/skattepliktig`", "party: TODO"],
        ),
        (
            "/a/{orgnr}",
            body("application/json", "skattepliktig: { type: string }", ""),
            &["it could also be `json:/skattepliktig`", "party: path:orgnr"],
        ),
        (
            "/a",
            body("application/xml", "avsender: { type: string }", "avsender"),
            &["`avsender` in the body (application/xml): `xml:` and the way to it", "party: TODO"],
        ),
        (
            "/a",
            body("multipart/form-data", "avsender: { type: string }", "avsender"),
            &["`avsender` in the body (multipart/form-data), which no rule reads", "object: upstream"],
        ),
        ("/a", body("'*/*'", "avsender: { type: string }", "avsender"), &["party: json:/avsender"]),
        (
            "/a",
            "requestBody: { content: { application/json: { schema: { properties: { avsender: { type: string } } } }, application/x-www-form-urlencoded: { schema: { properties: { avsender: { type: string } } } } } }".to_owned(),
            &["callers with a body of application/x-www-form-urlencoded are refused", "party: json:/avsender"],
        ),
        (
            "/a/{fnr}",
            String::new(),
            &["party: path:fnr", "party_kinds: person"],
        ),
        (
            "/a/{id}",
            "parameters: [{ in: header, name: X-Orgnr, required: true }]".to_owned(),
            &["party: header:X-Orgnr", "object: upstream"],
        ),
        (
            "/a",
            "requestBody: { content: { application/json: { schema: { $ref: '#/x-base', properties: { orgnr: { type: string } } } } } }".to_owned(),
            &["party: json:/orgnr"],
        ),
    ] {
        let rules = proposed(&format!("  '{path}': {{ post: {{ {operation} }} }}\nx-base: {{ type: object }}"));
        for expected in expected {
            assert!(rules.contains(expected), "{path} {operation}\n{expected}\n{rules}");
        }
    }
}

#[test]
fn nothing_under_a_path_is_lost() {
    let of = |paths: &str| {
        let (document, found) = document(&with(paths));
        let count = document.map_or(0, |document| document.operations.len());
        (count, found.iter().map(|it| format!("{} {}", it.code, it.message)).collect::<Vec<_>>())
    };
    for (paths, count, expected) in [
        ("  /a: { get: {}, GET: {} }", 1, &["lost-operation `GET` is no method of a path"][..]),
        ("  /a: { get: {}, gett: {} }", 1, &["lost-operation `gett` is no method of a path"]),
        ("  /a: { $ref: '#/x-item', delete: {} }\nx-item: { get: {}, x-mine: 1 }", 2, &[]),
        (
            "  /a?b=c: { get: {} }",
            1,
            &["unusual-path `?b=c` is no part of a path, and is left out"],
        ),
        (
            "  /a//b: { get: {} }\n  /c: { get: {} }",
            1,
            &["never-forwarded `GET /a//b` is never forwarded: no request may have such a path"],
        ),
        (
            "  /a: { get: {} }\nservers: [{ url: v2 }]",
            1,
            &["uncertain-base where paths of the server `v2` begin is not known"],
        ),
        ("  /a: { get: {} }\nservers: [{ url: 'https://a/v1' }, { url: 'https://b/v1/' }]", 1, &[]),
        (
            "  /a: { get: {} }\nservers: [{ url: 'https://a/v1' }, { url: 'https://a/v2' }]",
            1,
            &[
                "uncertain-base the servers have several paths; those of the first are taken, which begin with `/v1/`",
            ],
        ),
    ] {
        assert_eq!(
            of(paths),
            (count, expected.iter().map(|it| (*it).to_owned()).collect()),
            "{paths}"
        );
    }
}

#[test]
fn a_rule_that_lets_others_in_than_the_document_is_told() {
    let rule = |rest: &str| format!("  - {{ id: r, match: {{ method: GET, path: /a }}, {rest} }}");
    let of = |security: &str, rest: &str| {
        let paths = format!("  /a: {{ get: {{ {security} }} }}");
        said(&paths, &rule(rest))
            .into_iter()
            .filter(|it| it.starts_with("other"))
            .collect::<Vec<_>>()
    };
    let token = "protection: token";
    for (security, rest, expected) in [
        ("", token, None),
        ("", "protection: public", Some("the document asks for a token, and the rule for nothing")),
        ("", "protection: closed", None),
        ("security: []", "protection: public", None),
        ("security: [{ bearer: [] }]", token, None),
        (
            "",
            "protection: token, scopes: ['s:b']",
            Some("the document asks for `s:a`, and the rule for `s:b`"),
        ),
        (
            "",
            "protection: token, scopes: none",
            Some("the document asks for `s:a`, and the rule for none"),
        ),
        (
            "",
            "protection: token, scopes: ['s:a', 's:b']",
            Some("the document asks for `s:a`, and the rule for `s:a` and `s:b`"),
        ),
        (
            "security: [{ m: ['s:b'] }, { m: ['s:a'] }]",
            "protection: token, scopes: { any: ['s:a', 's:b'] }",
            None,
        ),
        ("security: [{ m: ['s:b', 's:c'] }, { m: ['s:a'] }]", token, None),
        ("security: { m: ['s:a'] }", token, None),
    ] {
        let expected: Vec<_> = expected
            .map(|it| format!("other-callers {it}: `GET /a`, rule `r`"))
            .into_iter()
            .collect();
        assert_eq!(of(security, rest), expected, "{security} {rest}");
    }
}

#[test]
fn each_listed_value_is_looked_up_that_a_rule_has_for_itself() {
    let values: Vec<_> = (0..40).map(|nth| format!("t{nth}")).collect();
    for (value, path) in [("t37", "/k/t37"), ("næring", "/k/næring"), ("a b", "/k/a b")] {
        let listed = format!("{}, '{value}'", values.join(", "));
        let paths = format!(
            "  '/k/{{type}}': {{ get: {{ parameters: [{{ in: path, name: type, schema: {{ enum: [{listed}] }} }}] }} }}"
        );
        let rules = format!(
            "  - {{ id: all, match: {{ method: GET, path: '/k/{{type}}' }}, protection: token, object: upstream }}\n  - {{ id: one, match: {{ method: GET, path: '{path}' }}, protection: token }}"
        );
        let said = said(&paths, &rules);
        assert!(said.iter().any(|it| it.starts_with("divided-operation")), "{said:#?}");
    }
}

#[test]
fn a_capture_that_stands_elsewhere_in_the_document_is_told() {
    let paths = "  '/s/{orgnr}/sak/{saksnr}': { get: {} }";
    let rule = |path: &str| {
        format!(
            "  - {{ id: r, match: {{ method: GET, path: '{path}' }}, action: read, party: path:orgnr }}"
        )
    };
    let of = |path: &str| {
        let said = said(paths, &rule(path));
        said.into_iter().filter(|it| it.starts_with("missing-source")).collect::<Vec<_>>()
    };
    assert_eq!(
        of("/s/{saksnr}/sak/{orgnr}"),
        [
            "missing-source the rule `r` reads `path:orgnr`, and `GET /s/{orgnr}/sak/{saksnr}` has `{saksnr}` there, and `{orgnr}` elsewhere"
        ]
    );
    assert_eq!(of("/s/{orgnr}/sak/{id}"), [""; 0]);
}
