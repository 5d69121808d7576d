//! Requests framed to be read differently by two servers, against a running proxy on loopback.
//!
//! The API behind may see one request only for each that was judged, and none that no rule is for; what a
//! strict reader refuses is refused by the ordinary answer, and never sent on.

use crate::folder::{self, word};
use portvakt::dev::{Addresses, EmbeddedFile, SampleApi, World, WorldSettings};
use portvakt::record::RecordSink;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request that is not whole gets no answer at all.
const FIRST_SILENCE: Duration = Duration::from_millis(300);
/// Between two answers to what was sent at once.
const LATER_SILENCE: Duration = Duration::from_millis(60);
/// No rule is for it.
const SMUGGLED: &str = "/smuggled";

/// The records that a world has written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn malformed(&self) -> usize {
        malformed(&String::from_utf8_lossy(&self.0.lock().unwrap()))
    }
}

/// How often the refusal of what is malformed stands in a text.
fn malformed(text: &str) -> usize {
    text.matches("\"code\":\"malformed-request\"").count()
}

async fn begin(rules: &'static str, log: &Log) -> World {
    let file: EmbeddedFile = ("policies/routes/framing.yaml", rules);
    World::begin(WorldSettings {
        addresses: Addresses::loopback(0),
        token_lifetime: Duration::from_mins(1),
        files: vec![file],
        issuers: "",
        configuration: "{}\n",
        sink: RecordSink::To(Box::new(log.clone())),
    })
    .await
    .unwrap()
}

/// Sends the bytes on a connection of their own and takes what comes, until the proxy closes or has been
/// silent for a while: a client that ended its sending side would count as gone.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The proxy may close before it has read all; what it answered counts nevertheless.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut part = vec![0; 64 * 1024];
    loop {
        let patience = if answer.is_empty() { FIRST_SILENCE } else { LATER_SILENCE };
        match tokio::time::timeout(patience, stream.read(&mut part)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&part[..length]),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn answers(text: &str) -> usize {
    text.matches("HTTP/1.").count()
}

/// Whether the last of the answers is the ordinary refusal, and the connection ends with it.
fn is_refused(text: &str) -> bool {
    let last = text.rsplit("HTTP/1.").next().unwrap_or_default();
    last.starts_with("1 400 ")
        && malformed(last) == 1
        && last.to_ascii_lowercase().contains("connection: close")
}

/// The requests that reached the API, each under an id of its own.
fn reached(api: &SampleApi) -> Vec<String> {
    let seen = api.seen();
    let ids: BTreeSet<_> = seen.iter().map(|one| &one.identity["portvakt-request-id"]).collect();
    assert_eq!(ids.len(), seen.len(), "two requests reached the API under one judgement");
    seen.into_iter().map(|one| one.target).collect()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
async fn no_disguised_transfer_coding_smuggles_a_request() {
    let log = Log::default();
    let world = begin(
        "api: framing\nrules:\n  - { id: judged, match: { method: POST, path: /judged }, protection: public }\n",
        &log,
    )
    .await;
    let hidden = format!("GET {SMUGGLED} HTTP/1.1\r\nHost: api.example\r\n\r\n");
    let mut sent = 0;
    let mut refused = 0;
    let mut forwarded = 0;
    for mutation in folder::json("vectors/smuggling-te/te_mutations.even.json").as_array().unwrap()
    {
        let line = word(mutation, "line");
        for (length, body) in [
            // The length covers all, the chunks end before the hidden request.
            (5 + hidden.len(), format!("0\r\n\r\n{hidden}")),
            // The length ends where the hidden request begins, a chunk covers it.
            (4, format!("{:02x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len())),
        ] {
            let request = format!(
                "POST /judged HTTP/1.1\r\nHost: api.example\r\nContent-Length: {length}\r\n{line}\r\n\r\n{body}"
            );
            let before = reached(&world.api).len();
            let answer = exchange(world.addresses.proxy, &latin1(&request)).await;
            let reached = reached(&world.api).split_off(before);
            sent += 1;
            // Some lines hide the coding inside a value that is whole: then the length alone frames.
            assert!(reached.iter().all(|target| target == "/judged"), "{line:?}: {reached:?}");
            assert!(reached.len() <= 1 && reached.len() <= answers(&answer), "{line:?}: {answer}");
            assert!(reached.is_empty() || !is_refused(&answer), "{line:?}: {answer}");
            refused += usize::from(is_refused(&answer) && reached.is_empty());
            forwarded += reached.len();
        }
    }
    println!("disguised transfer codings: {sent} sent, {refused} refused, {forwarded} forwarded");
    assert_eq!((sent, refused, forwarded), (668, 668, 0));
    // The proxy is still there.
    let sound = b"POST /judged HTTP/1.1\r\nHost: api.example\r\nContent-Length: 2\r\n\r\nhi";
    assert!(exchange(world.addresses.proxy, sound).await.starts_with("HTTP/1.1 200 "));
    assert!(world.end().await);
    assert_eq!(log.malformed(), refused, "each refusal has its record");
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
async fn odd_requests_reach_the_api_once_for_each_answer_or_not_at_all() {
    let log = Log::default();
    let world = begin(
        "api: framing\nrules:\n  - { id: root, match: { method: any, path: / }, protection: public }\n  - { id: any, match: { method: any, path: \"/{*rest}\" }, protection: public }\n",
        &log,
    )
    .await;
    let (mut forwarded, mut refused, mut silent, mut malformed_answers) = (0, 0, 0, 0);
    let mut cases = folder::json("vectors/llhttp/requests.even.json");
    let cases = cases.as_array_mut().unwrap();
    // The others are URLs by themselves.
    cases.retain(|case| case["raw_latin1"].is_string());
    for case in &*cases {
        let before = reached(&world.api).len();
        let raw = word(case, "raw_latin1");
        let answer = exchange(world.addresses.proxy, &latin1(raw)).await;
        let reached = reached(&world.api).len() - before;
        assert!(reached <= answers(&answer), "{}: {reached} reached the API: {answer}", case["id"]);
        forwarded += reached;
        refused += usize::from(is_refused(&answer));
        silent += usize::from(answer.is_empty());
        malformed_answers += malformed(&answer);
        let Some(error) = case["strict_error"].as_str() else { continue };
        // Where a strict reader stops because another protocol begins, or the client said it would send no
        // more, is no fault of the request; and a line that does not end may still be sound.
        let exempt = error.starts_with("Pause on") || error.starts_with("Data after");
        assert!(exempt || !raw.contains('\n') || is_refused(&answer), "{}: {answer}", case["id"]);
    }
    println!(
        "odd requests: {} sent, {refused} refused, {forwarded} forwarded, {silent} not whole",
        cases.len()
    );
    assert_eq!((cases.len(), refused, forwarded, silent), (83, 74, 7, 2));
    let sound = b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n";
    assert!(exchange(world.addresses.proxy, sound).await.starts_with("HTTP/1.1 200 "));
    assert!(world.end().await);
    assert_eq!(log.malformed(), malformed_answers, "each refusal has its record");
}
