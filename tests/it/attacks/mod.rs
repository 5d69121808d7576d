//! What an attacker sends, case by case: raw bytes in, and, in bytes, what the API behind received.
//!
//! Each row has a number. A row begins `case(NUMBER, "…"`; a test that is no table says `/// Case NUMBER:` (or
//! `/// Cases NUMBER, NUMBER:`) above itself. What tests outside this folder prove in full stands in `elsewhere`.
//! [`every_case_has_its_test`] counts them all.
//!
//! A row is sent in each [`Delivery`], so that what holds for one request on a fresh connection holds in every
//! segmentation and in every place of a connection. After each row the connection is either ended, with
//! nothing behind the answer, or it is asked something ordinary, whose answer shows that both sides agree
//! where the row ended. What HTTP/2 can say of it is then asked over HTTP/2.

mod arrival;
mod cache;
mod elsewhere;
mod framing;
mod headers;
mod hosts;
mod http2;
mod memory;
mod operation;
mod over_http2;
mod pdp;
mod sources;
mod targets;
mod tokens;

pub(crate) use arrival::Arrival;
pub(crate) use elsewhere::is_a_test;
use over_http2::Stream;

use crate::support::frames;
use crate::support::{
    Client, READ, Reply, SYSTEM_USER, Server, Sidecar, Step, answer, ask, eventually, pattern,
    permit,
};
use portvakt::domain::{Action, PdpSubject, ResourceId, SystemUserId};
use portvakt::pdp::{QuestionPattern, Scripted};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One of each protection. R1, R2 and R3 are those of the numbered cases.
pub(crate) const RULES: &str = r#"
api: attacks
rules:
  - id: r1
    match: { method: GET, path: "/v1/orgs/{org}/reports" }
    resource: r-read
    action: read
    party: path:org
    scopes: ["it:read"]
  - id: r2
    match: { method: POST, path: /v1/reports }
    resource: r-read
    action: read
    party: json:/orgnr
    scopes: ["it:read"]
    max_body: 4KiB
  - id: r3
    match: { method: GET, path: /v1/open }
    protection: token
    scopes: ["it:read"]
  - id: public
    match: { method: any, path: "/public/{*rest}" }
    protection: public
"#;

/// A record follows its answer at once; on a busy machine that may be late.
const RECORD_PATIENCE: Duration = Duration::from_secs(15);
/// More are not worth the time: each may have waited for something that never came.
const MAX_FAULTS: usize = 40;

/// One attack: its number, what is sent, and what must come of it.
pub(crate) struct Case {
    number: u8,
    name: String,
    sent: Vec<u8>,
    want: Want,
    /// Over HTTP/2, where that differs.
    over_http2: Option<Want>,
}

impl Case {
    /// What must come of it over HTTP/2, if not the same.
    pub(crate) fn over_http2(mut self, want: impl Into<Want>) -> Self {
        self.over_http2 = Some(want.into());
        self
    }
}

/// What must come of a case.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// This status and code, in the answer and in the record. The API receives not one byte.
    Refused(u16, &'static str),
    /// The same, and the connection ends with the answer: nothing behind the head is read.
    Severed(u16, &'static str),
    /// As the first bytes of a connection: no record, no answer, nothing but its end, since nobody is there to
    /// read one. Behind a request: as `MISFRAMED`.
    Noise,
    /// Over HTTP/2: the library ends the stream or the connection by itself, or answers with a bare status,
    /// before anything of it is a request (RFC 9113 §8.1.1). There is no record, and the API receives nothing.
    Library(&'static str),
    /// The API answers, and has received exactly this.
    Arrives(Box<Arrival>),
}

/// A row. `want` is a [`Want`] or, for what is forwarded, an [`Arrival`].
pub(crate) fn case(
    number: u8,
    name: impl Into<String>,
    sent: impl Into<Vec<u8>>,
    want: impl Into<Want>,
) -> Case {
    Case { number, name: name.into(), sent: sent.into(), want: want.into(), over_http2: None }
}

impl From<Arrival> for Want {
    fn from(arrival: Arrival) -> Self {
        Self::Arrives(Box::new(arrival))
    }
}

pub(crate) const AMBIGUOUS_PATH: Want = Want::Refused(400, "ambiguous-path");
pub(crate) const AMBIGUOUS_PARAMETER: Want = Want::Refused(400, "ambiguous-parameter");
pub(crate) const MALFORMED: Want = Want::Refused(400, "malformed-request");
/// Malformed in its framing: where the next request begins cannot be known.
pub(crate) const MISFRAMED: Want = Want::Severed(400, "malformed-request");
pub(crate) const ROUTE_UNKNOWN: Want = Want::Refused(404, "route-unknown");
pub(crate) const METHOD_NOT_ALLOWED: Want = Want::Refused(405, "method-not-allowed");

/// How the bytes of a row come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// At once, on a connection of their own.
    Whole,
    /// In many segments.
    Pieces,
    /// In one segment with a good request before them.
    Behind,
    /// After the answer to a good request that was refused.
    After,
}

impl Delivery {
    const ALL: [Self; 4] = [Self::Whole, Self::Pieces, Self::Behind, Self::After];
}

/// An API that echoes and writes down every byte, behind a proxy whose PDP permits one triple: the system
/// user of the good token, who would `read` `r-read` of `PERMITTED`.
pub(crate) struct Ground {
    pub(crate) api: Server,
    pub(crate) sidecar: Sidecar,
    pub(crate) point: Arc<Scripted>,
    /// How much of each transcript of the API has been looked at.
    looked_at: Vec<usize>,
    /// How many records there were, and how many bytes of them were read.
    recorded: usize,
    read: usize,
}

impl Ground {
    pub(crate) async fn plain() -> Self {
        Self::new("", "").await
    }

    /// With further rules and settings.
    pub(crate) async fn new(rules: &str, settings: &str) -> Self {
        let api = Server::start(echo()).transcribing();
        let point = one_triple();
        let sidecar = Sidecar::before(&api)
            .rules(&format!("{RULES}{rules}"))
            .settings(settings)
            .point(Arc::clone(&point) as _)
            .open()
            .await;
        Self { api, sidecar, point, looked_at: Vec::new(), recorded: 0, read: 0 }
    }

    /// Plays each case in each delivery, and tells of all that went wrong.
    pub(crate) async fn play(mut self, cases: Vec<Case>) {
        assert!(!cases.is_empty());
        let mut faults = Vec::new();
        for case in &cases {
            if faults.len() == MAX_FAULTS {
                break;
            }
            if let Err(fault) = self.play_every_way(case).await {
                faults.push(format!("{} {} {fault}", case.number, case.name));
            }
        }
        let recorded = self.recorded;
        let count = self.sidecar.end().await.all().len();
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
        assert_eq!(count, recorded, "a request has no record, or two");
    }

    /// Ends at the first fault: the others are mostly the same.
    async fn play_every_way(&mut self, case: &Case) -> Result<(), String> {
        for delivery in Delivery::ALL {
            let played = self.play_one(case, delivery).await;
            played.map_err(|fault| format!("({delivery:?}): {fault}"))?;
        }
        self.play_over_http2(case).await.map_err(|fault| format!("(over HTTP/2): {fault}"))
    }

    async fn play_one(&mut self, case: &Case, delivery: Delivery) -> Result<(), String> {
        let (mut arrivals, mut records) = (Vec::new(), Vec::new());
        let is_first = matches!(delivery, Delivery::Whole | Delivery::Pieces);
        let is_misframed = matches!(case.want, Want::Noise) && !is_first;
        let want = if is_misframed { &MISFRAMED } else { &case.want };
        let mut expect = |want: &Want| match want {
            Want::Noise | Want::Library(_) => {}
            Want::Refused(status, code) | Want::Severed(status, code) => {
                records.push(format!("{status} {code}"));
            }
            Want::Arrives(arrival) => {
                records.push("200".to_owned());
                arrivals.push(arrival.rendered());
            }
        };
        let asked_before = self.point.asked().len();
        let mut client = Client::connect(self.sidecar.traffic).await;
        match delivery {
            Delivery::Whole => client.send(&case.sent).await,
            Delivery::Pieces => send_in_pieces(&mut client, &case.sent).await,
            Delivery::Behind => {
                client.send([good("first"), case.sent.clone()].concat()).await;
                expect(&good_arrival("first").into());
                is_good(&client.reply().await, "first")?;
            }
            Delivery::After => {
                client.send(ask("GET", READ).bytes()).await;
                expect(&Want::Refused(401, "token-missing"));
                let verdict = client.reply().await.verdict();
                same("the refusal before", &verdict, &"401 token-missing".to_owned())?;
                client.send(&case.sent).await;
            }
        }
        let method = if case.sent.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        let reply = client.reply_to(method).await;
        expect(want);
        let closes = closes(&reply);
        if reply.status == 0 || closes {
            same("what follows the answer", &client.rest().await, &String::new())?;
        } else {
            client.send(good("next")).await;
            expect(&good_arrival("next").into());
            is_good(&client.reply().await, "next")?;
        }
        let answered = match want {
            Want::Refused(_, code) | Want::Severed(_, code) if method == "GET" => {
                (reply.verdict(), format!("{} {code}", status_of(want)))
            }
            Want::Refused(..)
            | Want::Severed(..)
            | Want::Arrives(_)
            | Want::Noise
            | Want::Library(_) => (reply.status.to_string(), status_of(want).to_string()),
        };
        // Before a fault is told, so that the next case begins at the right place.
        let arrived = self.arrived();
        let recorded = self.recorded(records.len()).await;
        same("the answer", &answered.0, &answered.1)?;
        arrivals.sort();
        same_lines("what the API received", &arrived, &arrivals)?;
        same("the records", &recorded, &records)?;
        if let Want::Severed(..) = want {
            same("the end of the connection", &closes, &true)?;
        }
        let is_asked_nothing = matches!(status_of(want), 400..=402 | 404..=499);
        if is_asked_nothing {
            same("questions to the PDP", &self.point.asked().len(), &asked_before)?;
        }
        Ok(())
    }

    async fn play_over_http2(&mut self, case: &Case) -> Result<(), String> {
        let Some(stream) = Stream::of(&case.sent) else { return Ok(()) };
        let want = match &case.over_http2 {
            Some(want) => want.clone(),
            None => stream.want(&case.want),
        };
        let (mut frames, outcome) = stream.ask(self.sidecar.traffic).await;
        let (mut arrivals, mut records, verdict) = match &want {
            // The library refuses most of what is malformed by itself.
            Want::Refused(400, "malformed-request") | Want::Severed(400, "malformed-request")
                if matches!((outcome.reset, outcome.goaway), (Some(1), _) | (None, Some(1))) =>
            {
                (Vec::new(), Vec::new(), outcome.verdict())
            }
            Want::Refused(status, _) | Want::Severed(status, _) if stream.is_head() => {
                let record = outcome_of(&want);
                (Vec::new(), vec![record], status.to_string())
            }
            Want::Refused(..) | Want::Severed(..) => {
                (Vec::new(), vec![outcome_of(&want)], outcome_of(&want))
            }
            Want::Noise => return Ok(()),
            Want::Library(verdict) => (Vec::new(), Vec::new(), (*verdict).to_owned()),
            Want::Arrives(arrival) => {
                (vec![arrival.rendered()], vec!["200".to_owned()], "200".to_owned())
            }
        };
        if outcome.goaway.is_none() {
            let bearer = frames::bearer();
            let next = frames::request("GET", "/v1/open?next", &[("authorization", &bearer)]);
            frames.request(3, &next).await;
            let next = frames.outcome(3).await.verdict();
            same("the answer to an ordinary request", &next, &"200".to_owned())?;
            arrivals.push(good_arrival("next").rendered());
            records.push("200".to_owned());
        }
        let arrived = self.arrived();
        let mut recorded = self.recorded(records.len()).await;
        arrivals.sort();
        recorded.sort();
        records.sort();
        same("the answer", &outcome.verdict(), &verdict)?;
        same_lines("what the API received", &arrived, &arrivals)?;
        same("the records", &recorded, &records)
    }

    /// The requests that the API has received since the last time, in the order of their text.
    pub(crate) fn arrived(&mut self) -> Vec<Vec<String>> {
        let transcripts = self.api.transcripts();
        self.looked_at.resize(transcripts.len(), 0);
        let mut all = Vec::new();
        for (transcript, looked_at) in transcripts.iter().zip(&mut self.looked_at) {
            all.extend(arrival::read_all(&transcript[*looked_at..]));
            *looked_at = transcript.len();
        }
        all.sort();
        all
    }

    /// Status and code of the next records; fewer, if they do not come.
    async fn recorded(&mut self, count: usize) -> Vec<String> {
        let records = &self.sidecar.records;
        let new = || records.since(self.read);
        let written = eventually("the records", || new().lines().count() >= count);
        // That they are too few is told with what there is.
        let _ = tokio::time::timeout(RECORD_PATIENCE, written).await;
        let new = new();
        self.read += new.len();
        self.recorded += new.lines().count();
        let summary = |line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let text = format!("{} {}", record["status"], record["code"].as_str().unwrap_or(""));
            text.trim_end().to_owned()
        };
        new.lines().map(summary).collect()
    }
}

fn same<T: std::fmt::Debug + PartialEq>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}\n  is     {found:?}\n  wanted {wanted:?}"))
}

/// Tells only the lines that differ: the others are many.
fn same_lines(what: &str, found: &[Vec<String>], wanted: &[Vec<String>]) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (found.concat(), wanted.concat());
    let beyond = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    let (extra, missing) = (beyond(&found, &wanted), beyond(&wanted, &found));
    Err(format!("{what}\n  has    {extra:?}\n  lacks  {missing:?}"))
}

/// Status and code, as in a record.
fn outcome_of(want: &Want) -> String {
    match want {
        Want::Refused(status, code) | Want::Severed(status, code) => format!("{status} {code}"),
        Want::Arrives(_) => "200".to_owned(),
        Want::Noise | Want::Library(_) => String::new(),
    }
}

fn status_of(want: &Want) -> u16 {
    match want {
        Want::Refused(status, _) | Want::Severed(status, _) => *status,
        Want::Arrives(_) => 200,
        Want::Noise | Want::Library(_) => 0,
    }
}

/// Whether the answer says that the connection ends with it (RFC 9112 §9.3).
fn closes(reply: &Reply) -> bool {
    let says = |word| reply.head.get("connection").is_some_and(|it| it.eq_ignore_ascii_case(word));
    says("close") || reply.head.start.starts_with("HTTP/1.0") && !says("keep-alive")
}

/// An ordinary request, told apart by its query.
fn good(mark: &str) -> Vec<u8> {
    ask("GET", &format!("/v1/open?{mark}")).bearer().bytes()
}

fn good_arrival(mark: &str) -> Arrival {
    Arrival::of("r3", &format!("GET /v1/open?{mark} HTTP/1.1"))
}

fn is_good(reply: &Reply, mark: &str) -> Result<(), String> {
    let wanted = format!("200 GET /v1/open?{mark} HTTP/1.1");
    same(
        "the answer to an ordinary request",
        &format!("{} {}", reply.status, reply.text()),
        &wanted,
    )
}

/// In small pieces at first, then in ever larger ones, so that a large message does not take for ever.
async fn send_in_pieces(client: &mut Client, mut bytes: &[u8]) {
    let mut size = 1;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        client.send(piece).await;
        // The proxy runs in this thread: it reads the piece before the next one is there.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        bytes = rest;
        size = if size < 13 || bytes.len() < 512 { size % 13 + 1 } else { size * 2 };
    }
}

/// Reads the request, and answers with its request line.
fn echo() -> crate::support::Script {
    Arc::new(|asked| {
        let line = answer("200 OK", "text/plain", &asked.head.start);
        let head_only = asked.head.start.starts_with("HEAD ");
        let end = line.windows(4).position(|part| part == b"\r\n\r\n").map_or(0, |at| at + 4);
        let line = if head_only { line.slice(..end) } else { line };
        vec![Step::ReadBody, Step::Send(line)]
    })
}

fn one_triple() -> Arc<Scripted> {
    let only = QuestionPattern {
        subject: Some(PdpSubject::SystemUser(SystemUserId::parse(SYSTEM_USER).unwrap())),
        resource: Some(ResourceId::parse("r-read").unwrap()),
        action: Some(Action::parse("read").unwrap()),
        ..pattern(crate::support::PERMITTED)
    };
    Arc::new(Scripted::new(vec![(only, Ok(permit()))]))
}

/// The numbers of the cases that stand in the tests of this folder.
fn numbers() -> BTreeSet<u8> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/attacks")];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            found.extend(numbers_in(&std::fs::read_to_string(path).unwrap()));
        }
    }
    found
}

fn numbers_in(text: &str) -> BTreeSet<u8> {
    let mut found = BTreeSet::new();
    for after in text.split("case(").skip(1) {
        found.extend(leading_number(after.trim_start()));
    }
    for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("/// Case")) {
        let list = line.trim_start_matches('s').split(':').next().unwrap_or_default();
        found.extend(list.split([',', ' ']).filter_map(leading_number));
    }
    found
}

fn leading_number(text: &str) -> Option<u8> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[test]
fn every_case_has_its_test() {
    let mut found = numbers();
    found.extend(elsewhere::numbers());
    let missing: Vec<u8> = (1..=110).filter(|number| !found.contains(number)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
