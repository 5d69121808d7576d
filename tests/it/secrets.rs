//! Nothing secret leaves by any way out: logs, records, metrics, probes, control, answers, diagnostics, `Debug`.
//! The peers do their worst: they repeat in their answers whatever they know.

use crate::faults::{assert_none, pace, play};
use crate::support::peers::{At, Fault, Place, SUBSCRIPTION_KEY, World};
use crate::support::{
    PERMITTED, RULES, Reply, Server, Setup, Sidecar, WRITE, ask, exchange, log, ok,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portvakt::config::Colour;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

const CONTROL_TOKEN: &str = "planted-control-token-0123456789";
/// Synthetic: month + 80.
const PERSON: &str = "15877012345";
/// A rule that finds a person in a body.
const OF_PERSONS: &str = r#"
  - id: of-persons
    match: { method: POST, path: /v1/persons }
    resource: r-read
    action: read
    party: json:/person
    party_kinds: [person]
    scopes: ["it:read"]
"#;

/// Something that must not be seen.
#[derive(Clone, Debug)]
struct Secret {
    name: String,
    value: String,
}

fn secret(name: &str, value: &str) -> Secret {
    Secret { name: name.to_owned(), value: value.to_owned() }
}

/// The parts of a token that are its own: what it says, and its signature.
fn token(name: &str, token: &str) -> Vec<Secret> {
    token.split('.').skip(1).map(|part| secret(name, part)).collect()
}

/// The secret members of a private key (RFC 7518 §6.3.2).
fn key(jwk: &str) -> Vec<Secret> {
    let jwk: Value = serde_json::from_str(jwk).unwrap();
    ["d", "p", "q", "dp", "dq", "qi"]
        .iter()
        .map(|name| secret(&format!("the client key's `{name}`"), jwk[name].as_str().unwrap()))
        .collect()
}

/// Whatever of these an output shows, as it is or in another spelling.
fn shown(secrets: &[Secret], output: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Secret { name, value } in secrets {
        let hex = value.bytes().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let spellings = [
            value.clone(),
            STANDARD.encode(value).trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(value),
            url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            hex,
            format!("{:?}", value.as_bytes()).trim_matches(['[', ']']).to_owned(),
        ];
        if let Some(line) = text.lines().find(|line| spellings.iter().any(|it| line.contains(it))) {
            let line: String = line.chars().take(400).collect();
            found.push(format!("{output} shows {name}: {line}"));
        }
    }
    found
}

#[tokio::test]
async fn the_search_finds_what_is_there() {
    let jwk = World::start().maskinporten.client_key();
    let mut secrets = key(&jwk);
    secrets.push(secret("the person", PERSON));
    secrets.extend(token(
        "a token",
        "eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJlLXBsYW50ZWQ",
    ));
    for one in &secrets {
        let value = &one.value;
        for text in [
            format!("a line\nanother with {value} in it\n"),
            format!("{:?}", value.as_bytes()),
            format!("Basic {}", STANDARD.encode(value)),
            format!(r#"{{"x":"{value}"}}"#),
        ] {
            let found = shown(std::slice::from_ref(one), "a text", &text);
            assert_eq!(found.len(), 1, "{} in {text}", one.name);
        }
    }
    assert!(shown(&secrets, "a text", "nothing of the kind, *******2345\n").is_empty());
}

/// What a world knows that nobody else must.
fn secrets_of(world: &World, callers: &str) -> Vec<Secret> {
    let mut secrets = key(&world.maskinporten.client_key());
    secrets.push(secret("the subscription key", SUBSCRIPTION_KEY));
    secrets.push(secret("the control token", CONTROL_TOKEN));
    secrets.push(secret("the person", PERSON));
    secrets.extend(token("the caller's token", callers));
    for issued in world.maskinporten.issued().all() {
        secrets.extend(token("Maskinporten's token", &issued));
    }
    for issued in world.exchange.issued().all() {
        secrets.extend(token("Altinn's token", &issued));
    }
    secrets
}

/// Answers that repeat this text in each place that somebody might quote.
fn echoes(text: &str) -> Vec<Fault> {
    let refusal = json!({
        "error": text,
        "error_description": format!("{text} (MP-303) {text}"),
        "statusCode": 401,
        "message": format!("Access denied due to invalid subscription key. {text}"),
        "title": text,
        "detail": text,
    })
    .to_string();
    let head = format!("HTTP/1.1 200 {text}\r\n{text}: {text}\r\n: {text}\r\n\r\n{text}");
    let short: String = text.chars().take(200).collect();
    vec![
        Fault::Refuses(400, refusal.clone()),
        Fault::Refuses(401, refusal.clone()),
        Fault::Refuses(403, refusal.clone()),
        Fault::Refuses(500, refusal.clone()),
        Fault::Refuses(418, refusal.clone()),
        Fault::Says(refusal),
        Fault::Says(format!(
            r#"{{"issuer":"{text}","jwks_uri":"http://{short}.example/{text}","keys":"{text}"}}"#
        )),
        Fault::Says(format!(r#"{{"issuer":0,"{text}":1,"{text}":2,"access_token":["{text}"]}}"#)),
        Fault::Says(format!(
            r#"{{"response":[{{"decision":"{text}","status":{{"statusCode":{{"value":"{text}"}},"statusMessage":"{text}"}}}}]}}"#
        )),
        Fault::Says(format!(
            r#"{{"response":[{{"decision":"Permit","obligations":[{{"id":"x","attributeAssignment":[{{"attributeId":"{text}","category":"x","value":"{text}"}}]}}]}}]}}"#
        )),
        Fault::Redirect(302, format!("http://{short}.example/?{text}")),
        Fault::Raw(head.into()),
        Fault::Raw(format!("{text}\r\n\r\n").into()),
        Fault::Status(503),
        Fault::Truncated,
        Fault::Empty,
        Fault::Html,
        Fault::Cut(Place::InBody),
    ]
}

struct Scene {
    world: World,
    _upstream: Server,
    sidecar: Sidecar,
    token: String,
}

impl Scene {
    async fn open(world: World, further: impl FnOnce(Setup) -> Setup) -> Self {
        log::listen();
        let upstream = Server::start(ok());
        let token = world.keys.token();
        let control = format!("control: {{ listen: '127.0.0.1:0', token: '{CONTROL_TOKEN}' }}\n");
        let setup = world.sidecar(&upstream, &pace()).rules(&format!("{RULES}{OF_PERSONS}"));
        let sidecar = further(setup.settings(&control)).open().await;
        Self { world, _upstream: upstream, sidecar, token }
    }

    /// Everything that says something, asked once.
    async fn outputs(&self) -> Vec<(String, String)> {
        let person = format!(r#"{{"person":"{PERSON}"}}"#);
        let cut = format!(r#"{{"person":"{PERSON}"#);
        let read = format!("/v1/orgs/{PERMITTED}/reports");
        let asked = [
            ("a read", ask("GET", &read).token(&self.token)),
            ("a person", ask("POST", "/v1/persons").token(&self.token).json(&person)),
            ("half a person", ask("POST", "/v1/persons").token(&self.token).json(&cut)),
            ("a person elsewhere", ask("POST", WRITE).token(&self.token).json(&person)),
            ("a forged token", ask("GET", &read).token(&format!("{}AAAA", self.token))),
            ("a token in two", ask("GET", &read).token(&self.token).token(&self.token)),
        ];
        let mut outputs = Vec::new();
        for (name, asked) in asked {
            let reply = exchange(self.sidecar.traffic, asked.bytes()).await;
            outputs.push((format!("the answer to {name}"), whole(&reply)));
        }
        for path in ["/readyz", "/metrics", "/livez"] {
            let reply = exchange(self.sidecar.admin, ask("GET", path).bytes()).await;
            outputs.push((path.to_owned(), whole(&reply)));
        }
        let control = self.sidecar.control.unwrap();
        let purges = [
            (CONTROL_TOKEN.to_owned(), format!(r#"{{"party":"{PERSON}"}}"#)),
            (CONTROL_TOKEN.to_owned(), format!(r#"{{"nobody":"{PERSON}"}}"#)),
            (self.token.clone(), r#"{"all":true}"#.to_owned()),
        ];
        for (token, body) in purges {
            let purge = format!(
                "POST /decisions/purge HTTP/1.1\r\nHost: {control}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            outputs.push(("control".to_owned(), whole(&exchange(control, purge).await)));
        }
        outputs
    }
}

fn whole(reply: &Reply) -> String {
    format!("{}\n{:?}\n{}", reply.head.start, reply.head.lines, reply.text())
}

#[tokio::test]
async fn nothing_secret_is_shown_whatever_the_peers_answer() {
    let faults = echoes("").len();
    let rows: Vec<(At, usize)> = [At::Metadata, At::Jwks, At::Token, At::Exchange, At::Authorize]
        .into_iter()
        .flat_map(|at| (0..faults).map(move |fault| (at, fault)))
        .collect();
    let found = play(rows, async |(at, fault)| {
        let world = World::start();
        let callers = world.keys.token();
        let (granted, exchanged) = (world.maskinporten.issued(), world.exchange.issued());
        let own = key(&world.maskinporten.client_key());
        world.endpoint(at).plan(move |_| {
            let mut known = vec![SUBSCRIPTION_KEY.to_owned(), PERSON.to_owned()];
            known.extend(own.iter().map(|secret| secret.value.clone()));
            known.extend(granted.all());
            known.extend(exchanged.all());
            echoes(&known.join("/")).into_iter().nth(fault)
        });
        let scene = Scene::open(world, |setup| setup).await;
        let outputs = scene.outputs().await;
        scene.world.endpoint(at).heal();
        let mut secrets = secrets_of(&scene.world, &callers);
        secrets.extend(token("the caller's token", &scene.token));
        let records = scene.sidecar.end().await.text();
        let mut found: Vec<String> =
            outputs.iter().flat_map(|(name, text)| shown(&secrets, name, text)).collect();
        found.extend(shown(&secrets, "a record", &records));
        found.extend(shown(&secrets, "the log", &log::text()));
        found.iter().map(|found| format!("{at:?} {fault}: {found}")).collect()
    })
    .await;
    assert_none(&found);
    assert!(log::text().contains("TRACE") || log::text().contains("DEBUG"), "the log is read");
}

#[tokio::test]
async fn a_token_in_a_file_is_not_shown() {
    let world = World::start();
    let file = std::env::temp_dir().join(format!("portvakt-it-token-{}", uuid::Uuid::new_v4()));
    let planted = "eyJwbGFudGVkIjp0cnVlfQ.c2VjcmV0LW9mLWEtZmlsZQ.c2lnbmF0dXJlLW9mLWEtZmlsZQ";
    let mut found = Vec::new();
    for content in [planted.to_owned(), format!("{planted} {planted}"), format!("\u{7}{planted}")] {
        std::fs::write(&file, content).unwrap();
        let mut settings: Value = serde_json::from_str(&world.settings(&pace())).unwrap();
        settings["pdp"]["credential"] = json!({ "token_file": file });
        let upstream = Server::start(ok());
        log::listen();
        let sidecar = Setup::among(&upstream, &settings.to_string()).open().await;
        let read = ask("GET", &format!("/v1/orgs/{PERMITTED}/reports")).token(&world.keys.token());
        let reply = exchange(sidecar.traffic, read.bytes()).await;
        assert_eq!(reply.verdict(), "503 credential-unavailable");
        let ready = exchange(sidecar.admin, ask("GET", "/readyz").bytes()).await;
        let secrets = token("the file's token", planted);
        let records = sidecar.end().await.text();
        for (name, text) in [
            ("the answer", whole(&reply)),
            ("readiness", whole(&ready)),
            ("a record", records),
            ("the log", log::text()),
        ] {
            found.extend(shown(&secrets, name, &text));
        }
    }
    std::fs::remove_file(&file).unwrap();
    assert_none(&found);
}

#[tokio::test]
async fn what_is_in_force_does_not_print_its_secrets() {
    let (world, upstream) = (World::start(), Server::start(ok()));
    let control = format!("control: {{ listen: '127.0.0.1:0', token: '{CONTROL_TOKEN}' }}\n");
    let setup = world.sidecar(&upstream, &pace()).settings(&control);
    let compiled = setup.compile().0.compiled.unwrap();
    let secrets = secrets_of(&world, "");
    let mut found = shown(&secrets, "`Compiled`", &format!("{compiled:#?} {compiled:?}"));
    let snapshot = format!("{:#?} {:?}", compiled.snapshot, compiled.snapshot);
    found.extend(shown(&secrets, "`Snapshot`", &snapshot));
    assert_none(&found);
    assert!(snapshot.contains("Snapshot"));
}

#[tokio::test]
async fn diagnostics_of_wrong_secrets_do_not_show_them() {
    const PLANTED: &str = "planted-0af3-secret";
    const SHORT: &str = "plntd-9z";
    let (world, upstream) = (World::start(), Server::start(ok()));
    let jwk = world.maskinporten.client_key();
    let key = |change: &dyn Fn(&mut Value)| {
        let mut jwk: Value = serde_json::from_str(&jwk).unwrap();
        change(&mut jwk);
        json!({ "pdp": { "credential": { "maskinporten": { "key": jwk.to_string() } } } })
            .to_string()
    };
    let pem = format!("-----BEGIN PRIVATE KEY-----\\n{PLANTED}\\n-----END PRIVATE KEY-----\\n");
    let rows: Vec<(&str, String)> = vec![
        ("two lines", format!("pdp: {{ subscription_key: \"{PLANTED}\\n{PLANTED}\" }}")),
        ("a list", format!("pdp: {{ subscription_key: [{PLANTED}] }}")),
        ("a table", format!("pdp: {{ subscription_key: {{ {PLANTED}: 1 }} }}")),
        ("beside a mistake", format!("pdp: {{ subscription_key: {PLANTED}, tiemout: 1s }}")),
        ("beside a mistake of type", format!("pdp: {{ timeout: x, subscription_key: {PLANTED} }}")),
        ("twice", format!("pdp: {{ subscription_key: {PLANTED}, subscription_key: {PLANTED} }}")),
        (
            "both ways",
            format!("pdp: {{ subscription_key: {PLANTED}, subscription_key_file: /nowhere }}"),
        ),
        ("no key", format!("pdp: {{ credential: {{ maskinporten: {{ key: {PLANTED} }} }} }}")),
        ("a PEM", format!("pdp: {{ credential: {{ maskinporten: {{ key: \"{pem}\" }} }} }}")),
        ("no number", key(&|jwk| jwk["d"] = PLANTED.into())),
        ("another kind", key(&|jwk| jwk["kty"] = PLANTED.into())),
        ("half a key", key(&|jwk| drop(jwk.as_object_mut().unwrap().remove("q")))),
        ("a member twice", {
            let twice = jwk.replacen('{', &format!("{{\"d\":\"{PLANTED}\","), 1);
            json!({ "pdp": { "credential": { "maskinporten": { "key": twice } } } }).to_string()
        }),
        ("cut JSON", {
            let cut = &jwk[..jwk.len() - 3];
            json!({ "pdp": { "credential": { "maskinporten": { "key": cut } } } }).to_string()
        }),
        ("a short control token", format!("control: {{ listen: '127.0.0.1:0', token: {SHORT} }}")),
        (
            "a control token of words",
            format!("control: {{ listen: '127.0.0.1:0', token: '{PLANTED} æ {PLANTED}' }}"),
        ),
        ("under a wrong name", format!("pdp: {{ subscription_kye: {PLANTED} }}")),
        ("not YAML", format!("pdp: {{ subscription_key: {PLANTED} ]\n")),
    ];
    let mut secrets = vec![secret("the planted one", PLANTED), secret("the short one", SHORT)];
    secrets.extend(self::key(&jwk));
    let mut found = Vec::new();
    for (name, settings) in rows {
        let setup = world.sidecar(&upstream, &pace()).settings(&settings);
        let outcome = setup.compile().0;
        assert!(!outcome.diagnostics.is_empty(), "{name}: nothing is said");
        let said = [
            outcome.diagnostics.to_human(Colour::Plain),
            outcome.diagnostics.to_human(Colour::Ansi),
            outcome.diagnostics.to_json_lines(),
            format!("{:?}", outcome.diagnostics),
        ];
        for (form, text) in ["human", "coloured", "JSON", "Debug"].iter().zip(said) {
            found.extend(shown(&secrets, &format!("{name}, {form}"), &text));
        }
    }
    for variable in
        ["PORTVAKT_PDP__CREDENTIAL__MASKINPORTEN__KEY", "PORTVAKT_PDP__SUBSCRIPTION_KEY"]
    {
        let setup =
            world.sidecar(&upstream, &pace()).variable(variable, &format!("{PLANTED}\u{7}"));
        let outcome = setup.compile().0;
        found.extend(shown(&secrets, variable, &outcome.diagnostics.to_human(Colour::Plain)));
        found.extend(shown(&secrets, variable, &format!("{:?}", outcome.diagnostics)));
    }
    assert_none(&found);
}

/// A panic prints what it is given; a question is the most that a decision point has.
#[tokio::test]
async fn a_panic_with_the_question_in_it_names_no_person() {
    #[derive(Debug)]
    struct Panics(std::sync::Mutex<String>);

    impl portvakt::pdp::DecisionPoint for Panics {
        fn decide<'a>(
            &'a self,
            request: &'a portvakt::domain::AccessRequest,
        ) -> portvakt::pdp::PendingDecision<'a> {
            *self.0.lock().unwrap() = format!("{request:?} {request:#?}");
            Box::pin(async { panic!("planted") })
        }

        fn source(&self) -> portvakt::domain::DecisionSource {
            portvakt::domain::DecisionSource::Pdp
        }

        fn identity(&self) -> &'static str {
            "panics"
        }
    }

    let point = Arc::new(Panics(std::sync::Mutex::default()));
    let brought = Arc::clone(&point);
    let scene = Scene::open(World::start(), |setup| setup.point(brought)).await;
    let person = format!(r#"{{"person":"{PERSON}"}}"#);
    let asked = ask("POST", "/v1/persons").token(&scene.token).json(&person);
    let reply = exchange(scene.sidecar.traffic, asked.bytes()).await;
    assert_eq!(reply.verdict(), "500 internal");
    let question = point.0.lock().unwrap().clone();
    assert!(question.contains("r-read"), "{question}");
    let secrets = [secret("the person", PERSON)];
    let mut found = shown(&secrets, "the question", &question);
    found.extend(shown(&secrets, "the answer", &whole(&reply)));
    found.extend(shown(&secrets, "the log", &log::text()));
    assert_none(&found);
}
