use std::fmt::Write as _;
use std::path::PathBuf;

use super::*;
use crate::config::diagnostic::Severity;
use crate::token::KeyLocation;

fn issuers() -> Vec<IssuerSettings> {
    vec![IssuerSettings::new(IssuerKind::Maskinporten, "a", KeyLocation::Static("".into()))]
}

fn load(files: &[(&str, &str)], issuers: &[IssuerSettings]) -> (RouteTable, Diagnostics) {
    let files = files.iter().map(|(name, text)| (format!("p/routes/{name}"), (*text).to_owned()));
    let policies =
        Located { value: PathBuf::from("p"), path: "policies".to_owned(), origin: Origin::Nowhere };
    let around = Around {
        issuers,
        check_digits: CheckDigits::Strict,
        policies: None,
        decides_by_policies: true,
        upstream: None,
    };
    let mut diagnostics = Diagnostics::new();
    let (table, _) = read(&Files::memory(files), &policies, around, &mut diagnostics);
    (table, diagnostics)
}

/// `code line:column` of each finding.
fn found(diagnostics: &Diagnostics) -> Vec<String> {
    let short = |origin: &Origin| origin.to_string().replace("p/routes/a.yaml:", "");
    diagnostics.sorted().iter().map(|it| format!("{} {}", it.code, short(&it.origin))).collect()
}

/// One rule after these three lines, so that it begins in line 4.
fn rule(keys: &str) -> String {
    format!("api: a\ndefaults: {{ resource: abcd, scopes: [s] }}\nrules:\n  - {{ {keys} }}\n")
}

#[test]
fn the_rules_of_the_examples_load_without_a_word() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let policies = Located { value: folder, path: "policies".to_owned(), origin: Origin::Nowhere };
    let issuers = issuers();
    let around = Around {
        issuers: &issuers,
        check_digits: CheckDigits::Strict,
        policies: None,
        decides_by_policies: true,
        upstream: None,
    };
    let mut diagnostics = Diagnostics::new();
    let (table, _) = read(&Files::Disk, &policies, around, &mut diagnostics);
    assert_eq!(found(&diagnostics), [""; 0]);
    assert_eq!(table.rules().len(), 13);
}

#[test]
fn every_form_of_every_key_is_read() {
    let (table, diagnostics) = load(
        &[(
            "a.yaml",
            r#"
api: full
case: insensitive
defaults: { resource: default-one, scopes: [a, b] }
rules:
  - id: short
    match: { method: POST, path: "/short/{orgnr}" }
    action: write
    party: path:orgnr
  - id: long
    match:
      method: [GET, DELETE]
      path: "/long/{a}/{b}/{*rest}"
      host: api.example.no
      query: { kind: x, empty: "" }
    protection: required
    object: upstream
    resource: { from: "path:a", allow: [one-resource, two-resource] }
    action: read
    party: { from: header:X-Party, many: all, max: 3, absent: token:systemuser_org }
    party_kinds: [organization, party-id]
    scopes: { any: [c, d] }
    subject: [system-user, organization]
    attributes: { "urn:altinn:task": path:b }
    systems: [314330897_x]
    vendors: [314330897]
    min_authentication_level: 3
    max_body: 10MiB
    encoded_slashes: [rest]
    cache: { permit_ttl: 5s, deny_ttl: 0s }
    help_url: https://help.example.no/
  - id: mapped
    match: { method: PUT, path: /mapped }
    resource: { from: query:kind, map: { mva: ske-mva-melding } }
    action: read
    party: { one_of: [json:/a, json:/b] }
    party_kinds: party-id
    subject: organization
    scopes: none
    instance: { from: json:/id, as: app-instance }
    content_encoding: [gzip]
    max_decompressed: 2MiB
    cache: off
  - id: order
    match: { method: POST, path: /order }
    action: write
    party: { from: "xml:/p:order/p:line/@orgnr", many: all, max: 3 }
    namespaces: { p: "urn:example:order" }
  - id: form
    match: { method: POST, path: /form }
    action: write
    party: form:party
  - { id: open, match: { method: any, path: /open }, protection: public, upgrade: [websocket] }
  - { id: briefly, match: { method: GET, path: /briefly }, protection: public, upgrade: { websocket: { max_duration: 5m } } }
  - { id: wall, match: { method: any, path: "/wall/{*x}" }, protection: closed }
  - id: list
    match: { method: GET, path: /list }
    action: read
    party: { from: query:onBehalfOf, absent: upstream }
    object: upstream
  - { id: token, match: { method: POST, path: /token }, protection: token, object: upstream }
"#,
        )],
        &issuers(),
    );
    assert_eq!(found(&diagnostics), [""; 0]);
    let mut said = String::new();
    for rule in table.rules() {
        let (matching, protection) = (rule.matching(), rule.protection());
        writeln!(said, "{} of {}: {protection:?}, {:?}", rule.id(), rule.api(), rule.object())
            .unwrap();
        writeln!(said, "  {:?} {} {:?}", matching.methods, matching.template, matching.case)
            .unwrap();
        writeln!(said, "  {:?} {:?}", matching.host, matching.query).unwrap();
        writeln!(said, "  {:?} {:?}", rule.resource(), rule.action()).unwrap();
        writeln!(said, "  {:?} {:?}", rule.party(), rule.party_kinds()).unwrap();
        writeln!(said, "  {:?} {:?}", rule.scopes(), rule.subjects()).unwrap();
        writeln!(said, "  {:?} {:?}", rule.instance(), rule.attributes()).unwrap();
        writeln!(said, "  {:?} {:?}", rule.systems(), rule.vendors()).unwrap();
        writeln!(said, "  {:?} {:?}", rule.min_authentication_level(), rule.max_body_bytes())
            .unwrap();
        writeln!(said, "  {:?} {:?}", rule.body_kind(), rule.max_decompressed_bytes()).unwrap();
        writeln!(said, "  {:?} {:?}", rule.cache(), rule.help_url()).unwrap();
        if let Some(web_socket) = rule.web_socket() {
            writeln!(said, "  {web_socket:?}").unwrap();
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn each_mistake_in_a_rule_is_found_at_its_very_key() {
    let whole = "id: r, match: { method: GET, path: '/{x}' }, action: read";
    let ok = "id: r, match: { method: GET, path: '/{x}' }, action: read, party: path:x";
    let public = "id: r, protection: public, match: { method: GET";
    let mut said = String::new();
    for keys in [
        format!("{whole}, party: path:y"),
        format!("{whole}, party: {{ from: path:y }}"),
        whole.to_owned(),
        format!("{whole}, party: org:y"),
        format!("{whole}, party: xml:y"),
        format!("{whole}, party: xml:/p:y"),
        format!("{whole}, party: xml:/y, namespaces: {{ p: 'urn:p' }}"),
        format!("{whole}, party: form:a&b"),
        format!("{whole}, party: json:/a/*"),
        format!("{whole}, party: {{ one_of: [json:/a, form:a] }}"),
        format!("{whole}, party: json:/a, content_encoding: [br]"),
        format!("{whole}, party: json:/a, max_decompressed: 1MiB"),
        format!("{ok}, content_encoding: gzip"),
        format!("{whole}, party: {{ one_of: [json:/a] }}"),
        format!("{whole}, party: {{ from: json:/a, one_of: [] }}"),
        format!("{whole}, party: {{ from: json:/a, max: 2 }}"),
        format!("{whole}, party: {{ from: json:/a, many: all }}"),
        format!("{whole}, party: {{ from: json:/a, many: any, max: 2 }}"),
        format!("{whole}, party: {{ from: json:/a, many: all, max: 101 }}"),
        format!("{ok}, scopes: s"),
        format!("{ok}, scopes: []"),
        format!("{ok}, scopes: ['a b']"),
        format!("{ok}, scopes: {{ all: [a] }}"),
        format!("{ok}, protection: none"),
        format!("{ok}, protection: public"),
        format!("{ok}, subject: person"),
        format!("{ok}, subject: []"),
        format!("{ok}, party_kinds: [org]"),
        format!("{ok}, vendors: [314330898]"),
        format!("{ok}, min_authentication_level: 5"),
        format!("{ok}, max_body: 1MB"),
        format!("{ok}, encoded_slashes: [y]"),
        format!("{ok}, cache: on"),
        format!("{ok}, cache: {{ permit: 1s }}"),
        format!("{ok}, instance: {{ from: path:x, as: app }}"),
        format!("{ok}, attributes: {{ x: path:x }}"),
        format!("{ok}, resource: abc"),
        format!("{ok}, resource: Abcd"),
        format!("{ok}, resource: {{ from: query:r }}"),
        format!("{ok}, resource: {{ from: query:r, allow: [] }}"),
        format!("{ok}, upgrade: websocket"),
        format!("{ok}, upgrade: [h2c]"),
        format!("{ok}, upgrade: {{ websocket: {{ max_duration: 0s }} }}"),
        format!("{ok}, upgrade: {{ websocket: {{ max: 1h }} }}"),
        format!("{ok}, upgrade: {{ h2c: {{}} }}"),
        format!("{ok}, mode: shadow"),
        format!("{ok}, namespaces: {{}}"),
        format!("{ok}, proctection: public"),
        format!("{public}, path: a }}"),
        format!("{public}, path: / , host: 'a b' }}"),
        format!("{public}, path: /, query: {{ a: [b] }} }}"),
        format!("{public} }}"),
        "id: r".to_owned(),
        "id: 'a b', protection: public, match: { method: GET, path: / }".to_owned(),
        "id: r, protection: public, match: { method: get, path: / }".to_owned(),
        "id: r, protection: public, match: { method: 'G T', path: / }".to_owned(),
    ] {
        let text = rule(&keys);
        let (_, diagnostics) = load(&[("a.yaml", &text)], &issuers());
        writeln!(said, "{keys}").unwrap();
        for found in diagnostics.sorted() {
            let Origin::File(place) = &found.origin else { panic!("{keys}: {found:?}") };
            let there = text.get(place.bytes().0..).unwrap();
            let there = there.split([',', '\n']).next().unwrap();
            writeln!(said, "    {} {}:{} at {there}", found.code, place.line(), place.column())
                .unwrap();
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_fault_of_a_default_is_found_at_the_default() {
    let text = "api: a\ndefaults: { scopes: [] }\nrules:\n  - { id: r, match: { method: GET, path: / }, protection: token }\n";
    let (_, diagnostics) = load(&[("a.yaml", text)], &issuers());
    assert_eq!(found(&diagnostics), ["invalid-rule 2:13"]);
    let text = text.replace("scopes: []", "protection: public");
    let (_, diagnostics) = load(&[("a.yaml", &text)], &issuers());
    assert_eq!(found(&diagnostics), ["unknown-key 2:13", "invalid-rule 4:5"]);
}

#[test]
fn defaults_count_only_where_they_mean_something() {
    let text = "api: a\ndefaults: { resource: abcd, scopes: [s] }\nrules:
  - { id: p, match: { method: GET, path: /p }, protection: public }
  - { id: t, match: { method: GET, path: /t }, protection: token }\n";
    let (table, diagnostics) = load(&[("a.yaml", text)], &issuers());
    assert_eq!(found(&diagnostics), [""; 0]);
    let [public, token] = table.rules() else { panic!() };
    assert!(public.scopes().is_none() && public.resource().is_none());
    assert!(token.scopes().is_some() && token.resource().is_none());
}

#[test]
fn a_scope_may_be_absent_only_if_audiences_stand_in_for_it() {
    let text =
        "api: a\nrules:\n  - { id: r, match: { method: GET, path: / }, protection: token }\n";
    let mut issuers = issuers();
    issuers.push(IssuerSettings::new(IssuerKind::IdPorten, "b", KeyLocation::Static("".into())));
    let (_, diagnostics) = load(&[("a.yaml", text)], &issuers);
    assert_eq!(found(&diagnostics), ["invalid-rule 3:5"]);
    // Of those that can prove a system user there is one, and that has an audience.
    issuers[0].audience = Some("x".into());
    let (_, diagnostics) = load(&[("a.yaml", text)], &issuers);
    assert_eq!(found(&diagnostics), [""; 0]);
    // None that can prove the subject is not the same as all having an audience.
    let (_, diagnostics) = load(&[("a.yaml", text)], &issuers[1..]);
    assert_eq!(found(&diagnostics), ["unprovable-subject 3:5", "invalid-rule 3:5"]);
}

#[test]
fn rules_that_cannot_stand_together_name_both_places() {
    let one =
        "api: a\nrules:\n  - { id: r, match: { method: GET, path: '/{x}' }, protection: public }\n";
    let other = one.replace("api: a", "\n\napi: b").replace("{x}", "{y}").replace("id: r", "id: s");
    let (table, diagnostics) = load(&[("a.yaml", one), ("b.yaml", &other)], &issuers());
    let finding = diagnostics.iter().next().unwrap();
    assert_eq!((finding.severity, finding.code), (Severity::Error, "conflicting-rules"));
    assert_eq!(finding.origin.to_string(), "p/routes/b.yaml:5:11");
    assert_eq!(finding.related[0].0.to_string(), "p/routes/a.yaml:3:11");
    assert!(table.rules().is_empty());
    // A rule with a fault does not hide those of others.
    let faulty = format!("{one}  - {{ id: t }}\n");
    let (_, diagnostics) = load(&[("a.yaml", &faulty), ("b.yaml", &other)], &issuers());
    assert_eq!(diagnostics.error_count(), 2);
}

#[test]
fn a_capture_that_nothing_reads_is_worth_a_warning_unless_the_rule_says_why() {
    let keys = "id: r, match: { method: GET, path: '/{x}/{y}' }, action: read, party: path:x";
    let (_, diagnostics) = load(&[("a.yaml", &rule(keys))], &issuers());
    assert_eq!(found(&diagnostics), ["unused-capture 4:14"]);
    let (_, diagnostics) =
        load(&[("a.yaml", &rule(&format!("{keys}, object: upstream")))], &issuers());
    assert_eq!(found(&diagnostics), [""; 0]);
}

#[test]
fn a_folder_without_rules_is_an_error_and_other_endings_are_noticed() {
    let (_, diagnostics) = load(&[("a.yml", "x")], &issuers());
    let codes: Vec<_> = diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["no-rules", "ignored-file"]);
}

#[test]
fn a_resource_that_the_embedded_pdp_has_no_policy_for_is_found() {
    let text = "api: a\ndefaults: { resource: abcd, scopes: [s] }\nrules:\n\
        \x20 - { id: one, match: { method: GET, path: /one }, action: read, party: query:p }\n\
        \x20 - { id: two, match: { method: GET, path: /two }, action: read, party: query:p, resource: { from: query:r, allow: [efgh, ijkl] } }\n";
    let files = [("p/routes/a.yaml".to_owned(), text.to_owned())];
    let policies =
        Located { value: PathBuf::from("p"), path: "policies".to_owned(), origin: Origin::Nowhere };
    let (issuers, none) = (issuers(), PolicyStore::build(Vec::<(String, Vec<u8>)>::new()).unwrap());
    let check_digits = CheckDigits::Strict;
    let around = Around {
        issuers: &issuers,
        check_digits,
        policies: Some(&none),
        decides_by_policies: true,
        upstream: None,
    };
    let mut diagnostics = Diagnostics::new();
    read(&Files::memory(files), &policies, around, &mut diagnostics);
    let unknown = ["unknown-resource 2:13", "unknown-resource 5:82", "unknown-resource 5:82"];
    assert_eq!(found(&diagnostics), unknown);
}

#[test]
fn the_rule_in_the_documentation_loads_without_a_word() {
    let block = include_str!("../../../docs/RULES.md").split("```").nth(1).unwrap();
    let text = block.strip_prefix("yaml\n").unwrap();
    let (table, diagnostics) = load(&[("a.yaml", text)], &issuers());
    assert_eq!(found(&diagnostics), [""; 0]);
    assert_eq!(table.rules().len(), 1);
}

#[test]
fn a_body_that_a_get_does_not_have_is_noticed() {
    let of = |methods: &str, party: &str| {
        let keys = format!("id: r, match: {{ method: {methods}, path: / }}, action: read");
        let text = rule(&format!("{keys}, {party}"));
        found(&load(&[("a.yaml", &text)], &issuers()).1)
    };
    let there = ["no-body-to-read 4:23"];
    for source in ["json:/a", "form:a", "xml:/a"] {
        assert_eq!(of("GET", &format!("party: {source}")), there);
    }
    assert_eq!(of("HEAD", "party: json:/a"), there);
    assert_eq!(of("[POST, GET]", "party: { one_of: [json:/a, query:a] }"), there);
    assert_eq!(of("GET", "party: query:a, attributes: { 'urn:altinn:task': json:/a }"), there);
    for (methods, party) in [("POST", "json:/a"), ("any", "json:/a"), ("GET", "query:a")] {
        assert_eq!(of(methods, &format!("party: {party}")), [""; 0], "{methods} {party}");
    }
}

#[test]
fn an_action_that_the_policy_has_no_rule_about_is_found_whoever_decides() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/resources/ske-mva-melding.xml");
    let store = PolicyStore::build([("a.xml".to_owned(), std::fs::read(folder).unwrap())]).unwrap();
    let of = |action: &str| {
        let text = rule(&format!(
            "id: r, match: {{ method: GET, path: / }}, resource: ske-mva-melding, action: {action}, party: query:a"
        ));
        let files = Files::memory([("p/routes/a.yaml".to_owned(), text)]);
        let policies = Located {
            value: PathBuf::from("p"),
            path: "policies".to_owned(),
            origin: Origin::Nowhere,
        };
        let issuers = issuers();
        let around = Around {
            issuers: &issuers,
            check_digits: CheckDigits::Strict,
            policies: Some(&store),
            decides_by_policies: false,
            upstream: None,
        };
        let mut diagnostics = Diagnostics::new();
        read(&files, &policies, around, &mut diagnostics);
        let told = diagnostics.iter().next().map(|found| (found.code, found.help.clone().unwrap()));
        told.map(|(code, help)| format!("{code}: {help}"))
    };
    assert_eq!(of("write"), None);
    assert_eq!(of("writ").as_deref(), Some("unknown-action: did you mean `write`?"));
}
