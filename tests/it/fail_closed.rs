//! For every fault of keys, PDP and configuration the API has seen zero requests, and what went wrong is
//! not remembered: once the fault is over, the same request is permitted.

use crate::support::{
    Gate, ISSUER, KID, PATIENCE, READ, RULES, Script, Server, Setup, Sidecar, Step, Wire, always,
    answer, ask, exchange, jwks, ok, permit, soon,
};
use portvakt::config::{self, Files, Inputs, Runtime};
use portvakt::dev::SigningKey;
use portvakt::domain::{AccessRequest, DecisionSource, SystemClock};
use portvakt::pdp::{DecisionFault, DecisionPoint, PendingDecision, wire};
use portvakt::tasks::Tasks;
use portvakt::token::KeyLocation;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// What is wrong with a peer.
enum Fault {
    /// It refuses connections.
    Refused,
    /// It does this.
    Plays(Script),
}

/// A fault, and what the caller is told.
struct Row {
    name: String,
    fault: Fault,
    verdict: &'static str,
}

fn row(name: &str, verdict: &'static str, steps: Vec<Step>) -> Row {
    Row { name: name.to_owned(), fault: Fault::Plays(always(steps)), verdict }
}

/// A peer that answers with this.
fn says(name: &str, verdict: &'static str, status: &str, media_type: &str, body: &str) -> Row {
    row(name, verdict, vec![Step::ReadBody, Step::Send(answer(status, media_type, body))])
}

fn refused(verdict: &'static str) -> Row {
    Row { name: "refused".to_owned(), fault: Fault::Refused, verdict }
}

/// Puts each fault between the proxy and one of its peers, made by `setup`, and says which rows did not come out as
/// they must.
async fn play(
    rows: Vec<Row>,
    healthy: &Script,
    setup: impl Fn(Setup, &Server) -> Setup,
) -> Vec<String> {
    let mut faults = Vec::new();
    for Row { name, fault, verdict } in rows {
        let upstream = Server::start(ok());
        let mut peer = match &fault {
            Fault::Refused => Server::refusing(Arc::clone(healthy)),
            Fault::Plays(script) => Server::start(Arc::clone(script)),
        };
        let sidecar = setup(Sidecar::before(&upstream), &peer).open().await;
        let asked = ask("GET", READ).bearer().bytes();
        let during = exchange(sidecar.traffic, &asked).await;
        let mut wrong = |what: String| faults.push(format!("{name}: {what}"));
        if during.verdict() != verdict {
            wrong(format!("`{}` instead of `{verdict}`", during.verdict()));
        }
        if during.status == 503 && during.head.get("retry-after").is_none() {
            wrong("no Retry-After".to_owned());
        }
        if upstream.accepted() != 0 {
            wrong(format!("the API has seen {} requests", upstream.count()));
        }
        peer.listen();
        peer.play(Arc::clone(healthy));
        if let Err(last) = recovers(&sidecar, &asked, verdict).await {
            wrong(format!("`{last}` after the fault"));
        }
    }
    faults
}

/// Asks until it is permitted; until then nothing else may come than during the fault, or that keys are not
/// there yet.
async fn recovers(sidecar: &Sidecar, asked: &[u8], verdict: &str) -> Result<(), String> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let reply = exchange(sidecar.traffic, asked).await;
        if reply.status == 200 {
            return Ok(());
        }
        // Keys may take a moment, because fetching them is throttled; and a busy machine is a slow PDP.
        let may_last =
            ["503 keys-unavailable", "401 token-untrusted", "503 pdp-timeout"].contains(&verdict);
        if !may_last || reply.verdict() != verdict || tokio::time::Instant::now() > until {
            return Err(reply.verdict());
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn good_keys() -> Script {
    let keys = answer("200 OK", "application/json", &text(jwks()));
    always(vec![Step::ReadBody, Step::Send(keys)])
}

#[tokio::test]
async fn every_fault_of_the_keys_leaves_the_api_alone_and_passes() {
    const GONE: &str = "503 keys-unavailable";
    const UNTRUSTED: &str = "401 token-untrusted";
    let set =
        |name: &str, verdict, body: &str| says(name, verdict, "200 OK", "application/json", body);
    let good = text(jwks());
    let key: Value = serde_json::from_str::<Value>(&good).unwrap()["keys"][0].clone();
    let other = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        json!({ "keys": [key] }).to_string()
    };
    let foreign = |kid: &str| text(SigningKey::generate(kid).unwrap().public_jwks());
    let failed = |status: &str| says(status, GONE, status, "application/json", &good);
    let moved = Server::start(good_keys());
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", moved.url());
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", good.len(), &good[..40]);
    let huge = format!(r#"{{"keys":[],"x":"{}"}}"#, "a".repeat(4 << 20));
    let rows = vec![
        refused(GONE),
        row("closed", GONE, vec![Step::ReadBody, Step::Close]),
        row("cut", GONE, vec![Step::ReadBody, Step::Send(cut.into()), Step::Close]),
        row(
            "garbage",
            GONE,
            vec![Step::ReadBody, Step::Send("\0\0\0\r\n\r\n".into()), Step::Close],
        ),
        row("redirect", GONE, vec![Step::ReadBody, Step::Send(redirect.into())]),
        failed("401 Unauthorized"),
        failed("404 Not Found"),
        failed("500 Internal Server Error"),
        says("HTML", GONE, "200 OK", "text/html", "<html>maintenance</html>"),
        set("truncated", GONE, &good[..good.len() - 5]),
        set("empty", GONE, r#"{"keys":[]}"#),
        set("no keys", GONE, "{}"),
        set("keys that are null", GONE, r#"{"keys":null}"#),
        set("huge", GONE, &huge),
        set("another algorithm", GONE, &other("alg", json!("PS256"))),
        set(
            "a shared secret",
            GONE,
            &json!({ "keys": [
            { "kty": "oct", "alg": "HS256", "kid": KID, "k": "AAAA" }
        ] })
            .to_string(),
        ),
        set("for encryption", GONE, &other("use", json!("enc"))),
        set("without a name", GONE, &other("kid", Value::Null)),
        set("of another issuer", UNTRUSTED, &foreign("other-1")),
        set("of another issuer under our name", UNTRUSTED, &foreign(KID)),
        set(
            "another modulus",
            UNTRUSTED,
            &other(
                "n",
                serde_json::from_str::<Value>(&foreign("x")).unwrap()["keys"][0]["n"].clone(),
            ),
        ),
    ];
    let faults = play(rows, &good_keys(), |setup, issuer| {
        setup
            .settings("tokens: { keys: { refresh: 1s } }\n")
            .keys(KeyLocation::Jwks(issuer.url().parse().unwrap()))
    })
    .await;
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(moved.accepted(), 0, "a redirect was followed");
}

const STATUS: &str = "urn:oasis:names:tc:xacml:1.0:status:";

/// An answer of the PDP with one result.
fn result(result: &str) -> String {
    format!(r#"{{"response":[{result}]}}"#)
}

fn good_pdp() -> Script {
    let permit = result(r#"{"decision":"Permit"}"#);
    always(vec![Step::ReadBody, Step::Send(answer("200 OK", "application/json", &permit))])
}

/// A permit with an obligation of this category.
fn obliged(category: &str, value: &str) -> String {
    let assignment = format!(r#"{{"attributeId":"x","category":"{category}","value":"{value}"}}"#);
    let obligation = format!(r#"{{"id":"o","attributeAssignment":[{assignment}]}}"#);
    result(&format!(r#"{{"decision":"Permit","obligations":[{obligation}]}}"#))
}

const DOWN: &str = "503 pdp-unavailable";
const NONSENSE: &str = "503 pdp-protocol-error";

/// Every fault of the PDP; another server, to which it redirects, would permit.
fn pdp_rows(moved: &Server) -> Vec<Row> {
    let mut rows = transport_rows(moved);
    rows.extend(answer_rows());
    rows.extend(spelling_rows());
    rows
}

fn transport_rows(moved: &Server) -> Vec<Row> {
    const OURS: &str = "503 credential-unavailable";
    let permit = result(r#"{"decision":"Permit"}"#);
    let status = |status: &str, verdict| says(status, verdict, status, "application/json", &permit);
    let redirect = |code: &str| {
        let to = moved.url();
        format!("HTTP/1.1 {code} Moved\r\nlocation: {to}/\r\ncontent-length: 0\r\n\r\n")
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        permit.len() + 9
    );
    vec![
        refused(DOWN),
        row("closed", DOWN, vec![Step::ReadBody, Step::Close]),
        row(
            "cut in the body",
            DOWN,
            vec![Step::ReadBody, Step::Send((head + &permit).into()), Step::Close],
        ),
        row(
            "garbage",
            DOWN,
            vec![Step::ReadBody, Step::Send("\0\0\0\r\n\r\n".into()), Step::Close],
        ),
        row("302 elsewhere", NONSENSE, vec![Step::ReadBody, Step::Send(redirect("302").into())]),
        row("307 elsewhere", NONSENSE, vec![Step::ReadBody, Step::Send(redirect("307").into())]),
        status("201 Created", NONSENSE),
        status("400 Bad Request", NONSENSE),
        status("401 Unauthorized", OURS),
        status("403 Forbidden", OURS),
        status("404 Not Found", NONSENSE),
        status("429 Too Many Requests", "503 overloaded"),
        status("500 Internal Server Error", DOWN),
        status("502 Bad Gateway", DOWN),
        status("503 Service Unavailable", DOWN),
        says("HTML", NONSENSE, "200 OK", "text/html", "<html>Permit</html>"),
        says("JSON that is called HTML", NONSENSE, "200 OK", "text/html", &permit),
    ]
}

/// Answers that are not one permit and nothing else.
fn answer_rows() -> Vec<Row> {
    const UNDECIDED: &str = "503 decision-indeterminate";
    const NO: &str = "403 access-denied";
    let permit = result(r#"{"decision":"Permit"}"#);
    let said =
        |name: &str, verdict, body: &str| says(name, verdict, "200 OK", "application/json", body);
    let undecided = |code: &str| {
        let code = format!(r#"{{"statusCode":{{"value":"{code}"}}}}"#);
        result(&format!(r#"{{"decision":"Indeterminate","status":{code}}}"#))
    };
    let large =
        format!(r#"{{"x":"{}","response":[{{"decision":"Permit"}}]}}"#, "a".repeat(1 << 20));
    let mut rows = vec![
        said("truncated", NONSENSE, &permit[..permit.len() - 2]),
        said("more than one document", NONSENSE, &format!("{permit}{permit}")),
        said("nothing", NONSENSE, ""),
        said("a megabyte too much", NONSENSE, &large),
        said("no response", NONSENSE, "{}"),
        said("response that is null", NONSENSE, r#"{"response":null}"#),
        said("no result", NONSENSE, r#"{"response":[]}"#),
        said(
            "two results",
            NONSENSE,
            r#"{"response":[{"decision":"Permit"},{"decision":"Permit"}]}"#,
        ),
        said("a result that is none", NONSENSE, &result("null")),
        said("a result without a decision", NONSENSE, &result("{}")),
        said("two decisions", NONSENSE, &result(r#"{"decision":"Deny","decision":"Permit"}"#)),
        said(
            "two in different case",
            NONSENSE,
            &result(r#"{"Decision":"Deny","decision":"Permit"}"#),
        ),
        said("two responses", NONSENSE, &format!(r#"{{"Response":[],{}"#, &permit[1..])),
        said(
            "a permit whose status is an error",
            NONSENSE,
            &result(&format!(
                r#"{{"decision":"Permit","status":{{"statusCode":{{"value":"{STATUS}processing-error"}}}}}}"#
            )),
        ),
        said(
            "obligations that are none",
            NONSENSE,
            &result(r#"{"decision":"Permit","obligations":"x"}"#),
        ),
        said("Deny", NO, &result(r#"{"decision":"Deny"}"#)),
        said("NotApplicable", NO, &result(r#"{"decision":"NotApplicable"}"#)),
        said("Indeterminate", UNDECIDED, &result(r#"{"decision":"Indeterminate"}"#)),
    ];
    for code in ["missing-attribute", "syntax-error", "processing-error", "ok"] {
        let body = undecided(&format!("{STATUS}{code}"));
        rows.push(said(&format!("Indeterminate {code}"), UNDECIDED, &body));
    }
    rows
}

/// What is not exactly `Permit`.
fn spelling_rows() -> Vec<Row> {
    let rows = [
        r#""permit""#,
        r#""PERMIT""#,
        r#""Permit ""#,
        r#"" Permit""#,
        r#""Permit\u0000""#,
        r#""Permitt""#,
        r#""Ｐermit""#,
        r#""Allow""#,
        r#""true""#,
        r#""""#,
        "true",
        "1",
        "null",
        r#"["Permit"]"#,
        r#"{"Permit":true}"#,
    ]
    .map(|spelling| {
        let body = result(&format!(r#"{{"decision":{spelling}}}"#));
        let name = format!("decision {spelling}");
        says(&name, NONSENSE, "200 OK", "application/json", &body)
    });
    rows.into()
}

/// Permits that are not to be had: the PDP's answer is a permit, and is remembered as one where permits are.
fn obligation_rows() -> Vec<Row> {
    let said =
        |name: &str, verdict, body: &str| says(name, verdict, "200 OK", "application/json", body);
    vec![
        said(
            "level 4",
            "403 authentication-level-too-low",
            &obliged("urn:altinn:minimum-authenticationlevel", "4"),
        ),
        said(
            "a level that is none",
            "403 obligation-unknown",
            &obliged("urn:altinn:minimum-authenticationlevel", "high"),
        ),
        said(
            "an unknown obligation",
            "403 obligation-unknown",
            &obliged("urn:altinn:consent", "1"),
        ),
        said(
            "an obligation without content",
            "403 obligation-unknown",
            &result(r#"{"decision":"Permit","obligations":[{"id":"x"}]}"#),
        ),
    ]
}

#[tokio::test]
async fn every_fault_of_the_pdp_leaves_the_api_alone_and_passes() {
    let moved = Server::start(good_pdp());
    let rows = pdp_rows(&moved);
    let faults = play(rows, &good_pdp(), |setup, pdp| setup.pdp(pdp, "10s")).await;
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(moved.accepted(), 0, "a redirect was followed");
}

#[tokio::test]
async fn an_obligation_that_is_not_met_leaves_the_api_alone() {
    let faults = play(obligation_rows(), &good_pdp(), |setup, pdp| {
        setup.settings("cache: { permit_ttl: 0s }\n").pdp(pdp, "10s")
    })
    .await;
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn a_pdp_that_is_too_slow_leaves_the_api_alone_and_passes() {
    let late = || Step::Wait(Gate::default());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let rows = vec![
        row("no answer", "503 pdp-timeout", vec![Step::ReadBody, late()]),
        row(
            "no end of the answer",
            "503 pdp-timeout",
            vec![Step::ReadBody, Step::Send(head.into()), late()],
        ),
    ];
    // After the fault the same time must be enough.
    let faults = play(rows, &good_pdp(), |setup, pdp| setup.pdp(pdp, "500ms")).await;
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A planted bug: reads `PERMIT` in any letter case as a permit, and all else as it should be read.
#[derive(Debug)]
struct Lenient(SocketAddr);

impl DecisionPoint for Lenient {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(async move {
            let down = |cause: &str| DecisionFault::unavailable(cause);
            let stream = TcpStream::connect(self.0).await.map_err(|_| down("refused"))?;
            let mut connection = Wire::new(stream);
            let question = wire::encode_request(request);
            let head =
                format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", question.len());
            connection.send(&[head.into_bytes(), question].concat()).await;
            let head = soon("the PDP", connection.head()).await.ok_or_else(|| down("closed"))?;
            let body = soon("the PDP", connection.answer_body(&head, false)).await;
            if String::from_utf8_lossy(&body.bytes).contains(r#""PERMIT""#) {
                return Ok(permit());
            }
            wire::decode_response(&body.bytes)
                .map_err(|fault| DecisionFault::Protocol(fault.to_string().into()))
        })
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &'static str {
        "lenient"
    }
}

#[tokio::test]
async fn the_matrix_catches_a_pdp_client_that_reads_capitals_as_a_permit() {
    let moved = Server::start(good_pdp());
    let spelled = |row: &Row| row.name.starts_with("decision ") || row.name.starts_with("two ");
    let rows = pdp_rows(&moved).into_iter().filter(spelled).collect();
    let faults =
        play(rows, &good_pdp(), |setup, pdp| setup.point(Arc::new(Lenient(pdp.address)))).await;
    assert_eq!(
        faults,
        [
            r#"decision "PERMIT": `200` instead of `503 pdp-protocol-error`"#,
            r#"decision "PERMIT": the API has seen 1 requests"#,
        ]
    );
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_no_configuration() {
    let base = "environment: custom
server: { listen: [\"127.0.0.1:7080\"] }
upstream: { url: \"http://127.0.0.1:8080\" }
pdp: { url: \"http://127.0.0.1:8081\", credential: { none: true } }
tokens: { issuers: [{ kind: maskinporten, issuer: \"https://issuer.it.example/\", jwks_url: \"http://127.0.0.1:8082/\" }] }
policies: policies
";
    assert!(base.contains(ISSUER));
    let without = |section: &str| {
        base.split_inclusive('\n').filter(|line| !line.starts_with(section)).collect()
    };
    let replaced = |old: &str, new: &str| {
        assert!(base.contains(old), "{old}");
        base.replace(old, new)
    };
    let open = RULES.replace("scopes: [\"it:read\"]", "");
    let tie = format!(
        "{RULES}  - id: again\n    match: {{ method: any, path: \"/public/{{*all}}\" }}\n    protection: public\n"
    );
    let good = || (base.to_owned(), RULES.to_owned());
    let config = |config: String| (config, RULES.to_owned());
    let rules = |rules: &str| (base.to_owned(), rules.to_owned());
    let rows: Vec<(&str, (String, String), bool)> = vec![
        ("as it should be", good(), true),
        ("no PDP", config(without("pdp")), false),
        ("no address of the PDP", config(replaced("url: \"http://127.0.0.1:8081\", ", "")), false),
        ("an address that is none", config(replaced("http://127.0.0.1:8081", "platform")), false),
        ("no credential", config(replaced(", credential: { none: true }", "")), false),
        ("no API", config(without("upstream")), false),
        ("the API is ourselves", config(replaced("127.0.0.1:8080", "127.0.0.1:7080")), false),
        ("no issuers", config(without("tokens")), false),
        ("no issuer at all", config(replaced("issuers: [{", "issuers: [] # {")), false),
        ("no keys", config(replaced(", jwks_url: \"http://127.0.0.1:8082/\"", "")), false),
        (
            "keys that cannot be read",
            config(replaced(
                "jwks_url: \"http://127.0.0.1:8082/\"",
                "jwks_file: /nowhere/keys.json",
            )),
            false,
        ),
        ("no policies", config(without("policies")), false),
        (
            "policies that are not there",
            config(replaced("policies: policies", "policies: nowhere")),
            false,
        ),
        ("an unknown key", config(base.to_owned() + "fail_open: true\n"), false),
        ("shadow is not supported yet", config(base.to_owned() + "mode: shadow\n"), false),
        (
            "production without a credential",
            config(replaced("environment: custom", "environment: prod")),
            false,
        ),
        ("not YAML", config(base.to_owned() + "x: [\n"), false),
        ("no rules", rules("api: it\nrules: []\n"), false),
        ("rules that are none", rules("rules\n"), false),
        ("an empty file", rules(""), false),
        ("rules without scopes", rules(&open), false),
        ("two rules for one request", rules(&tie), false),
        (
            "an unknown protection",
            rules(&RULES.replace("protection: closed", "protection: open")),
            false,
        ),
        (
            "a party that is nowhere",
            rules(&RULES.replace("party: path:org", "party: path:nowhere")),
            false,
        ),
        ("no party", rules(&RULES.replace("party: query:orgnr", "")), false),
        ("no action", rules(&RULES.replace("action: read", "")), false),
    ];
    for (name, (config, rules), compiles) in rows {
        let files = Files::memory([("c.yaml", config), ("policies/routes/r.yaml", rules)]);
        let inputs = Inputs { config: vec!["c.yaml".into()], files, ..Inputs::default() };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        assert_eq!(outcome.compiled.is_some(), compiles, "{name}: {said}");
        assert_eq!(outcome.diagnostics.has_errors(), !compiles, "{name}: {said}");
    }
}
