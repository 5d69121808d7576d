mod documents;

use super::*;
use crate::config::{self, Colour, Diagnostics, Files, Inputs, Overrides, Runtime};
use crate::domain::SystemClock;
use crate::tasks::Tasks;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const DOCUMENT: &str = r##"
openapi: 3.1.0
info: { title: Mva-melding API }
servers: [{ url: "https://api.example.no/mva/v1/" }]
security: [{ maskinporten: ["skatteetaten:mva"] }]
paths:
  /{orgnr}/melding:
    parameters: [{ $ref: "#/components/parameters/orgnr" }]
    post:
      operationId: sendMelding
      summary: Send en melding
    get: { operationId: sendMelding, deprecated: true }
  /meldinger:
    get:
      operationId: ListMeldinger
      parameters:
        - { name: party, in: query, schema: { type: array, maxItems: 5, items: { type: string } } }
        - { name: side, in: query, schema: { type: integer } }
  /innsending:
    post:
      requestBody:
        content:
          application/json; charset=utf-8:
            schema: { $ref: "#/components/schemas/Innsending" }
  /innsending/{id}:
    delete: {}
  /fil/{navn}.{type}:
    get: {}
  /helse:
    get: { operationId: helse, security: [] }
  /to:
    get:
      parameters:
        - { name: avsender, in: query, required: true, schema: { type: string } }
        - { name: oppdragsgiver, in: query, required: true, schema: { type: string } }
components:
  parameters:
    orgnr: { name: orgnr, in: path, required: true, schema: { type: string, pattern: '^\d{9}$' } }
  schemas:
    Innsending:
      type: object
      required: [avsender, resourceId]
      properties:
        mottaker: { type: string, pattern: '^\d{9}$' }
        avsender: { allOf: [{ $ref: "#/components/schemas/Part" }] }
        resourceId: { type: string }
        selv: { $ref: "#/components/schemas/Innsending" }
    Part:
      type: object
      required: [orgnr]
      properties: { orgnr: { type: string, pattern: '^\d{9}$' } }
"##;

fn document(text: &str) -> (Option<Document>, Diagnostics) {
    document_at(text, None)
}

fn document_at(text: &str, base: Option<&str>) -> (Option<Document>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let files = Files::memory([("api.yaml", text.to_owned())]);
    let document = read(&files, Path::new("api.yaml"), base, &mut diagnostics);
    (document, diagnostics)
}

/// What `check` says of these rules before this API.
fn checked(rules: &str, document: &Document) -> (Option<Coverage>, Vec<String>) {
    let base = "environment: custom\nupstream: { url: 'http://127.0.0.1:9' }\ntokens: { issuers: [{ kind: maskinporten, issuer: 'https://issuer.example.no/', jwks_url: 'https://issuer.example.no/jwks' }] }\npolicies: p\n";
    let files =
        Files::memory([("c.yaml", base.to_owned()), ("p/routes/api.yaml", rules.to_owned())]);
    let point = Arc::new(crate::pdp::Scripted::always(Ok(crate::domain::Decision::Deny)));
    let inputs = Inputs {
        config: vec!["c.yaml".into()],
        files,
        overrides: Overrides { point: Some(point), ..Overrides::default() },
        ..Inputs::default()
    };
    let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
    let mut outcome = config::compile(&inputs, None, &runtime);
    let coverage = outcome.compiled.as_ref().map(|compiled| {
        cover(document, &compiled.snapshot, &outcome.places, &mut outcome.diagnostics)
    });
    let codes = outcome.diagnostics.iter().map(|found| format!("{} {}", found.code, found.message));
    (coverage, codes.collect())
}

/// As whoever owns the API would choose.
fn chosen(yaml: &str) -> String {
    yaml.replace("allow: [TODO]", "allow: [ske-mva-melding]")
        .replace("resource: TODO", "resource: ske-mva-melding")
        .replace("party: TODO", "party: query:oppdragsgiver")
        .replace("protection: TODO", "protection: closed")
}

#[test]
fn each_operation_becomes_a_rule_and_a_person_chooses_the_rest() {
    let (document, found) = document(DOCUMENT);
    assert!(found.is_empty(), "{}", found.to_human(Colour::Plain));
    let document = document.unwrap();
    let proposal = propose(&document, &Wishes::default());
    insta::assert_snapshot!(proposal.to_yaml());
    assert_eq!((proposal.count(), proposal.decided(), proposal.to_choose()), (8, 5, 4));
}

#[test]
fn unfinished_rules_are_refused_and_finished_ones_cover_the_document() {
    let document = document(DOCUMENT).0.unwrap();
    let yaml = propose(&document, &Wishes::default()).to_yaml();
    let (coverage, said) = checked(&yaml, &document);
    assert!(coverage.is_none());
    assert!(said.iter().all(|said| said.starts_with("unfinished-rule")), "{said:#?}");
    assert_eq!(said.len(), 4);
    let (coverage, said) = checked(&chosen(&yaml), &document);
    assert_eq!(said, [""; 0]);
    let coverage = coverage.unwrap();
    let counts = Guard::ALL.map(|guard| coverage.count(guard));
    assert_eq!(counts, [5, 2, 0, 0, 1, 0], "{}", coverage.to_human());
}

#[test]
fn gaps_are_found_for_what_they_are() {
    let document = document(DOCUMENT).0.unwrap();
    let yaml = chosen(&propose(&document, &Wishes::default()).to_yaml());
    for (from, to, expected) in [
        (
            "path: /mva/v1/helse",
            "path: /mva/v1/frisk",
            "uncovered-operation no rule is for `GET /mva/v1/helse`",
        ),
        (
            "from: query:party,",
            "from: query:parti,",
            "missing-source the rule `list-meldinger` reads `query:parti`, and `GET /mva/v1/meldinger` has no such query parameter",
        ),
        (
            "party: json:/avsender/orgnr",
            "party: json:/avsender/nummer",
            "missing-source the rule `post-innsending` reads `json:/avsender/nummer`, and `POST /mva/v1/innsending` has no such value in its JSON body",
        ),
        (
            "party: query:oppdragsgiver",
            "party: header:x-org",
            "missing-source the rule `get-to` reads `header:x-org`, and `GET /mva/v1/to` has no such header",
        ),
        (
            "party: query:oppdragsgiver",
            "party: form:x",
            "missing-source the rule `get-to` reads `form:x`, and `GET /mva/v1/to` has no form body",
        ),
    ] {
        assert!(yaml.contains(from), "{from}");
        let (_, said) = checked(&yaml.replacen(from, to, 1), &document);
        assert!(said.iter().any(|said| said == expected), "{expected}: {said:#?}");
    }
    let closed =
        "  - { id: old, match: { method: GET, path: /mva/v1/gammel }, protection: closed }\n";
    let (_, said) = checked(&format!("{yaml}\n{closed}"), &document);
    assert_eq!(
        said,
        ["rule-without-operation no operation of the document falls under the rule `old`"]
    );
}

#[test]
fn the_likeliest_party_is_proposed() {
    let of = |parameters: &str, body: &str| {
        let text = format!(
            "openapi: 3.0.3\ninfo: {{ title: a }}\npaths: {{ \"/a/{{id}}\": {{ post: {{ parameters: [{parameters}], requestBody: {{ content: {{ application/json: {{ schema: {{ type: object, properties: {{ {body} }} }} }} }} }} }} }} }}\n"
        );
        let (document, found) = document(&text);
        let document = document.unwrap_or_else(|| panic!("{}", found.to_human(Colour::Plain)));
        let yaml = propose(&document, &Wishes::default()).to_yaml();
        let party =
            yaml.lines().find_map(|line| line.trim().strip_prefix("party: ").map(str::to_owned));
        party.unwrap_or_else(|| "none".to_owned())
    };
    let query = |name: &str, schema: &str| {
        format!("{{ name: {name}, in: query, required: true, schema: {{ {schema} }} }}")
    };
    for (parameters, body, expected) in [
        (query("orgnr", "type: string"), "", "query:orgnr"),
        (query("recipientOrgnr", "type: string"), "", "none"),
        (query("systemProviderOrgNo", "type: string"), "", "none"),
        (query("kunde", r"type: string, pattern: '^\d{9}$'"), "", "query:kunde"),
        (
            query("kunde", r"allOf: [{ type: string, pattern: '^\d{9}$' }], description: whose"),
            "",
            "query:kunde",
        ),
        (
            query("kunde", r"anyOf: [{ type: string, pattern: '^\d{9}$' }, { type: 'null' }]"),
            "",
            "query:kunde",
        ),
        (query("kunde", "type: string, examples: ['0192:313750531']"), "", "query:kunde"),
        (query("kunde", "type: string"), "", "none"),
        (query("orgnr", "type: string"), "sender: { type: string }", "query:orgnr"),
        (query("side", "type: integer"), "sender: { type: string }", "json:/sender"),
        (query("onBehalfOf", "type: string") + ", " + &query("orgnr", "type: string"), "", "TODO"),
        (
            String::new(),
            "recipients: { type: array, items: { type: string, pattern: '^[0-9]{9}$' } }",
            "none",
        ),
        (
            String::new(),
            "parties: { type: array, items: { type: object, properties: { orgnr: { type: string } } } }",
            "{ from: \"json:/parties/*/orgnr\", many: all, max: 20 }",
        ),
        (
            String::new(),
            "owner: { type: string, description: the organization number of the owner }",
            "json:/owner",
        ),
    ] {
        assert_eq!(of(&parameters, body), expected, "{parameters} {body}");
    }
}

#[test]
fn what_is_no_document_is_said() {
    for (text, expected) in [
        ("swagger: '2.0'\n", "not-openapi"),
        ("openapi: 2.9.0\n", "not-openapi"),
        ("[]", "not-openapi"),
        ("openapi: 3.1.0\nwebhooks: { w: { post: {} } }\n", "no-operations"),
        ("openapi: [", "yaml"),
    ] {
        let (document, found) = document(text);
        assert!(document.is_none());
        let codes: Vec<_> = found.iter().map(|found| found.code).collect();
        assert!(codes.iter().any(|code| code.starts_with(expected)), "{text}: {codes:?}");
    }
}

#[test]
fn what_a_reference_does_not_lead_to_is_told() {
    let of = |paths: &str| {
        let text = format!(
            "openapi: 3.0.3\npaths: {{ /ok: {{ get: {{}} }}, {paths} }}\ncomponents: {{ schemas: {{ Loop: {{ $ref: '#/components/schemas/Loop' }}, 'A B/C': {{ type: string }} }} }}\n"
        );
        let (_, found) = document(&text);
        found
            .iter()
            .map(|found| format!("{} {}", found.severity, found.message))
            .collect::<Vec<_>>()
    };
    let body = |schema: &str| {
        let schema = format!("schema: {{ $ref: '{schema}' }}");
        format!(
            "/b: {{ post: {{ requestBody: {{ content: {{ application/json: {{ {schema} }} }} }} }} }}"
        )
    };
    for (paths, expected) in [
        // Operations that are elsewhere must not pass for none.
        (
            "/a: { $ref: ./a.yaml }".to_owned(),
            "error `./a.yaml` is in another file, which is not read",
        ),
        (
            "/a: { get: { parameters: [{ $ref: '#/components/parameters/x' }] } }".to_owned(),
            "error `#/components/parameters/x` leads nowhere in this document",
        ),
        (
            "/a: { post: { requestBody: { $ref: '#/components/requestBodies/x' } } }".to_owned(),
            "error `#/components/requestBodies/x` leads nowhere in this document",
        ),
        (
            body("#/components/schemas/Loop"),
            "warning `#/components/schemas/Loop` leads nowhere in this document",
        ),
        (body("other.yaml#/X"), "warning `other.yaml#/X` is in another file, which is not read"),
    ] {
        assert_eq!(of(&paths), [expected], "{paths}");
    }
    assert_eq!(of(&body("#/components/schemas/A%20B~1C")), [""; 0]);
    assert_eq!(
        of(
            "/a: { get: { parameters: [{ $ref: '#/paths/~1p/get/parameters/0' }] } }, /p: { get: { parameters: [{ in: query, name: q }] } }"
        ),
        [""; 0]
    );
}

#[test]
fn the_path_of_the_nearest_server_is_before_that_of_the_operation() {
    let text = "openapi: 3.0.3
servers: [{ url: 'https://{host}/{v}/', variables: { v: { default: v1 }, host: { default: a.example } } }]
paths:
  /a: { get: {}, post: { servers: [{ url: /own }] } }
  b: { servers: [{ url: 'https://b.example' }], get: {} }
  /c: { servers: [{ url: '/{unknown}' }], get: {} }
  x-internal: { get: {} }
";
    let (document, found) = document(text);
    let said: Vec<_> = found.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(said, ["where paths of the server `/{unknown}` begin is not known"]);
    let yaml = propose(document.as_ref().unwrap(), &Wishes::default()).to_yaml();
    let paths: Vec<_> =
        yaml.split(" path: ").skip(1).map(|it| it.split(' ').next().unwrap()).collect();
    assert_eq!(paths, ["/v1/a", "/own/a", "/b", "/c"]);
    let (document, found) = document_at(text, Some("/x/"));
    assert!(found.is_empty(), "{}", found.to_human(Colour::Plain));
    let yaml = propose(document.as_ref().unwrap(), &Wishes::default()).to_yaml();
    assert_eq!(yaml.matches(" path: /x/").count(), 4, "{yaml}");
}

#[test]
fn paths_of_any_letters_are_covered_by_their_own_rules() {
    let text = "openapi: 3.0.3\nsecurity: [{ m: [s] }]\npaths: { '/skjema/ærlig & sånn/{id}': { get: {}, trace: {} }, /a%20b: { get: {} }, '/c:run': { get: { parameters: [{ in: path, name: orgnr, required: true }] } } }\n";
    let (document, found) = document(text);
    assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), ["never-forwarded"]);
    let document = document.unwrap();
    let (coverage, said) = checked(&propose(&document, &Wishes::default()).to_yaml(), &document);
    assert_eq!(said, [""; 0]);
    assert_eq!(coverage.unwrap().count(Guard::Uncovered), 0);
}

/// A path of a document: words, parameters, and mixtures of them, some after each other's ways.
fn a_path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("a"),
        Just("b"),
        Just("mine"),
        Just("{id}"),
        Just("{orgnr}"),
        Just("{x}.json"),
        Just("{x}-{y}"),
        Just("v1:run"),
        Just("~"),
        Just("æ"),
    ];
    proptest::collection::vec(segment, 1..4)
        .prop_map(|segments| format!("/{}", segments.join("/")))
        .prop_filter("no name twice", |path| {
            let mut names: Vec<_> = path.split('{').skip(1).collect();
            names.sort_unstable();
            names.windows(2).all(|two| two[0].split('}').next() != two[1].split('}').next())
        })
}

/// An operation: whom it speaks for, what it is secured by, and its body.
fn an_operation() -> impl Strategy<Value = serde_json::Value> {
    let parameter = |name: &str, place: &str, schema: serde_json::Value| serde_json::json!({ "name": name, "in": place, "required": true, "schema": schema });
    let number = serde_json::json!({ "type": "string", "pattern": "^\\d{9}$" });
    let parameters = prop_oneof![
        Just(vec![]),
        Just(vec![parameter("party", "query", number.clone())]),
        Just(vec![parameter("X-Party", "header", number.clone())]),
        Just(vec![parameter("side", "query", serde_json::json!({ "type": "integer" }))]),
        Just(vec![parameter("resourceId", "query", serde_json::json!({ "type": "string" }))]),
        Just(vec![parameter(
            "parties",
            "query",
            serde_json::json!({ "type": "array", "items": number })
        )]),
    ];
    let security = prop_oneof![
        Just(serde_json::json!([{ "m": ["s:read"] }])),
        Just(serde_json::json!([{ "m": ["s:read", "s:write"] }])),
        Just(serde_json::json!([{ "m": ["s:read"] }, { "m": ["s:admin"] }])),
        Just(serde_json::json!([])),
        Just(serde_json::json!([{}, { "m": ["s:read"] }])),
    ];
    let body = prop_oneof![
        Just(serde_json::Value::Null),
        Just(
            serde_json::json!({ "type": "object", "properties": { "avsender": { "type": "string", "pattern": "^\\d{9}$" } } })
        ),
        Just(
            serde_json::json!({ "type": "array", "items": { "type": "object", "properties": { "orgnr": { "type": "string" } } } })
        ),
        Just(
            serde_json::json!({ "oneOf": [{ "type": "object", "properties": { "sender": { "type": "string" } } }, { "type": "string" }] })
        ),
    ];
    let kind = prop_oneof![
        Just("application/json"),
        Just("application/x-www-form-urlencoded"),
        Just("application/xml"),
        Just("multipart/form-data"),
    ];
    (parameters, security, body, kind).prop_map(|(parameters, security, body, kind)| {
        let mut operation = serde_json::json!({ "parameters": parameters, "security": security });
        if !body.is_null() {
            operation["requestBody"] =
                serde_json::json!({ "content": { kind: { "schema": body } } });
        }
        operation
    })
}

/// With the first that comments name wherever the party is to be chosen.
fn answered(yaml: &str) -> String {
    let mut answered = String::new();
    let mut named = "";
    for line in yaml.lines() {
        if let Some((_, after)) = line.split_once("the party may be `")
            && !named.contains(':')
        {
            named = after.split('`').next().unwrap();
        }
        if line.trim().is_empty() {
            named = "";
        }
        let party = if named.contains(':') { named } else { "xml:/melding/avsender" };
        let answer = format!("party: {party}\n    object: upstream");
        answered.push_str(&line.replace("party: TODO", &answer));
        answered.push('\n');
    }
    answered
}

proptest! {
    /// With the choices made, each operation falls under its own rule alone, and `check` has nothing to say.
    #[test]
    fn every_finished_proposal_covers_its_document(
        paths in proptest::collection::btree_map(
            a_path(),
            proptest::collection::btree_map(
                prop_oneof![Just("get"), Just("post"), Just("put"), Just("delete"), Just("head"), Just("options")],
                an_operation(),
                1..3,
            ),
            1..5,
        ),
    ) {
        let text = serde_json::json!({ "openapi": "3.1.0", "info": { "title": "API" }, "paths": paths }).to_string();
        let (document, found) = document(&text);
        let Some(document) = document else {
            return Err(TestCaseError::fail(found.to_human(Colour::Plain)));
        };
        let yaml = propose(&document, &Wishes::default()).to_yaml();
        let yaml = chosen(&answered(&yaml)).replace("scopes: TODO", "scopes: [\"s:read\"]");
        let (coverage, said) = checked(&yaml, &document);
        // That a party's own paths go on is for a person to judge; as are scopes, of which any were answered.
        let is_judged = |said: &&String| !["unused-capture", "other-callers"].iter().any(|code| said.starts_with(code));
        let said: Vec<_> = said.iter().filter(is_judged).collect();
        prop_assert!(said.is_empty(), "{said:#?}\n{yaml}");
        for covered in coverage.unwrap().operations {
            prop_assert_eq!(covered.rules.len(), 1, "{}\n{}", covered.operation, yaml);
            prop_assert_ne!(covered.guard, Guard::Uncovered);
        }
    }
}

proptest! {
    /// Whatever the names in a document are, the proposal is read, and nothing but choices is missing.
    #[test]
    fn every_proposal_is_a_file_of_rules(
        name in "\\PC{1,12}", path in "(/([a-z{}.*%~ åÅ;:-]{0,6})){1,3}", title in "\\PC{0,12}", id in "\\PC{0,8}", scope in "[a-z:\"' ]{1,8}",
    ) {
        let text = serde_json::json!({
            "openapi": "3.0.0", "info": { "title": title },
            "security": [{ "m": [scope] }],
            "paths": { path: { "get": { "operationId": id, "summary": name, "parameters": [
                { "name": name, "in": "query", "schema": { "type": "string", "pattern": "^\\d{9}$" } },
            ] } } },
        });
        let (document, _) = document(&text.to_string());
        let Some(document) = document else { return Ok(()) };
        let yaml = propose(&document, &Wishes::default()).to_yaml();
        let (_, said) = checked(&yaml, &document);
        let known = ["unfinished-rule", "invalid-value", "invalid-scope", "invalid-rule", "no-body-to-read", "unusual-path"];
        prop_assert!(said.iter().all(|said| known.iter().any(|code| said.starts_with(code))), "{said:#?}\n{yaml}");
    }
}
