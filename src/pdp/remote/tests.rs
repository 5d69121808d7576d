use super::settings::endpoint;
use super::*;
use crate::domain::{ManualClock, SystemClock, UnixSeconds};
use crate::outbound::{Exchanged, OutboundSettings, System};
use crate::pdp::Circuit;
use crate::pdp::Credential;
use crate::pdp::credential::{CredentialFault, FetchingToken, FreshToken, TokenSource};
use crate::pdp::samples::{question, system_user};
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
        assert_eq!(
            ask(&peer).await,
            Err(DecisionFault::Overloaded { cause: "answered 429".into(), retry_after }),
            "{header}"
        );
    }
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

#[tokio::test]
async fn silence_is_a_timeout_and_no_place_is_overload() {
    let peer = Peer::that_sends(None).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.timeout = Duration::from_millis(300);
    settings.max_in_flight = 1;
    settings.max_queued = 1;
    settings.breaker.failures = 100;
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
    for key in ["a\nb", "a ", "\u{FEFF}a", "å"] {
        settings.subscription_key = Some(SecretString::from(key));
        let outcome = RemotePdp::new(outbound(), &settings, &Tasks::new(), Arc::new(SystemClock));
        assert_eq!(outcome.unwrap_err(), InvalidRemote::SubscriptionKey);
    }
}

/// Gives `token-1`, then `token-2` and so on, or a fault that says when to come back.
#[derive(Debug, Default)]
struct Numbered {
    given: AtomicUsize,
    fails: bool,
}

impl TokenSource for Numbered {
    fn fetch(&self) -> FetchingToken<'_> {
        let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        let token = FreshToken {
            token: SecretString::from(format!("token-{number}")),
            renew_after: Duration::from_hours(1),
            expires_after: None,
        };
        let retry_after = Some(Duration::from_secs(9));
        let fault = CredentialFault { step: "a step", cause: "it fails".into(), retry_after };
        Box::pin(std::future::ready(if self.fails { Err(fault) } else { Ok(token) }))
    }
}

fn point_with(settings: &RemoteSettings, source: &Arc<Numbered>) -> RemotePdp {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let source = Arc::<Numbered>::clone(source);
    let keeper = CredentialKeeper::new(source, Tasks::new(), Arc::clone(&clock));
    RemotePdp::with_keeper(outbound(), settings, Some(keeper), clock).unwrap()
}

fn refusal_of(request: &str, tokens: &[&str]) -> Option<Reply> {
    let sent = request.to_lowercase();
    tokens
        .iter()
        .any(|token| sent.contains(&format!("authorization: bearer {token}\r\n")))
        .then(|| reply("401 Unauthorized", "", ""))
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let ok = || reply("200 OK", JSON_TYPE, DENY);
    let cases: [(&[&str], &str, usize); 3] =
        [(&[], "Deny", 1), (&["token-1"], "Deny", 2), (&["token-1", "token-2"], "credential", 2)];
    for (refused, expected, exchanges) in cases {
        let peer =
            Peer::with(move |_, request| refusal_of(request, refused).unwrap_or_else(ok)).await;
        let source = Arc::new(Numbered::default());
        let point = point_with(&RemoteSettings::new(peer.url.clone()), &source);
        let outcome = point.decide(&question(system_user(1))).await;
        assert_eq!((word(&outcome), peer.count()), (expected, exchanges), "{refused:?}");
        assert_eq!(source.given.load(Ordering::SeqCst), exchanges);
        assert_eq!(point.condition().circuit, Circuit::Closed);
    }
}

#[tokio::test]
async fn a_refusal_that_no_token_would_mend_costs_no_token() {
    let key = r#"{"statusCode":401,"message":"Access denied due to invalid Subscription Key."}"#;
    for (status, body, cause) in [
        ("401 Unauthorized", key, "answered 401: the subscription key is not accepted"),
        ("403 Forbidden", "", "answered 403"),
    ] {
        let peer = Peer::that_answers(status, "", body).await;
        let source = Arc::new(Numbered::default());
        let point = point_with(&RemoteSettings::new(peer.url.clone()), &source);
        let outcome = point.decide(&question(system_user(1))).await;
        assert_eq!(outcome, Err(DecisionFault::credential(cause)));
        assert_eq!((peer.count(), source.given.load(Ordering::SeqCst)), (1, 1));
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_pdp_is_not_blamed() {
    let peer = Peer::that_answers("200 OK", JSON_TYPE, DENY).await;
    let source = Arc::new(Numbered { fails: true, ..Numbered::default() });
    let point = point_with(&RemoteSettings::new(peer.url.clone()), &source);
    for _ in 0..20 {
        let outcome = point.decide(&question(system_user(1))).await;
        let retry_after = Some(Duration::from_secs(9));
        let cause = "a step: it fails".into();
        assert_eq!(outcome, Err(DecisionFault::Credential { cause, retry_after }));
    }
    assert_eq!((peer.count(), point.condition().circuit), (0, Circuit::Closed));
}

#[derive(Debug)]
struct Silent;

impl TokenSource for Silent {
    fn fetch(&self) -> FetchingToken<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn the_wait_for_a_token_ends_with_the_deadline() {
    let peer = Peer::that_answers("200 OK", JSON_TYPE, DENY).await;
    let mut settings = RemoteSettings::new(peer.url.clone());
    settings.timeout = Duration::from_millis(50);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keeper = CredentialKeeper::new(Arc::new(Silent), Tasks::new(), Arc::clone(&clock));
    let point = RemotePdp::with_keeper(outbound(), &settings, Some(keeper), clock).unwrap();
    let outcome = point.decide(&question(system_user(1))).await;
    assert_eq!(outcome, Err(DecisionFault::credential("no token before the deadline")));
    assert_eq!((peer.count(), point.condition().in_flight), (0, 0));
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

fn clocked(settings: &RemoteSettings) -> (Arc<RemotePdp>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(UnixSeconds(1_800_000_000)));
    let dynamic: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let point = RemotePdp::new(outbound(), settings, &Tasks::new(), dynamic).unwrap();
    (Arc::new(point), clock)
}

#[tokio::test]
async fn retry_after_is_kept_to_without_another_exchange() {
    for (status, expected) in
        [("429 Too Many Requests", "overloaded"), ("503 Service Unavailable", "unavailable")]
    {
        let ok = || reply("200 OK", JSON_TYPE, DENY);
        let busy = reply(status, "Retry-After: 30\r\n", "");
        let peer = Peer::with(move |number, _| if number == 0 { busy.clone() } else { ok() }).await;
        let (point, clock) = clocked(&RemoteSettings::new(peer.url.clone()));
        let request = question(system_user(1));
        assert_eq!(word(&point.decide(&request).await), expected);
        clock.advance(Duration::from_secs(20));
        for _ in 0..10 {
            let outcome = point.decide(&request).await;
            assert_eq!(word(&outcome), expected);
            let told = match outcome {
                Err(
                    DecisionFault::Overloaded { retry_after, .. }
                    | DecisionFault::Unavailable { retry_after, .. },
                ) => retry_after,
                other => panic!("{other:?}"),
            };
            assert_eq!(told, Some(Duration::from_secs(10)));
        }
        assert_eq!((peer.count(), point.condition().circuit), (1, Circuit::Open));
        clock.advance(Duration::from_secs(10));
        assert_eq!(point.condition().circuit, Circuit::HalfOpen);
        assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
        assert_eq!((peer.count(), point.condition().circuit), (2, Circuit::Closed));
    }
}

#[tokio::test]
async fn after_five_failures_one_probe_of_fifty_callers_finds_the_pdp_back() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let (count, open) = (Arc::clone(&seen), Arc::clone(&gate));
    drop(Tasks::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            read_request(&mut socket).await;
            let answer = if count.fetch_add(1, Ordering::SeqCst) < 5 {
                reply("502 Bad Gateway", "", "")
            } else {
                open.acquire().await.unwrap().forget();
                reply("200 OK", JSON_TYPE, DENY)
            };
            socket.write_all(&answer.unwrap()).await.unwrap();
        }
    }));
    let (point, clock) = clocked(&RemoteSettings::new(url));
    let request = question(system_user(1));
    for _ in 0..20 {
        assert_eq!(word(&point.decide(&request).await), "unavailable");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 5);
    let health = point.outbound.health(System::Pdp);
    assert_eq!(health.counts().find(|(it, _)| *it == Exchanged::Failed).unwrap().1, 5);
    clock.advance(Duration::from_secs(2));
    let asking: Vec<_> = (0..50).map(|number| question(system_user(number))).collect();
    let mut asking: futures_util::stream::FuturesUnordered<_> =
        asking.iter().map(|request| point.decide(request)).collect();
    let mut words = Vec::new();
    for _ in 0..49 {
        let outcome = futures_util::StreamExt::next(&mut asking).await.unwrap();
        words.push(word(&outcome));
    }
    assert_eq!(words, ["unavailable"; 49]);
    gate.add_permits(1);
    assert_eq!(futures_util::StreamExt::next(&mut asking).await.unwrap(), Ok(Decision::Deny));
    assert_eq!(seen.load(Ordering::SeqCst), 6);
    assert_eq!(point.condition().circuit, Circuit::Closed);
    assert_eq!(health.failing(clock.monotonic()), None);
}

#[tokio::test]
async fn a_probe_that_is_given_up_lets_the_next_one_go() {
    let peer = Peer::with(|number, _| match number {
        0 => reply("429 Too Many Requests", "Retry-After: 1\r\n", ""),
        1 => None,
        _ => reply("200 OK", JSON_TYPE, DENY),
    })
    .await;
    let (point, clock) = clocked(&RemoteSettings::new(peer.url.clone()));
    let request = question(system_user(1));
    assert_eq!(word(&point.decide(&request).await), "overloaded");
    clock.advance(Duration::from_secs(1));
    let given_up = point.decide(&request);
    tokio::select! {
        _ = given_up => panic!("it has no answer"),
        () = eventually(|| peer.count() == 2) => {}
    }
    assert_eq!(point.decide(&request).await, Ok(Decision::Deny));
}

async fn eventually(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_callers_can_provoke_does_not_open_the_breaker() {
    let unsure = r#"{"response":[{"decision":"Indeterminate"}]}"#;
    for (status, body) in [
        ("200 OK", unsure),
        ("200 OK", "{}"),
        ("400 Bad Request", ""),
        ("401 Unauthorized", ""),
        ("403 Forbidden", ""),
        ("404 Not Found", ""),
    ] {
        let peer = Peer::that_answers(status, JSON_TYPE, body).await;
        let point = point(&RemoteSettings::new(peer.url.clone()));
        for _ in 0..100 {
            drop(point.decide(&question(system_user(1))).await);
        }
        assert_eq!(peer.count(), 100, "{status}");
        assert_eq!(point.condition().circuit, Circuit::Closed);
    }
}

#[tokio::test]
async fn one_system_user_has_eight_calls_at_a_time_and_holds_up_nobody() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, high, open) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    drop(Tasks::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (inside, high, open) = (Arc::clone(&inside), Arc::clone(&high), Arc::clone(&open));
            drop(Tasks::new().spawn(async move {
                // Connections are kept: a call is one question on one of them.
                loop {
                    let request = read_request(&mut socket).await;
                    if request.is_empty() {
                        return;
                    }
                    if request.contains("000000000001") {
                        high.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        drop(open.acquire().await.unwrap());
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", DENY.len());
                    let answer = format!("{head}\r\n\r\n{DENY}");
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }));
        }
    }));
    let point = Arc::new(point(&RemoteSettings::new(url)));
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let point = Arc::clone(&point);
            Tasks::new().spawn(async move { point.decide(&question(system_user(1))).await })
        })
        .collect();
    eventually(|| now.load(Ordering::SeqCst) == 8).await;
    assert_eq!(point.decide(&question(system_user(2))).await, Ok(Decision::Deny));
    let condition = point.condition();
    assert_eq!((condition.in_flight, condition.queued), (8, 92));
    gate.add_permits(1);
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(Decision::Deny));
    }
    assert_eq!(most.load(Ordering::SeqCst), 8);
    assert_eq!(point.condition(), PointCondition::default());
}

#[tokio::test]
async fn who_waits_for_a_place_is_refused_when_the_breaker_opens() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let open = Arc::clone(&gate);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    drop(Tasks::new().spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            read_request(&mut socket).await;
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                silent.push(socket);
                continue;
            }
            open.acquire().await.unwrap().forget();
            let answer = reply("503 Service Unavailable", "Retry-After: 60\r\n", "");
            socket.write_all(&answer.unwrap()).await.unwrap();
        }
    }));
    let mut settings = RemoteSettings::new(url);
    settings.max_in_flight = 2;
    settings.timeout = Duration::from_mins(10);
    let (point, _clock) = clocked(&settings);
    let requests: Vec<_> = (0..10).map(|number| question(system_user(number))).collect();
    let mut asking: futures_util::stream::FuturesUnordered<_> =
        requests.iter().map(|request| point.decide(request)).collect();
    tokio::select! {
        _ = futures_util::StreamExt::next(&mut asking) => panic!("nobody has an answer"),
        () = eventually(|| seen.load(Ordering::SeqCst) == 2) => {}
    }
    gate.add_permits(1);
    // All but the one whose answer never comes.
    for _ in 0..9 {
        let outcome = futures_util::StreamExt::next(&mut asking).await.unwrap();
        assert_eq!(word(&outcome), "unavailable");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

mod abuse;
mod together;
