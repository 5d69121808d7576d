//! The control listener: who is answered, and what a purge does.

use crate::support::{
    DENIED, Gate, PERMITTED, READ, SYSTEM_USER, Server, Sidecar, Step, always, answer, ask,
    eventually, exchange, ok, permit,
};
use portvakt::pdp::Scripted;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Made for these tests; it opens nothing.
const TOKEN: &str = "a-token-of-tests-0123456789";
const ALL: &str = r#"{"all":true}"#;
/// Synthetic: month + 80.
const PERSON: &str = "01890012345";

fn settings() -> String {
    format!("control: {{ listen: '127.0.0.1:0', token: {TOKEN} }}\n")
}

/// A purge as it should be; each field can be put wrong.
#[derive(Clone)]
struct Purge {
    start: &'static str,
    lines: Vec<String>,
    body: String,
}

fn purge(body: &str) -> Purge {
    let lines = [
        "Host: 127.0.0.1:7091".to_owned(),
        format!("Authorization: Bearer {TOKEN}"),
        "Content-Type: application/json".to_owned(),
    ];
    Purge { start: "POST /decisions/purge", lines: lines.to_vec(), body: body.to_owned() }
}

impl Purge {
    fn start(self, start: &'static str) -> Self {
        Self { start, ..self }
    }

    /// Without the lines that begin like this.
    fn without(mut self, name: &str) -> Self {
        self.lines.retain(|line| !line.starts_with(name));
        self
    }

    fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    fn host(self, host: &str) -> Self {
        self.without("Host").with(&format!("Host: {host}"))
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { start, lines, body } = self;
        let (lines, length) = (lines.join("\r\n"), body.len());
        format!("{start} HTTP/1.1\r\n{lines}\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    }
}

async fn purged(control: SocketAddr, body: &str) -> u64 {
    let reply = exchange(control, purge(body).bytes()).await;
    assert_eq!(reply.status, 200, "{body}: {}", reply.text());
    reply.problem()["purged"].as_u64().unwrap()
}

#[tokio::test]
async fn who_is_not_on_this_machine_with_the_token_and_a_sound_question_changes_nothing() {
    let upstream = Server::start(ok());
    let point = Arc::new(Scripted::always(Ok(permit())));
    let sidecar = Sidecar::before(&upstream)
        .settings(&settings())
        .point(Arc::clone(&point) as _)
        .open()
        .await;
    let control = sidecar.control.unwrap();
    let read = ask("GET", READ).bearer().bytes();
    assert_eq!(exchange(sidecar.traffic, &read).await.status, 200);
    let good = || purge(ALL);
    let long = format!(r#"{{"resource":"{}"}}"#, "r".repeat(4096));
    let rows = [
        ("another host", good().host("api.example.no"), 421),
        ("a name made to mean us", good().host("localhost.example.no:7091"), 421),
        ("another address of ours", good().host("127.0.0.2:7091"), 421),
        ("no host", good().without("Host"), 421),
        ("two hosts", good().with("Host: localhost"), 421),
        ("a page of elsewhere", good().with("Origin: https://evil.example"), 403),
        ("a page of another port", good().with("Origin: http://127.0.0.1:7090"), 403),
        ("a page of nowhere", good().with("Origin: null"), 403),
        ("a second origin", good().with("Origin: http://127.0.0.1:7091").with("Origin: null"), 403),
        ("a page of elsewhere, newly", good().with("Sec-Fetch-Site: cross-site"), 403),
        ("a page of a sibling", good().with("Sec-Fetch-Site: same-site"), 403),
        ("another page", good().start("POST /decisions"), 404),
        ("a question in the target", good().start("POST /decisions/purge?all=true"), 404),
        ("a read", good().start("GET /decisions/purge"), 405),
        ("a preflight", good().start("OPTIONS /decisions/purge"), 405),
        ("no token", good().without("Authorization"), 401),
        ("another token", good().without("Authorization").with("Authorization: Bearer other"), 401),
        (
            "a part of it",
            good().without("Auth").with(&format!("Authorization: Bearer {TOKEN}0")),
            401,
        ),
        (
            "another scheme",
            good().without("Auth").with(&format!("Authorization: Basic {TOKEN}")),
            401,
        ),
        ("two tokens", good().with(&format!("Authorization: Bearer {TOKEN}")), 401),
        ("a form", good().without("Content-Type").with("Content-Type: text/plain"), 415),
        ("no type", good().without("Content-Type"), 415),
        ("a long body", purge(&long), 413),
        ("nothing", purge(""), 400),
        ("no object", purge("[true]"), 400),
        ("nothing named", purge("{}"), 400),
        ("not all", purge(r#"{"all":false}"#), 400),
        ("all and more", purge(r#"{"all":true,"resource":"r-read"}"#), 400),
        ("a member twice", purge(r#"{"resource":"r-read","resource":"r-write"}"#), 400),
        ("an unknown member", purge(r#"{"resource":"r-read","partyy":"312714051"}"#), 400),
        ("null", purge(r#"{"resource":"r-read","party":null}"#), 400),
        ("more after it", purge(r#"{"all":true}{"all":true}"#), 400),
        ("no party", purge(r#"{"party":"somebody"}"#), 400),
        ("a wrong check digit", purge(r#"{"party":"312714052"}"#), 400),
        ("a person with a letter", purge(&format!(r#"{{"party":"{PERSON}x"}}"#)), 400),
        ("no system user", purge(r#"{"systemUser":"a0000001"}"#), 400),
        ("no resource", purge(r#"{"resource":"r/x"}"#), 400),
    ];
    let in_target = good().start("POST http://localhost/decisions/purge");
    assert_eq!(exchange(control, in_target.bytes()).await.status, 400, "a host in the target");
    for (name, asked, status) in rows {
        let reply = exchange(control, asked.bytes()).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        let header = |name: &str| reply.head.get(name);
        assert_eq!(header("content-type"), Some("application/problem+json"), "{name}");
        assert_eq!(header("cache-control"), Some("no-store"), "{name}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{name}");
        assert_eq!(header("allow"), (status == 405).then_some("POST"), "{name}");
        assert_eq!(header("www-authenticate"), (status == 401).then_some("Bearer"), "{name}");
        assert_eq!(reply.problem()["status"], status, "{name}");
        let cors = |(name, _): &(String, String)| name.starts_with("access-control-");
        assert!(!reply.head.lines.iter().any(cors), "{name}");
        for secret in [TOKEN, PERSON, "somebody"] {
            assert!(!reply.text().contains(secret), "{name} repeats `{secret}`");
        }
    }
    // The decision is in hand still.
    assert_eq!(exchange(sidecar.traffic, &read).await.status, 200);
    assert_eq!(point.asked().len(), 1);
}

#[tokio::test]
async fn this_machine_is_answered_under_each_of_its_names() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(&settings()).open().await;
    let control = sidecar.control.unwrap();
    for asked in [
        purge(ALL),
        purge(ALL).host("localhost"),
        purge(ALL).host("LOCALHOST:7091"),
        purge(ALL).host("[::1]:7091"),
        purge(ALL).with("Origin: http://127.0.0.1:7091").with("Sec-Fetch-Site: same-origin"),
        purge(ALL).with("Sec-Fetch-Site: none"),
        purge(&format!(r#" {{ "party": "{PERSON}" }} "#)),
        purge(r#"{"party":"urn:altinn:partyid:50012345"}"#),
        purge(r#"{"party":"urn:altinn:party:uuid:ebe4a681-0a8c-429e-a36f-8f9ca942b59f"}"#),
        purge(r#"{"party":"0192:312714051","resource":"urn:altinn:resource:r-read"}"#),
        purge(ALL).without("Content-Type").with("Content-Type: application/json; charset=utf-8"),
    ] {
        let reply = exchange(control, asked.bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.head.get("content-type"), Some("application/json"));
        assert_eq!(reply.text(), "{\n  \"purged\": 0\n}\n");
    }
    assert_eq!(exchange(control, ask("GET", "/metrics").bytes()).await.status, 421);
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn without_a_token_nothing_can_be_changed_and_without_the_section_nobody_listens() {
    let upstream = Server::start(ok());
    let sidecar =
        Sidecar::before(&upstream).settings("control: { listen: '127.0.0.1:0' }\n").open().await;
    let reply = exchange(sidecar.control.unwrap(), purge(ALL).bytes()).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert_eq!(Sidecar::before(&upstream).open().await.control, None);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_purge_is_logged_with_what_it_named_and_persons_masked() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For this thread, on which the proxy runs as well.
    let _logging = tracing::subscriber::set_default(subscriber);
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(&settings()).open().await;
    let body = format!(r#"{{"party":"{PERSON}","resource":"r-read"}}"#);
    purged(sidecar.control.unwrap(), &body).await;
    let refused = purge(&format!(r#"{{"party":"{PERSON}0"}}"#)).bytes();
    assert_eq!(exchange(sidecar.control.unwrap(), refused).await.status, 400);
    sidecar.end().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("decisions are purged")).unwrap();
    for part in [
        " INFO ",
        "all=false",
        "party=urn:altinn:person:identifier-no:***********",
        "resource=\"r-read\"",
        "purged=0",
    ] {
        assert!(line.contains(part), "no `{part}` in `{line}`");
    }
    assert!(!line.contains("system_user"), "{line}");
    for secret in [PERSON, TOKEN] {
        assert!(!text.contains(secret), "`{secret}` is logged:\n{text}");
    }
}

#[tokio::test]
async fn after_a_purge_the_pdp_is_asked_again_about_what_was_named_and_nothing_else() {
    let upstream = Server::start(ok());
    let one = READ.to_owned();
    let two = format!("/v1/orgs/{DENIED}/reports");
    let organization = |number: &str| format!(r#"{{"party":"{number}"}}"#);
    // What is purged, and how many of the two decisions that concerns.
    let rows = [
        (ALL.to_owned(), [true, true]),
        (organization(PERMITTED), [true, false]),
        (organization(&format!("urn:altinn:organization:identifier-no:{DENIED}")), [false, true]),
        (organization(PERSON), [false, false]),
        (r#"{"resource":"r-read"}"#.to_owned(), [true, true]),
        (r#"{"resource":"r-write"}"#.to_owned(), [false, false]),
        (format!(r#"{{"systemUser":"{SYSTEM_USER}"}}"#), [true, true]),
        (format!(r#"{{"systemUser":"{SYSTEM_USER}","party":"{DENIED}"}}"#), [false, true]),
        (r#"{"systemUser":"a0000001-0000-4000-8000-00000000ffff"}"#.to_owned(), [false, false]),
    ];
    for (body, concerned) in rows {
        let point = Arc::new(Scripted::always(Ok(permit())));
        let setup = Sidecar::before(&upstream).settings(&settings());
        let sidecar = setup.point(Arc::clone(&point) as _).open().await;
        let ask_both = async || {
            for target in [&one, &two] {
                let asked = ask("GET", target).bearer().bytes();
                assert_eq!(exchange(sidecar.traffic, asked).await.status, 200, "{target}");
            }
            point.asked().len()
        };
        assert_eq!((ask_both().await, ask_both().await), (2, 2), "{body}");
        let expected = concerned.into_iter().filter(|it| *it).count();
        let control = sidecar.control.unwrap();
        assert_eq!(purged(control, &body).await, u64::try_from(expected).unwrap(), "{body}");
        assert_eq!(ask_both().await, 2 + expected, "{body}");
    }
}

#[tokio::test]
async fn an_answer_asked_for_before_a_purge_reaches_who_waits_and_nobody_later() {
    let upstream = Server::start(ok());
    let permitted = r#"{"Response":[{"Decision":"Permit","Status":{"StatusCode":{"Value":"urn:oasis:names:tc:xacml:1.0:status:ok"}}}]}"#;
    let gate = Gate::default();
    let answered = Step::Send(answer("200 OK", "application/json", permitted));
    let pdp =
        Server::start(always(vec![Step::ReadBody, Step::Wait(gate.clone()), answered.clone()]));
    let sidecar = Sidecar::before(&upstream).settings(&settings()).pdp(&pdp, "20s").open().await;
    let read = ask("GET", READ).bearer().bytes();
    let waiting = exchange(sidecar.traffic, &read);
    let purging = async {
        eventually("the question", || pdp.count() == 1).await;
        purged(sidecar.control.unwrap(), ALL).await;
        pdp.play(always(vec![Step::ReadBody, answered]));
        gate.open();
    };
    let (reply, ()) = tokio::join!(waiting, purging);
    assert_eq!(reply.status, 200, "{}", reply.text());
    for calls in [2, 2] {
        assert_eq!(exchange(sidecar.traffic, &read).await.status, 200);
        assert_eq!(pdp.count(), calls);
    }
}
