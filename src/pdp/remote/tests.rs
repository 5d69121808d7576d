use super::*;
use crate::outbound::OutboundSettings;
use crate::pdp::samples::{question, system_user};
use crate::tasks::Tasks;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// What a peer sends, byte for byte; `None` is silence.
type Reply = Option<Vec<u8>>;

/// A peer that gives every connection one answer, and keeps what it received.
struct Peer {
    url: Url,
    received: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    async fn that_sends(answer: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap()).parse().unwrap();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&received);
        drop(Tasks::new().spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let request = read_request(&mut socket).await;
                log.lock().unwrap().push(request);
                match &answer {
                    Some(bytes) => drop(socket.write_all(bytes).await),
                    None => silent.push(socket),
                }
            }
        }));
        Self { url, received }
    }

    async fn that_answers(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        Self::that_sends(Some(text.into_bytes())).await
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut part = [0; 4096];
        let length = socket.read(&mut part).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&part[..length]));
        if length == 0 || text.ends_with("}]}]}}") {
            return text;
        }
    }
}

fn point(settings: &RemoteSettings) -> RemotePdp {
    RemotePdp::new(Outbound::new(&OutboundSettings::default()).unwrap(), settings).unwrap()
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
        Err(DecisionFault::Credential(_)) => "credential",
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
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let outcome = point(&RemoteSettings::new(url)).decide(&question(system_user(1))).await;
    assert_eq!(word(&outcome), "unavailable");
}

#[tokio::test]
async fn retry_after_is_honoured_within_bounds() {
    for (header, seconds) in [
        ("Retry-After: 17\r\n", Some(17)),
        ("Retry-After: 0\r\n", Some(1)),
        ("Retry-After: 86400\r\n", Some(120)),
        ("Retry-After: 99999999999999999999999\r\n", None),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", None),
        ("", None),
    ] {
        let peer = Peer::that_answers("429 Too Many Requests", header, "").await;
        let retry_after = seconds.map(Duration::from_secs);
        assert_eq!(ask(&peer).await, Err(DecisionFault::Overloaded { retry_after }), "{header}");
    }
}

#[tokio::test]
async fn the_question_goes_where_and_as_altinn_documents_it() {
    let folder = std::env::temp_dir().join(format!("portvakt-pdp-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("token");
    let peer = Peer::that_answers("200 OK", JSON_TYPE, DENY).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.subscription_key = Some(SecretString::from("the-key"));
    settings.credential = Credential::TokenFile(file.clone());
    let point = point(&settings);
    for secret in ["the-key", "token-1"] {
        assert!(!format!("{point:?} {settings:?} {}", point.identity()).contains(secret));
    }
    let request = question(system_user(1));
    for token in ["token-1", "token-2"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
    }
    let received = peer.received();
    for (sent, token) in received.iter().zip(["token-1", "token-2"]) {
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("post /base/authorization/api/v1/authorize http/1.1\r\n"));
        for line in [
            "ocp-apim-subscription-key: the-key",
            "content-type: application/json",
            "accept: application/json",
            &format!("authorization: bearer {token}"),
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        assert_eq!(body.as_bytes(), wire::encode_request(&request));
    }
    for bad in ["", " \n", "a b", "a\r\nX-Evil: 1", &"x".repeat(20_000)] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(word(&point.decide(&request).await), "credential");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(word(&point.decide(&request).await), "credential");
    assert_eq!(peer.received().len(), 2);
}

#[tokio::test]
async fn silence_is_a_timeout_and_no_place_is_overload() {
    let peer = Peer::that_sends(None).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.timeout = Duration::from_millis(300);
    settings.max_in_flight = 1;
    settings.max_queued = 1;
    let point = Arc::new(point(&settings));
    let calls: Vec<_> = (1..=3)
        .map(|number| {
            let point = Arc::clone(&point);
            Tasks::new().spawn(async move { point.decide(&question(system_user(number))).await })
        })
        .collect();
    let mut words = Vec::new();
    for call in calls {
        words.push(word(&call.await.unwrap()));
    }
    // One in flight, one queued until the deadline (or let in at the last moment), one turned away.
    assert_eq!((words[0], words[2]), ("timeout", "overloaded"));
    assert!(matches!(words[1], "timeout" | "overloaded"), "{words:?}");
    assert!(peer.received().len() <= 2);
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
    settings.subscription_key = Some(SecretString::from("a\nb"));
    let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
    assert_eq!(RemotePdp::new(outbound, &settings).unwrap_err(), InvalidRemote::SubscriptionKey);
}
