//! Published OpenAPI documents: rules proposed from them, what a person adds, and what then guards each operation; and
//! the rules at work, before an API made from the same document.

use crate::folder;
use portvakt::config::openapi::{self, Guard, Wishes};
use portvakt::config::{
    self, Colour, Compiled, Diagnostics, Files, Inputs, Overrides, RulePlaces, Runtime,
};
use portvakt::dev::Mint;
use portvakt::domain::{Clock as _, Decision, Obligations, PartyKind, SystemClock};
use portvakt::pdp::Scripted;
use portvakt::record::RecordSink;
use portvakt::route::{Place, Protection, ResourceRule, RouteRule};
use portvakt::server::Gate;
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ISSUER: &str = "https://issuer.example.no/";
const PARTY: &str = "312714051";
const PARTY_ID: &str = "50012345";
const RESOURCE: &str = "ske-mva-melding";

/// What a person answers: where `TODO` stands, and what is written there.
type Answers = &'static [(&'static str, &'static str)];

/// Name, answers, how often a person chooses, and how many operations have each guard, in the order of [`Guard::ALL`].
const DOCUMENTS: [(&str, Answers, usize, [usize; 6]); 5] = [
    ("altinn-broker-v1.json", &[], 2, [1, 9, 2, 0, 0, 0]),
    ("altinn-correspondence-v1.json", &[], 4, [3, 12, 0, 0, 0, 0]),
    (
        "altinn-platform-authentication-v1.json",
        &[("party: TODO", "party: json:/reporteeOrgNo")],
        3,
        [11, 13, 7, 0, 0, 0],
    ),
    ("altinn-platform-authorization-v1.trimmed.json", &[], 1, [0, 2, 0, 0, 0, 0]),
    (
        "dialogporten-enduser-v1.json",
        // What limits there are, and which resources, the API tells everybody.
        &[("protection: TODO", "protection: public")],
        3,
        [2, 10, 2, 2, 0, 0],
    ),
];

fn path(name: &str) -> PathBuf {
    folder::root().join("altinn/openapi").join(name)
}

fn answered(yaml: &str, answers: Answers) -> String {
    let mut text = yaml
        .replace("allow: [TODO]", &format!("allow: [{RESOURCE}]"))
        .replace("resource: TODO", &format!("resource: {RESOURCE}"))
        .replace("scopes: TODO", "scopes: [\"it:read\"]");
    for (choice, answer) in answers {
        text = text.replace(choice, answer);
    }
    text
}

fn compiled(rules: &str, upstream: &str, mint: &Mint) -> (Compiled, Tasks) {
    let config = format!(
        "environment: custom\nserver: {{ listen: ['127.0.0.1:0'] }}\nadmin: {{ listen: '127.0.0.1:0' }}\nshutdown: {{ wait: 0s, grace: 10s }}\nupstream: {{ url: '{upstream}' }}\npolicies: p\n"
    );
    let permit = Decision::Permit(Obligations::default());
    let inputs = Inputs {
        config: vec!["c.yaml".into()],
        files: Files::memory([("c.yaml", config), ("p/routes/api.yaml", rules.to_owned())]),
        overrides: Overrides {
            point: Some(Arc::new(Scripted::always(Ok(permit)))),
            issuers: Some(mint.issuers()),
            without_secrets: false,
        },
        ..Inputs::default()
    };
    let tasks = Tasks::new();
    let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
    let outcome = config::compile(&inputs, None, &runtime);
    let said = outcome.diagnostics.to_human(Colour::Plain);
    (outcome.compiled.unwrap_or_else(|| panic!("{said}\n{rules}")), tasks)
}

fn mint() -> Mint {
    let keys = KeyLocation::Static(bytes::Bytes::from_static(b"{\"keys\":[]}"));
    Mint::new(&[IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, keys)]).unwrap()
}

#[tokio::test]
async fn every_operation_is_guarded_and_served() {
    let files = folder::list("altinn/openapi", ".json");
    assert_eq!(
        files,
        DOCUMENTS.each_ref().map(|(name, ..)| *name),
        "other documents than expected"
    );
    for (name, answers, to_choose, guards) in DOCUMENTS {
        let mut found = Diagnostics::new();
        let document = openapi::read(&Files::Disk, &path(name), None, &mut found);
        assert!(found.is_empty(), "{name}: {}", found.to_human(Colour::Plain));
        let document = document.unwrap();
        let proposal = openapi::propose(&document, &Wishes::default());
        assert_eq!(proposal.count(), document.operations.len(), "{name}");
        assert_eq!(proposal.to_choose(), to_choose, "{name}");
        let rules = answered(&proposal.to_yaml(), answers);
        let (api, mint) = (Api::start().await, mint());
        let (compiled, tasks) = compiled(&rules, &format!("http://{}", api.address), &mint);
        let coverage =
            openapi::cover(&document, &compiled.snapshot, &RulePlaces::default(), &mut found);
        assert!(found.is_empty(), "{name}: {}", found.to_human(Colour::Plain));
        let counts = Guard::ALL.map(|guard| coverage.count(guard));
        assert_eq!(counts, guards, "{name}\n{}", coverage.to_human());
        let gate = Gate::open(compiled, RecordSink::Off, tasks).await.unwrap();
        for covered in &coverage.operations {
            let snapshot = gate.snapshot();
            let rule = snapshot.routes.rules().iter().find(|rule| **rule.id() == *covered.rules[0]);
            serve(&gate, &api, &mint, rule.unwrap(), &covered.operation, name).await;
        }
        assert!(gate.close().await);
    }
}

/// A request of this operation passes with a token, and as it is; without one it is refused.
async fn serve(gate: &Gate, api: &Api, mint: &Mint, rule: &RouteRule, operation: &str, name: &str) {
    let (method, template) = operation.split_once(' ').unwrap();
    let party = if rule.party_kinds().contains(PartyKind::Id) { PARTY_ID } else { PARTY };
    let path: Vec<_> = template
        .split('/')
        .map(|segment| if segment.starts_with('{') { party } else { segment })
        .collect();
    let mut target = path.join("/");
    let mut body = Value::Null;
    let resource = match rule.resource() {
        Some(ResourceRule::Allow { from, .. }) => Some(from.as_str().to_owned()),
        Some(ResourceRule::Const(_) | ResourceRule::Map { .. }) | None => None,
    };
    for source in rule.sources() {
        let value = if Some(source.as_str()) == resource.as_deref() { RESOURCE } else { party };
        match source.place() {
            Place::Query(name) => target = format!("{target}?{name}={value}"),
            Place::Json(pointer) => put(&mut body, &pointer.to_string(), value),
            Place::Path(_) => {}
            other @ (Place::Header(_)
            | Place::Xml(_)
            | Place::Form(_)
            | Place::SystemUserOwner
            | Place::Consumer
            | Place::Const(_)) => panic!("{name}: {operation} reads {other:?}"),
        }
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let token = token(mint);
    for (token, expected) in [(Some(&token), 200), (None, 401)] {
        let status =
            ask(gate.traffic()[0], method, &target, token.map(String::as_str), &body).await;
        let expected = if rule.protection() == Protection::Public { 200 } else { expected };
        assert_eq!(status, expected, "{name}: {operation}");
        let seen = std::mem::take(&mut *api.seen.lock().unwrap());
        let passed: Vec<String> =
            if expected == 200 { vec![format!("{method} {target}")] } else { Vec::new() };
        assert_eq!(seen, passed, "{name}: {operation}");
    }
}

/// Puts a value there, with all that is around it.
fn put(body: &mut Value, pointer: &str, value: &str) {
    let mut at = body;
    for token in pointer.split('/').skip(1) {
        if token == "*" {
            if !at.is_array() {
                *at = json!([null]);
            }
            at = &mut at[0];
        } else {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[token];
        }
    }
    *at = json!(value);
}

fn token(mint: &Mint) -> String {
    let now = SystemClock.wall().0;
    let mut claims = json!({
        "iss": ISSUER, "iat": now, "exp": now + 100, "jti": "a", "client_id": "c",
        "scope": "it:read digdir:dialogporten",
        "consumer": { "authority": "iso6523-actorid-upis", "ID": "0192:314330897" },
    });
    claims["authorization_details"] = json!([{
        "type": "urn:altinn:systemuser", "systemuser_id": ["a0000001-0000-4000-8000-000000000001"], "system_id": "314330897_x",
        "systemuser_org": { "authority": "iso6523-actorid-upis", "ID": "0192:314242726" },
    }]);
    mint.token(&claims).unwrap()
}

async fn ask(to: SocketAddr, method: &str, target: &str, token: Option<&str>, body: &str) -> u16 {
    let authorization =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let text = format!(
        "{method} {target} HTTP/1.1\r\nHost: api.example.no\r\nConnection: close\r\n{authorization}{length}\r\n{body}"
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// An API that has every operation, and keeps what it was asked.
struct Api {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _serving: tokio::task::JoinSet<()>,
}

impl Api {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let mut serving = tokio::task::JoinSet::new();
        let told = Arc::clone(&seen);
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                answer(stream, &told).await;
            }
        });
        Self { address, seen, _serving: serving }
    }
}

/// One request and its answer; the connection is not used again.
async fn answer(mut stream: TcpStream, told: &Mutex<Vec<String>>) {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    let whole = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
        });
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        (body.len() >= length).then(|| head.split(" HTTP/").next().unwrap().to_owned())
    };
    loop {
        if let Some(line) = whole(&text) {
            told.lock().unwrap().push(line);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
            return;
        }
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => text.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
}
