mod advice;
mod embedded;
mod environment;
mod reload;

use super::*;
use crate::config::diagnostic::Colour;
use crate::domain::{
    AccessRequest, Action, CheckDigits, Decision, DecisionSource, OrganizationNumber, Party,
    PdpSubject, ResourceId, SystemClock, SystemUserId,
};
use crate::pdp::PendingDecision;
use crate::token::{IssuerKind, KeyLocation};
use std::fmt::Write as _;

/// The least that compiles.
const GOOD: &str = "\
environment: tt02
server: { listen: 127.0.0.1:7080 }
upstream: { url: http://127.0.0.1:8080 }
pdp: { credential: { none: true } }
policies: policies
";
const ROUTES: &str = "\
api: a
rules:
  - { id: r, match: { method: GET, path: / }, protection: public }
";

fn runtime() -> Runtime {
    Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) }
}

fn inputs(config: &str) -> Inputs {
    Inputs {
        config: vec!["a.yaml".into()],
        files: Files::memory([
            ("a.yaml", config.to_owned()),
            ("policies/routes/a.yaml", ROUTES.to_owned()),
        ]),
        ..Inputs::default()
    }
}

fn with_variables(config: &str, variables: &[(&str, &str)]) -> Inputs {
    Inputs { environment: variables.iter().copied().collect(), ..inputs(config) }
}

/// `code origin` of each finding, in order.
fn found(outcome: &Outcome) -> Vec<String> {
    let sorted = outcome.diagnostics.sorted().into_iter();
    sorted.map(|found| format!("{} {}", found.code, found.origin)).collect()
}

fn compiled(inputs: &Inputs) -> Compiled {
    let outcome = compile(inputs, None, &runtime());
    let said = outcome.diagnostics.to_human(Colour::Plain);
    outcome.compiled.unwrap_or_else(|| panic!("{said}"))
}

fn found_in(config: &str) -> Vec<String> {
    let outcome = compile(&inputs(config), None, &runtime());
    assert_eq!(outcome.compiled.is_some(), !outcome.diagnostics.has_errors());
    found(&outcome)
}

#[test]
fn the_least_configuration_compiles_without_a_word() {
    let outcome = compile(&inputs(GOOD), None, &runtime());
    assert_eq!(found(&outcome), [""; 0]);
    let compiled = outcome.compiled.unwrap();
    let snapshot = &compiled.snapshot;
    assert_eq!(snapshot.generation, 1);
    assert_eq!(snapshot.routes.rules().len(), 1);
    assert_eq!(snapshot.judging.check_digits, CheckDigits::Lenient);
    assert_eq!(snapshot.judging.max_target_bytes, 8 * 1024);
    let issuer = &snapshot.tokens.settings().issuers[0];
    assert_eq!(&*issuer.issuer, "https://test.maskinporten.no/");
    assert!(snapshot.decisions.identity().contains("platform.tt02.altinn.no"));
    assert_eq!(compiled.upstream.address.to_string(), "127.0.0.1:8080");
    assert!(compiled.upstream.forward_authorization);
    assert_eq!(compiled.admin, AdminSettings::default());
}

#[test]
fn every_key_is_heeded() {
    let compiled = compiled(&inputs(
        "\
environment: custom
server:
  listen: ['127.0.0.1:1', '[::1]:2']
  hosts: [api.example.no]
  trusted_proxies: [10.0.0.0/8]
  limits:
    header_timeout: 1s
    max_header_bytes: 16KiB
    max_headers: 50
    max_connections: 10
    max_target_bytes: 1KiB
    max_requests_in_flight: 11
    idle_timeout: 4s
    max_buffered_body: 2KiB
    http2: { max_connections: 9, max_concurrent_streams: 12, stream_window: 70000, connection_window: 80000 }
    max_buffered_total: 1MiB
    body_idle_timeout: 3s
  workers: auto
admin: { listen: localhost:7 }
shutdown: { wait: 1s, grace: 2s }
upstream:
  url: http://[::1]:8080/
  connect_timeout: 1s
  response_timeout: 2s
  idle_timeout: 3s
  body_idle_timeout: 6s
  max_idle: 4
  authorization: strip
outbound: { proxy: http://proxy:3128, no_proxy: .example.no }
tokens:
  issuers:
    - kind: altinn
      issuer: https://issuer.example.no/
      jwks_url: https://issuer.example.no/jwks
      algorithms: [ES256, PS512]
      audience: https://api.example.no/
      max_lifetime: 30m
    - { kind: maskinporten, issuer: b, metadata_url: https://b.example.no/metadata }
  leeway: 1s
  keys: { refresh: 1m, refresh_min_interval: 1s, max_stale: 2h }
  cache: { max_entries: 7 }
pdp:
  kind: altinn
  url: https://pdp.example.no/base
  subscription_key: k
  credential: { token_file: token }
  timeout: 1s
  max_in_flight: 2
  max_queued: 3
  max_answer: 4KiB
  max_in_flight_per_system_user: 1
  multi_request: on
  breaker: { failures: 6, pause: 7s }
  system_user_authentication_level: 4
cache: { permit_ttl: 5s, deny_ttl: 6s, max_entries: 8 }
identifiers: { check_digits: lenient }
policies: policies
mode: enforce
answers: { help_url: 'https://help.example.no/{code}' }
log: { format: human, level: debug, decisions: decisions.log, rotate: { max_bytes: 1MiB, keep: 7 }, record_schema: ecs }
",
    ));
    insta::assert_debug_snapshot!((
        &compiled.server,
        &compiled.admin,
        &compiled.shutdown,
        &compiled.upstream,
        &compiled.log,
        &compiled.basis,
        compiled.snapshot.tokens.settings(),
        &compiled.snapshot.judging,
    ));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_mistake_is_found_at_its_place() {
    // A line that replaces the line of `GOOD` that begins with the same key, or is added to it.
    let mut wrong = Vec::new();
    for (line, expected) in [
        ("environment: tt03", "invalid-value a.yaml:1:14"),
        ("server: { listen: 127.0.0.1 }", "invalid-value a.yaml:2:19"),
        ("server: { listen: [] }", "invalid-value a.yaml:2:11"),
        ("server: { listen: unix:run/a }", "invalid-value a.yaml:2:19"),
        ("server: { listen: ['unix:/run/a', 'unix:/run/a'] }", "same-address a.yaml:2:1"),
        ("server: { listen: [0.0.0.0:1, 127.0.0.1:1] }", "same-address a.yaml:2:1"),
        ("server: { hosts: ['a b'] }", "invalid-value a.yaml:2:19"),
        ("server: { trusted_proxies: [10.0.0.1/8] }", "invalid-value a.yaml:2:29"),
        ("server: { limits: { max_headers: 0 } }", "invalid-value a.yaml:2:34"),
        ("server: { limits: { max_headerz: 9 } }", "unknown-key a.yaml:2:21"),
        (
            "server: { limits: { http2: { max_concurrent_streams: 0 } } }",
            "invalid-value a.yaml:2:54",
        ),
        ("server: { limits: { http2: { stream_window: 16KiB } } }", "invalid-value a.yaml:2:45"),
        ("server: { limits: { max_requests_in_flight: 0 } }", "invalid-value a.yaml:2:45"),
        (
            "server: { limits: { max_buffered_body: 1MiB, max_buffered_total: 1023KiB } }",
            "invalid-value a.yaml:2:46",
        ),
        ("server: { tls: { key_file: k } }", "missing-key a.yaml:2:11"),
        ("server: { workers: 2 }", "not-supported-yet a.yaml:2:20"),
        ("admin: { listen: 127.0.0.1:7080 }", "same-address a.yaml:6:1"),
        ("admin: { port: 1 }", "unknown-key a.yaml:6:10"),
        ("control: { listen: 127.0.0.1:7091 }", "control-without-token a.yaml:6:1"),
        (
            "control: { listen: 0.0.0.0:7091, token: 0123456789abcdef }",
            "control-not-loopback a.yaml:6:20",
        ),
        ("control: { listen: 'unix:/', token: 0123456789abcdef }", "invalid-value a.yaml:6:20"),
        ("control: { listen: 127.0.0.1:7080, token: 0123456789abcdef }", "same-address a.yaml:6:1"),
        ("control: { listen: 127.0.0.1:7090, token: 0123456789abcdef }", "same-address a.yaml:6:1"),
        ("control: { token: ' 0123456789abcde ' }", "unusable-control-token a.yaml:6:12"),
        ("control: { token: '0123456789 abcdef' }", "unusable-control-token a.yaml:6:12"),
        ("control: { token_file: /nowhere }", "unreadable-secret a.yaml:6:24"),
        ("control: { token: 0123456789abcdef, page: on }", "unknown-key a.yaml:6:37"),
        ("self_check: off", "invalid-value a.yaml:6:13"),
        ("mode: shade", "invalid-value a.yaml:6:7"),
        ("shutdown: { wait: 5 }", "invalid-value a.yaml:6:19"),
        ("upstream: { url: http://127.0.0.1:7080 }", "upstream-is-ourselves a.yaml:3:1"),
        ("upstream: { url: http://localhost:7090 }", "upstream-is-ourselves a.yaml:3:1"),
        ("upstream: { url: ftp://api }", "invalid-value a.yaml:3:18"),
        ("upstream: { url: 'h2c://api' }", "invalid-value a.yaml:3:18"),
        ("upstream: { url: 'unix:run/a' }", "invalid-value a.yaml:3:18"),
        ("upstream: { url: 'https://api/v1' }", "invalid-value a.yaml:3:18"),
        ("upstream: { url: 'h2c://api:1/v1' }", "invalid-value a.yaml:3:18"),
        ("upstream: { url: 'http://api', ca_file: a.pem }", "unused-key a.yaml:3:32"),
        ("upstream: { url: 'unix:/run/a', ca_file: a.pem }", "unused-key a.yaml:3:33"),
        ("upstream: { url: 'https://api', ca_file: /nowhere/ca }", "unreadable-file a.yaml:3:42"),
        (
            "upstream: { url: 'https://api', ca_file: /dev/null }",
            "invalid-certificates a.yaml:3:42",
        ),
        ("upstream: { url: 'http://api', body_idle_timeout: 25h }", "invalid-value a.yaml:3:51"),
        ("upstream: { url: http://api/v1 }", "invalid-value a.yaml:3:18"),
        ("upstream: { url: 'http://api/?a' }", "invalid-value a.yaml:3:18"),
        ("upstream: {}", "missing-key a.yaml:3:1"),
        ("upstream: { url: http://api, authorization: drop }", "invalid-value a.yaml:3:45"),
        ("outbound: { ca_file: /nowhere/ca.pem }", "unreadable-file a.yaml:6:22"),
        ("outbound: { proxy: socks5://a }", "invalid-value a.yaml:6:20"),
        ("tokens: { issuers: [] }", "invalid-value a.yaml:6:11"),
        ("tokens: { issuers: [{ issuer: a }] }", "missing-key a.yaml:6:21"),
        ("tokens: { issuers: [{ kind: maskinporten, issuer: a }] }", "missing-key a.yaml:6:21"),
        (
            "tokens: { issuers: [{ kind: maskinporten, metadata_url: http://a/ }] }",
            "missing-key a.yaml:6:21",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten, issuer: a, jwks_url: http://a/, max_lifetime: 25h }] }",
            "invalid-value a.yaml:6:89",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten, issuer: a, jwks_url: http://a/, metadata_url: http://a/ }] }",
            "conflicting-keys a.yaml:6:54",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten, issuer: a, jwks_file: /nowhere }] }",
            "unreadable-file a.yaml:6:65",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten, algorithms: [HS256] }] }",
            "invalid-value a.yaml:6:56",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten, algorithms: [] }] }",
            "invalid-value a.yaml:6:43",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten, audience: unspecified }] }",
            "invalid-value a.yaml:6:53",
        ),
        (
            "tokens: { issuers: [{ kind: maskinporten }, { kind: maskinporten }] }",
            "repeated-issuer a.yaml:6:45",
        ),
        ("tokens: { issuers: [{ kind: idporten }] }", "no-audience a.yaml:6:21"),
        ("tokens: { leeway: 1h }", "invalid-value a.yaml:6:19"),
        ("tokens: { keys: { refresh: 0s } }", "invalid-value a.yaml:6:28"),
        ("pdp: {}", "missing-key a.yaml:4:1"),
        ("pdp: { credential: {} }", "missing-key a.yaml:4:8"),
        ("pdp: { credential: { none: false } }", "invalid-value a.yaml:4:28"),
        (
            "pdp: { credential: { none: true, token_file: a }, subscription_key: k }",
            "conflicting-keys a.yaml:4:22",
        ),
        ("pdp: { credential: { token_file: a } }", "no-subscription-key a.yaml:4:1"),
        (
            "pdp: { credential: { maskinporten: { client_id: a, key_file: /nowhere } } }",
            "unreadable-secret a.yaml:4:62",
        ),
        ("pdp: { kind: remote }", "invalid-value a.yaml:4:14"),
        ("pdp: { credential: { none: true }, mode: strict }", "unused-key a.yaml:4:36"),
        ("pdp: { credential: { none: true }, multi_request: on }", "no-event-log a.yaml:4:51"),
        ("pdp: { credential: { none: true }, multi_request: yes }", "invalid-value a.yaml:4:51"),
        (
            "pdp: { credential: { none: true }, breaker: { pause: 1ms } }",
            "invalid-value a.yaml:4:54",
        ),
        (
            "pdp: { credential: { none: true }, breaker: { failures: 0 } }",
            "invalid-value a.yaml:4:57",
        ),
        ("pdp: { credential: { none: true }, url: 'http://a/?b' }", "invalid-value a.yaml:4:41"),
        (
            "pdp: { credential: { none: true }, url: 'http://a/authorization/api/v1/authorize/' }",
            "invalid-value a.yaml:4:41",
        ),
        (
            "pdp: { credential: { none: true }, subscription_key: 'a b' }",
            "invalid-value a.yaml:4:36",
        ),
        (
            "pdp: { credential: { none: true }, subscription_key_file: /nowhere }",
            "unreadable-secret a.yaml:4:59",
        ),
        (
            "pdp: { credential: { none: true }, system_user_authentication_level: 5 }",
            "invalid-value a.yaml:4:70",
        ),
        ("cache: { permit_ttl: 25h }", "invalid-value a.yaml:6:22"),
        ("identifiers: { check_digits: loose }", "invalid-value a.yaml:6:30"),
        ("policies: nowhere", "unreadable-folder a.yaml:5:11"),
        ("answers: { help_url: 'https://a/{kode}' }", "invalid-value a.yaml:6:22"),
        ("log: { level: loud }", "invalid-value a.yaml:6:15"),
        ("log: { rotate: {} }", "unused-key a.yaml:6:8"),
        ("log: { decisions: d.log, rotate: { keep: 0 } }", "invalid-value a.yaml:6:42"),
        ("log: { decisions: d.log, rotate: { max_bytes: 1KiB } }", "invalid-value a.yaml:6:47"),
        ("serverr: {}", "unknown-key a.yaml:6:1"),
    ] {
        let key = line.split(':').next().unwrap();
        let mut lines: Vec<&str> = GOOD.lines().collect();
        match lines.iter().position(|line| line.split(':').next() == Some(key)) {
            Some(at) => lines[at] = line,
            None => lines.push(line),
        }
        let found = found_in(&lines.join("\n"));
        if found != [expected] {
            wrong.push((line, expected, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn control_is_absent_unless_written_and_shows_its_token_nowhere() {
    assert!(compiled(&inputs(GOOD)).control.is_none());
    let with = |control: &str| format!("{GOOD}control: {{ {control} }}\n");
    let token = "0123456789abcdef";
    let control = compiled(&inputs(&with(&format!("listen: '[::1]:9', token: ' {token} '"))))
        .control
        .unwrap();
    assert_eq!(control.listen.to_string(), "[::1]:9");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&control.token.clone().unwrap()), token);
    assert!(!format!("{control:?}").contains(token));
    let short = compile(&inputs(&with("token: 0123456789abcde")), None, &runtime());
    assert!(!short.diagnostics.to_json_lines().contains("0123456789abcde"));
    assert_eq!(
        compiled(&inputs(&with("token: 0123456789abcdef"))).control.unwrap().listen.to_string(),
        "127.0.0.1:7091"
    );
}

#[test]
fn every_kind_of_upstream_has_its_address() {
    for url in ["unix:/run/api.sock", "h2c://api:80", "https://api:443"] {
        let config = GOOD.replace("http://127.0.0.1:8080", url);
        assert_eq!(compiled(&inputs(&config)).upstream.address.to_string(), url);
    }
    let config = GOOD.replace("http://127.0.0.1:8080", "https://api");
    assert_eq!(compiled(&inputs(&config)).upstream.address.to_string(), "https://api:443");
}

#[test]
fn an_upstream_that_is_the_control_listener_is_an_error() {
    let upstream = "{ url: http://127.0.0.1:7091 }";
    let config = GOOD.replace("{ url: http://127.0.0.1:8080 }", upstream);
    let control = "control: { token: 0123456789abcdef }\n";
    assert_eq!(found_in(&(config.clone() + control)), ["upstream-is-ourselves a.yaml:3:1"]);
    assert_eq!(found_in(&config), [""; 0]);
}

#[test]
fn all_problems_are_reported_at_once_files_and_rules_and_variables() {
    let mut inputs = with_variables("upstream: {}\nx: 1\n", &[("PORTVAKT_CACHE__PERMIT_TTL", "5")]);
    inputs.flags = vec![Flag { name: "--policies", key: "policies", value: "policies".to_owned() }];
    inputs.files = Files::memory([
        ("a.yaml", "upstream: {}\nx: 1\n"),
        ("policies/routes/a.yaml", "api: a\nrules: [{ id: r }]\n"),
    ]);
    let outcome = compile(&inputs, None, &runtime());
    let mut said = String::new();
    for line in found(&outcome) {
        writeln!(said, "{line}").unwrap();
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_finding_is_shown_with_its_line() {
    let outcome = compile(
        &inputs(&GOOD.replace("http://127.0.0.1:8080", "http://localhost:7080")),
        None,
        &runtime(),
    );
    insta::assert_snapshot!(outcome.diagnostics.to_human(Colour::Plain));
}

#[test]
fn the_ready_to_use_configurations_compile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for (file, missing) in [("local.yaml", 0), ("tt02.yaml", 2), ("prod.yaml", 2)] {
        let environment = [("MASKINPORTEN_CLIENT_ID", "our-client")].into_iter().collect();
        let config = vec![folder.join(file)];
        let inputs = Inputs { config, environment, ..Inputs::default() };
        let outcome = compile(&inputs, None, &runtime());
        // The keys of the subscription and of the client are on no machine that this is tested on.
        let errors: Vec<_> =
            found(&outcome).into_iter().filter(|it| !it.starts_with("policy-note")).collect();
        assert!(errors.iter().all(|it| it.starts_with("unreadable-secret")), "{file}: {errors:?}");
        assert_eq!(errors.len(), missing, "{file}");
        let embedded = outcome.compiled.map(|compiled| compiled.embedded.is_some());
        assert_eq!(embedded, (missing == 0).then_some(true), "{file}");
    }
}

#[derive(Debug)]
struct Never;

impl DecisionPoint for Never {
    fn decide<'a>(&'a self, _: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(std::future::ready(Ok(Decision::NotApplicable)))
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Embedded
    }

    fn identity(&self) -> &'static str {
        "never"
    }
}

#[test]
fn parts_that_are_brought_along_need_no_settings() {
    let mut inputs =
        inputs("environment: custom\nupstream: { url: http://api }\npolicies: policies\n");
    assert_eq!(
        found(&compile(&inputs, None, &runtime())),
        ["missing-key a.yaml"; 3],
        "issuers, the address of the PDP and its credential"
    );
    let keys = KeyLocation::Static("{}".into());
    inputs.overrides = Overrides {
        point: Some(Arc::new(Never)),
        issuers: Some(vec![IssuerSettings::new(IssuerKind::Maskinporten, "made", keys)]),
        without_secrets: false,
    };
    let compiled = compiled(&inputs);
    assert_eq!(compiled.snapshot.decisions.identity(), "never");
    assert_eq!(&*compiled.snapshot.tokens.settings().issuers[0].issuer, "made");
}

/// Asks for what nobody can answer here (nothing listens at the address), or reads what is held.
async fn is_permitted(compiled: &Compiled, request: &AccessRequest) -> bool {
    let lifetimes = compiled.snapshot.judging.lifetimes;
    let answer = compiled.snapshot.decisions.decide(request, lifetimes).await;
    answer.is_ok_and(|answered| matches!(answered.decision, Decision::Permit(_)))
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        config in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        rules in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        let files = Files::memory([("a.yaml", config)]);
        let inputs = Inputs { files, ..inputs(GOOD) };
        compile(&inputs, None, &runtime());
        let files = [("a.yaml", GOOD.as_bytes().to_vec()), ("policies/routes/a.yaml", rules)];
        compile(&Inputs { files: Files::memory(files), ..inputs }, None, &runtime());
    }

    /// Nearer to what is written: keys that exist, with values of every shape.
    #[test]
    fn arbitrary_values_of_known_keys_never_panic(
        key in proptest::sample::select(vec![
            "environment", "server", "admin", "shutdown", "upstream", "outbound", "tokens", "pdp",
            "cache", "identifiers", "policies", "mode", "answers", "log",
        ]),
        value in "[a-z0-9:{}\\[\\], /_.-]{0,60}",
    ) {
        compile(&inputs(&format!("{key}: {value}\n")), None, &runtime());
    }
}
