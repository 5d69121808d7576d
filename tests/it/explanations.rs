//! The reasons of the embedded PDP are for those who ask `explain`: a caller who is refused learns no
//! more than before, and nobody gathers them on its behalf.

use crate::support::{
    DENIED, PERMITTED, SYSTEM_USER, Server, Sidecar, Step, always, answer, ask, claims, exchange,
    ok, pattern,
};
use portvakt::domain::{
    AccessRequest, Action, CheckDigits, DecisionSource, PdpSubject, ResourceId, SystemUserId,
};
use portvakt::pdp::embedded::{
    Directory, DirectoryParts, EmbeddedPdp, PartyPart, PolicyStore, Reasons,
};
use portvakt::pdp::{DecisionPoint, PendingDecision};
use portvakt::xacml::Mode;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const POLICY: &str = include_str!("../../policies/resources/ske-mva-melding.xml");
const RULES: &str = r#"
api: it
rules:
  - id: submit
    match: { method: POST, path: "/mva/{org}" }
    resource: ske-mva-melding
    action: write
    party: path:org
    scopes: ["it:read"]
"#;

/// The embedded PDP, which counts how often it is asked why.
#[derive(Debug)]
struct Counting {
    inner: EmbeddedPdp,
    asked_why: AtomicUsize,
}

impl Counting {
    fn new() -> Self {
        let policies = PolicyStore::build([("mva.xml".to_owned(), POLICY)]).unwrap();
        let party = |number: &str| PartyPart {
            organization: Some(number.to_owned()),
            name: Some("Navnet AS".to_owned()),
            ..PartyPart::default()
        };
        let parts = DirectoryParts {
            check_digits: CheckDigits::Strict,
            parties: [PERMITTED, DENIED].map(party).into(),
            ..DirectoryParts::default()
        };
        let directory = Directory::build(parts).unwrap();
        let inner = EmbeddedPdp::new(policies, directory, Mode::Altinn);
        Self { inner, asked_why: AtomicUsize::new(0) }
    }
}

impl DecisionPoint for Counting {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        self.inner.decide(request)
    }

    fn reasons(&self, request: &AccessRequest) -> Option<Box<Reasons>> {
        self.asked_why.fetch_add(1, Ordering::Relaxed);
        self.inner.reasons(request)
    }

    fn source(&self) -> DecisionSource {
        self.inner.source()
    }

    fn identity(&self) -> &str {
        self.inner.identity()
    }
}

#[tokio::test]
async fn a_caller_that_is_refused_is_not_told_what_was_missing() {
    let (upstream, point) = (Server::start(ok()), Arc::new(Counting::new()));
    let sidecar = Sidecar::before(&upstream)
        .rules(RULES)
        .settings("log: { decisions: stdout }\n")
        .point(Arc::clone(&point) as _)
        .open()
        .await;
    let asked = ask("POST", &format!("/mva/{DENIED}")).bearer().bytes();
    let reply = exchange(sidecar.traffic, asked).await;
    assert_eq!(reply.verdict(), "403 access-denied");
    let answer = format!("{:?} {}", reply.head, reply.text());
    let records = sidecar.records.when(1).await;
    let seen = format!("{answer} {}", records[0]);
    for word in [
        "merverdiavgift",
        "skattegrunnlag",
        "portvakt:example",
        "Navnet",
        "mva.xml",
        "single right",
    ] {
        assert!(!seen.contains(word), "{word}: {seen}");
    }
    assert_eq!(point.asked_why.load(Ordering::Relaxed), 0, "nobody asked why");
    let request = AccessRequest {
        subject: PdpSubject::SystemUser(SystemUserId::parse(SYSTEM_USER).unwrap()),
        resource: ResourceId::parse("ske-mva-melding").unwrap(),
        action: Action::parse("write").unwrap(),
        party: pattern(DENIED).party.unwrap(),
        instance: None,
        attributes: [].into(),
    };
    let told = point.reasons(&request).unwrap().to_string();
    assert!(told.contains("package `merverdiavgift`"), "there was something to tell: {told}");
    sidecar.end().await;
}

/// What `portvakt explain` prints of a call by the system user of the tests, under this configuration.
fn explain(config: &Path, arguments: &[&str]) -> String {
    let mut claims = claims();
    // The issuer of the configuration, times as now.
    let members = claims.as_object_mut().unwrap();
    members.retain(|name, _| !["iss", "iat", "exp", "nbf"].contains(&name.as_str()));
    members["scope"] = "skatteetaten:mvameldinginnsending".into();
    let mut child = Command::new(env!("CARGO_BIN_EXE_portvakt"))
        .args(["explain", "--claims", "/dev/stdin", "--config"])
        .arg(config)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(claims.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, complaint) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "it is refused: {complaint}");
    String::from_utf8(said).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_on_rules_shows_what_explain_prints() {
    let page = std::fs::read_to_string(root().join("docs/RULES.md")).unwrap();
    let (_, section) = page.split_once("## Why was it refused?").unwrap();
    let block = section.split("```").nth(1).unwrap().trim_start_matches("text\n");
    let (_, block) = block.split_once("/melding\n").unwrap();
    let said = explain(&root().join("config/local.yaml"), &["POST", "/mva/313750531/melding"]);
    let shown = said.find(" decision").map(|at| &said[at..]).unwrap();
    let (shown, outside) = shown.split_once("the caller gets 403\n").unwrap();
    assert_eq!(block.split("…\n").last().unwrap(), shown);
    let begins = "  www-authenticate: Bearer\n  {\"accessPackages\":[\"urn:altinn:accesspackage:merverdiavgift\",";
    assert!(outside.starts_with(begins), "{outside}");
    let question = said.split("\n question  ").nth(1).unwrap();
    let (told, request) = question.split_once('\n').unwrap();
    assert!(told.ends_with("identifier-no:313750531, from `path:orgnr`"), "{told}");
    let request: Value = serde_json::from_str(request.lines().next().unwrap()).unwrap();
    let party = &request["Request"]["Resource"][0]["Attribute"][1];
    assert_eq!(party["Value"], "313750531", "{request}");
}

#[test]
fn programs_find_the_reasons_in_the_step_of_the_decision() {
    let arguments = ["--format", "json", "POST", "/mva/313750531/melding"];
    let said = explain(&root().join("config/local.yaml"), &arguments);
    let said: Value = serde_json::from_str(&said).unwrap();
    for step in said["steps"].as_array().unwrap() {
        let reasons = step.get("reasons");
        assert_eq!(reasons.is_some(), step["stage"] == "decision", "{step}");
        if let Some(reasons) = reasons {
            assert_eq!(reasons["settled"]["by"], "noRule", "{reasons}");
            assert_eq!(reasons["missing"][0]["needs"][0]["package"], "merverdiavgift");
        }
    }
    assert_eq!(said.get("note"), None);
}

#[tokio::test]
async fn of_altinns_no_it_is_said_that_altinn_does_not_say_why() {
    let body = r#"{"response":[{"decision":"NotApplicable","status":{"statusCode":{"value":"urn:oasis:names:tc:xacml:1.0:status:ok"}}}]}"#;
    let steps = vec![Step::ReadBody, Step::Send(answer("200 OK", "application/json", body))];
    let pdp = Server::start(always(steps));
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain-altinn.yaml");
    let text = format!(
        "environment: custom
upstream: {{ url: \"http://127.0.0.1:9\" }}
tokens: {{ issuers: [{{ kind: maskinporten, issuer: \"https://issuer.it.example/\", jwks_url: \"http://127.0.0.1:9/jwks\" }}] }}
pdp: {{ url: \"{}\", credential: {{ none: true }} }}
policies: {}
",
        pdp.url(),
        root().join("policies").display()
    );
    std::fs::write(&config, text).unwrap();
    let asked = move || explain(&config, &["--live", "POST", "/mva/313750531/melding"]);
    let said = tokio::task::spawn_blocking(asked).await.unwrap();
    assert!(said.contains("NotApplicable"), "{said}");
    assert_eq!(said.matches("Altinn does not say why").count(), 1, "{said}");
    assert!(!said.contains("enough"), "{said}");
}

#[test]
fn rules_that_come_near_are_named_where_none_matches() {
    let config = root().join("config/local.yaml");
    let said = explain(&config, &["POST", "/mva/313750531/meldinger"]);
    let end = "\nrefused: 404 route-unknown\nrules that come near:\n  submit-vat-return: segment 3 is not `melding`\n";
    assert!(said.contains(&format!("{end}the caller gets 404\n")), "{said}");
    let said = explain(&config, &["--format", "json", "GET", "/mva/313750531/melding"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["otherRules"][0]["why"], "it is for `POST`");
    assert_eq!(said["answered"]["document"]["code"], "method-not-allowed");
    assert!(said["answered"]["headers"].to_string().contains(r#"["allow","POST"]"#), "{said}");
}
