//! The order of checks: the first fault wins, and nothing behind it is looked at.
//!
//! One request begins with every fault there is. They are mended one by one, in the order in which they
//! must be found; after the last the request is permitted.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderValue};
use http::{Method, Version};
use portvakt::authorize::authorize;
use portvakt::config::{Compiled, Environment, Files, Inputs, Overrides, Runtime, compile};
use portvakt::dev::Mint;
use portvakt::domain::{
    Decision, DenialCode, Head, Inbound, InboundBody, Obligation, Obligations, Peer, RequestId,
    RequestTarget, SystemClock, Upgrade,
};
use portvakt::pdp::{DecisionPoint, Scripted};
use portvakt::record::{Journey, Steps};
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation};
use serde_json::{Value, json};
use std::sync::Arc;

const RULES: &str = r#"
api: order
rules:
  - id: judged
    match: { method: POST, path: /judged }
    resource: { from: "json:/resource", allow: [resource-one] }
    action: write
    party: json:/party
    scopes: ["order:write"]
    systems: [right_system]
    vendors: ["314330897"]
    min_authentication_level: 3
    max_body: 200
  - { id: closed, match: { method: POST, path: /closed }, protection: closed }
"#;

const CONFIGURATION: &str = "
environment: custom
server: { hosts: [api.example.no] }
upstream: { url: http://127.0.0.1:9 }
pdp: { kind: altinn, url: http://127.0.0.1:9, credential: { none: true }, system_user_authentication_level: 3 }
policies: policies
";

/// A request in parts that can be mended one by one.
struct Draft {
    method: Method,
    target: String,
    headers: HeaderMap,
    claims: Option<Value>,
    body: String,
}

/// Mends one fault.
type Mend = fn(&mut Draft);

#[tokio::test]
async fn each_fault_is_found_before_the_ones_behind_it() {
    let mint = Mint::new(&[issuer()]).unwrap();
    let mut draft = worst();
    let unpermitted: Arc<Scripted> = Arc::new(Scripted::always(Ok(Decision::NotApplicable)));
    let snapshot = compiled(&mint, Arc::clone(&unpermitted) as _);
    let steps: [(DenialCode, Mend); 16] = [
        (DenialCode::ExpectationFailed, |draft| drop(draft.headers.remove(EXPECT))),
        (DenialCode::AmbiguousPath, |draft| draft.target = "/unknown".to_owned()),
        (DenialCode::HostUnknown, |draft| set(draft, "host", "api.example.no")),
        (DenialCode::RouteUnknown, |draft| draft.target = "/closed".to_owned()),
        (DenialCode::MethodNotAllowed, |draft| draft.method = Method::POST),
        (DenialCode::RouteClosed, |draft| draft.target = "/judged".to_owned()),
        (DenialCode::TokenMissing, |draft| draft.claims = Some(plain())),
        (DenialCode::NotASystemUser, |draft| {
            draft.claims = Some(system_user("wrong_system", "314000013", "x:y"));
        }),
        (DenialCode::ScopeMissing, |draft| {
            draft.claims = Some(system_user("wrong_system", "314000013", "order:write"));
        }),
        (DenialCode::SystemNotAllowed, |draft| {
            draft.claims = Some(system_user("right_system", "314000013", "order:write"));
        }),
        (DenialCode::VendorNotAllowed, |draft| {
            draft.claims = Some(system_user("right_system", "314330897", "order:write"));
        }),
        (DenialCode::BodyTooLarge, |draft| draft.body = "{".to_owned()),
        (DenialCode::UnsupportedBody, |draft| set(draft, "content-type", "application/json")),
        (DenialCode::BodyUnreadable, |draft| {
            draft.body = r#"{"resource":"resource-two"}"#.to_owned();
        }),
        (DenialCode::ResourceNotAllowed, |draft| {
            draft.body = r#"{"resource":"resource-one"}"#.to_owned();
        }),
        (DenialCode::PartyMissing, |draft| {
            draft.body = r#"{"resource":"resource-one","party":"312714051"}"#.to_owned();
        }),
    ];
    for (code, mend) in steps {
        assert_eq!(verdict(&snapshot, &mint, &draft).await, Err(code));
        assert!(unpermitted.asked().is_empty(), "the PDP is asked before {code} is found");
        mend(&mut draft);
    }
    assert_eq!(verdict(&snapshot, &mint, &draft).await, Err(DenialCode::AccessDenied));
    assert_eq!(unpermitted.asked().len(), 1);

    let obliged = |category: &str, value: &str| {
        let obligation =
            Obligation { id: "1".into(), category: category.into(), value: value.into() };
        Decision::Permit(Obligations::new(vec![obligation]))
    };
    for (decision, expected) in [
        (obliged("urn:altinn:nobody-knows", "1"), Err(DenialCode::ObligationUnknown)),
        (
            obliged("urn:altinn:minimum-authenticationlevel", "4"),
            Err(DenialCode::AuthenticationLevelTooLow),
        ),
        (obliged("urn:altinn:minimum-authenticationlevel", "3"), Ok("judged".to_owned())),
    ] {
        let snapshot = compiled(&mint, Arc::new(Scripted::always(Ok(decision))));
        assert_eq!(verdict(&snapshot, &mint, &draft).await, expected);
    }
}

fn worst() -> Draft {
    let mut headers = HeaderMap::new();
    headers.insert(EXPECT, HeaderValue::from_static("the-unexpected"));
    headers.insert(HOST, HeaderValue::from_static("elsewhere.example"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Draft {
        method: Method::GET,
        target: "/a/../judged".to_owned(),
        headers,
        claims: None,
        body: "x".repeat(201),
    }
}

fn set(draft: &mut Draft, name: &'static str, value: &'static str) {
    draft.headers.insert(name, HeaderValue::from_static(value));
}

fn issuer() -> IssuerSettings {
    IssuerSettings::new(
        IssuerKind::Maskinporten,
        "https://issuer.example/",
        KeyLocation::Static(Bytes::new()),
    )
}

fn plain() -> Value {
    json!({ "scope": "x:y", "consumer": { "authority": "iso6523-actorid-upis", "ID": "0192:314000013" } })
}

fn system_user(system: &str, vendor: &str, scope: &str) -> Value {
    json!({
        "scope": scope,
        "consumer": { "authority": "iso6523-actorid-upis", "ID": format!("0192:{vendor}") },
        "authorization_details": [{
            "type": "urn:altinn:systemuser",
            "systemuser_org": { "authority": "iso6523-actorid-upis", "id": "0192:314242726" },
            "systemuser_id": ["a0000001-0000-4000-8000-000000000001"],
            "system_id": system,
        }],
    })
}

fn compiled(mint: &Mint, point: Arc<dyn DecisionPoint>) -> Compiled {
    let files = [("config.yaml", CONFIGURATION), ("policies/routes/order.yaml", RULES)];
    let inputs = Inputs {
        config: vec!["config.yaml".into()],
        files: Files::memory(files),
        environment: Environment::new(std::iter::empty()),
        flags: Vec::new(),
        overrides: Overrides {
            point: Some(point),
            issuers: Some(mint.issuers()),
            without_secrets: false,
        },
    };
    let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
    let outcome = compile(&inputs, None, &runtime);
    let said = outcome.diagnostics.to_json_lines();
    outcome.compiled.unwrap_or_else(|| panic!("{said}"))
}

/// The rule that permits, or the code that refuses.
async fn verdict(compiled: &Compiled, mint: &Mint, draft: &Draft) -> Result<String, DenialCode> {
    let snapshot = &compiled.snapshot;
    let mut headers = draft.headers.clone();
    if let Some(claims) = &draft.claims {
        let token = mint.token(claims).unwrap();
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    }
    let target = RequestTarget::parse(&draft.target, 8192);
    let head = Head {
        framing: Ok(()),
        method: draft.method.clone(),
        target,
        version: Version::HTTP_11,
        upgrade: Upgrade::asked(&draft.method, Version::HTTP_11, &headers),
        headers,
    };
    let body = InboundBody::Buffered(Bytes::copy_from_slice(draft.body.as_bytes()));
    let mut inbound = Inbound { head, peer: Peer::LOCAL, body };
    let clock = Arc::clone(&snapshot.clock);
    let mut journey =
        Journey::begin(RequestId::fresh(), draft.method.clone(), 1, clock, None, Steps::Dropped);
    let verdict = authorize(snapshot, &mut inbound, &mut journey).await;
    verdict
        .map(|permit| permit.rule_id().unwrap_or_default().to_owned())
        .map_err(|denial| denial.code)
}
