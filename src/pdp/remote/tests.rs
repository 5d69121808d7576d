mod abuse;
mod held_back;
mod together;
mod tokens;

use super::settings::endpoint;
use super::*;
use crate::domain::SystemClock;
use crate::outbound::OutboundSettings;
use crate::pdp::samples::{question, system_user};
use crate::pdp::{Circuit, Credential};
use secrecy::SecretString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a peer sends, byte for byte, on a connection that it closes then; `None` is silence.
type Reply = Option<Vec<u8>>;

/// A peer that answers the questions as `script` says, given their number from 0, and keeps what it received.
struct Peer {
    url: Url,
    received: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    async fn with(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap()).parse().unwrap();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&received);
        let script = Arc::new(script);
        drop(Tasks::new().spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                drop(Tasks::new().spawn(async move {
                    let request = read_request(&mut socket).await;
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    match script(number, &request) {
                        Some(bytes) => drop(socket.write_all(&bytes).await),
                        None => std::future::pending().await,
                    }
                }));
            }
        }));
        Self { url, received }
    }

    async fn that_sends(answer: Reply) -> Self {
        Self::with(move |_, _| answer.clone()).await
    }

    async fn that_answers(status: &str, headers: &str, body: &str) -> Self {
        Self::that_sends(reply(status, headers, body)).await
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of two things a peer does")]
fn reply(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}");
    Some(format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes())
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut part = [0; 4096];
        let length = socket.read(&mut part).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&part[..length]));
        if length == 0 || text.ends_with("]}}") || text.ends_with("]}}}") {
            return text;
        }
    }
}

fn point(settings: &RemoteSettings) -> RemotePdp {
    RemotePdp::new(outbound(), settings, &Tasks::new(), Arc::new(SystemClock)).unwrap()
}

fn outbound() -> Outbound {
    Outbound::new(&OutboundSettings::default()).unwrap()
}

async fn ask(peer: &Peer) -> Result<Decision, DecisionFault> {
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.max_answer_bytes = 1000;
    point(&settings).decide(&question(system_user(1))).await
}

const DENY: &str = r#"{"response":[{"decision":"Deny"}]}"#;
const JSON_TYPE: &str = "Content-Type: application/json; charset=utf-8\r\n";

/// The word of a fault, for tables.
fn word(outcome: &Result<Decision, DecisionFault>) -> &'static str {
    match outcome {
        Ok(decision) => decision.as_str(),
        Err(DecisionFault::Unavailable { .. }) => "unavailable",
        Err(DecisionFault::Timeout(_)) => "timeout",
        Err(DecisionFault::Protocol(_)) => "protocol",
        Err(DecisionFault::Credential { .. }) => "credential",
        Err(DecisionFault::Overloaded { .. }) => "overloaded",
        Err(DecisionFault::Internal) => "internal",
    }
}

#[tokio::test]
async fn only_a_200_with_json_is_believed() {
    let two = r#"{"response":[{"decision":"Permit"},{"decision":"Permit"}]}"#;
    let permit = r#"{"response":[{"decision":"Permit"}]}"#;
    let large = format!(r#"{{"response":[{{"decision":"Permit"}}],"x":"{}"}}"#, "x".repeat(1000));
    let cases = [
        ("200 OK", JSON_TYPE, DENY, "Deny"),
        ("200 OK", "", DENY, "Deny"),
        ("200 OK", "Content-Type: application/xacml+json\r\n", DENY, "Deny"),
        ("200 OK", "Content-Encoding: identity\r\n", DENY, "Deny"),
        ("200 OK", "Content-Encoding: gzip\r\n", permit, "protocol"),
        ("200 OK", "Content-Encoding: identity\r\nContent-Encoding: br\r\n", permit, "protocol"),
        ("200 OK", JSON_TYPE, "\u{feff}{\"response\":[{\"decision\":\"Permit\"}]}", "protocol"),
        ("200 OK", "Content-Type: text/html\r\n", permit, "protocol"),
        ("200 OK", "Content-Type: text/plain\r\n", permit, "protocol"),
        ("200 OK", JSON_TYPE, "<html></html>", "protocol"),
        ("200 OK", JSON_TYPE, two, "protocol"),
        ("200 OK", JSON_TYPE, "", "protocol"),
        ("200 OK", JSON_TYPE, &large, "protocol"),
        ("201 Created", JSON_TYPE, permit, "protocol"),
        ("302 Found", "Location: http://127.0.0.1:9/\r\n", permit, "protocol"),
        ("400 Bad Request", JSON_TYPE, permit, "protocol"),
        ("404 Not Found", JSON_TYPE, permit, "protocol"),
        ("401 Unauthorized", JSON_TYPE, permit, "credential"),
        ("403 Forbidden", JSON_TYPE, permit, "credential"),
        ("429 Too Many Requests", JSON_TYPE, permit, "overloaded"),
        ("500 Internal Server Error", JSON_TYPE, permit, "unavailable"),
        ("503 Service Unavailable", JSON_TYPE, permit, "unavailable"),
    ];
    for (status, headers, body, expected) in cases {
        let peer = Peer::that_answers(status, headers, body).await;
        assert_eq!(word(&ask(&peer).await), expected, "{status} {headers} {body:.40}");
        assert_eq!(peer.received().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"response\":[{\"decision\":\"Permit\"}]}",
        "SSH-2.0-x\r\n",
    ] {
        let peer = Peer::that_sends(Some(bytes.as_bytes().to_vec())).await;
        assert_eq!(word(&ask(&peer).await), "unavailable", "{bytes}");
        assert_eq!(peer.received().len(), 2, "{bytes}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let outcome = point(&RemoteSettings::new(url)).decide(&question(system_user(1))).await;
    assert_eq!(word(&outcome), "unavailable");
}

#[tokio::test]
async fn the_question_goes_where_and_as_altinn_documents_it() {
    let folder = std::env::temp_dir().join(format!("portvakt-pdp-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("token");
    std::fs::write(&file, "token-1\n").unwrap();
    let peer = Peer::that_answers("200 OK", JSON_TYPE, DENY).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.subscription_key = Some(SecretString::from("the-key"));
    settings.credential = Credential::TokenFile(file.clone());
    let point = point(&settings);
    let request = question(system_user(1));
    assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
    for secret in ["the-key", "token-1"] {
        assert!(!format!("{point:?} {settings:?} {}", point.identity()).contains(secret));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let received = peer.received();
    let (head, body) = received[0].split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /base/authorization/api/v1/authorize http/1.1\r\n"));
    for line in [
        "ocp-apim-subscription-key: the-key",
        "content-type: application/json",
        "accept: application/json",
        "authorization: bearer token-1",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(body.as_bytes(), wire::encode_request(&request));
}

#[test]
fn addresses_that_would_leak_or_mislead_are_refused() {
    for text in [
        "ftp://platform.altinn.no",
        "https://user@platform.altinn.no",
        "https://:secret@platform.altinn.no",
        "https://platform.altinn.no/?x=1",
        "https://platform.altinn.no/#x",
        "data:text/plain,x",
    ] {
        assert_eq!(endpoint(&text.parse().unwrap()), None, "{text}");
    }
    for text in ["https://platform.altinn.no", "https://platform.altinn.no/"] {
        assert_eq!(
            endpoint(&text.parse().unwrap()).unwrap().as_str(),
            "https://platform.altinn.no/authorization/api/v1/authorize"
        );
    }
    let mut settings = RemoteSettings::new("https://platform.altinn.no".parse().unwrap());
    for key in ["a\nb", "a ", "\u{FEFF}a", "å"] {
        settings.subscription_key = Some(SecretString::from(key));
        let outcome = RemotePdp::new(outbound(), &settings, &Tasks::new(), Arc::new(SystemClock));
        assert_eq!(outcome.unwrap_err(), InvalidRemote::SubscriptionKey);
    }
}

#[tokio::test]
async fn a_failed_connection_is_tried_once_more_and_a_timeout_is_not() {
    let ok = || reply("200 OK", JSON_TYPE, DENY);
    let cut = || Some(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec());
    let cases: [(Vec<Reply>, &str); 5] = [
        (vec![Some(Vec::new()), ok()], "Deny"),
        (vec![cut(), ok()], "Deny"),
        (vec![cut(), cut()], "unavailable"),
        (vec![None], "timeout"),
        (vec![reply("503 Service Unavailable", "", "")], "unavailable"),
    ];
    for (answers, expected) in cases {
        let exchanges = answers.len();
        let peer = Peer::with(move |number, _| answers[number].clone()).await;
        let mut settings = RemoteSettings::new(peer.url.clone());
        settings.timeout = Duration::from_millis(500);
        let outcome = point(&settings).decide(&question(system_user(1))).await;
        assert_eq!((word(&outcome), peer.count()), (expected, exchanges));
    }
}

#[tokio::test]
async fn a_connection_that_went_stale_while_idle_costs_no_decision() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    drop(Tasks::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            read_request(&mut socket).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", DENY.len());
            socket.write_all(format!("{head}{DENY}").as_bytes()).await.unwrap();
            // Kept open, as agreed, and closed without an answer once the next question is on its way.
            let mut byte = [0; 1];
            let _ = socket.read(&mut byte).await;
        }
    }));
    let point = point(&RemoteSettings::new(url));
    let request = question(system_user(1));
    assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
    assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

async fn eventually(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
